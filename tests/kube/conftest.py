"""One real cluster for the tests of this folder that a process runs; each has its own namespace."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import kube_kinds
from kube_cluster import Kube, running_kube


@pytest.fixture(scope="session")
def kube(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kube]:
    with running_kube(tmp_path_factory.mktemp("kube")) as made:
        kube_kinds.define(made, *map(kube_kinds.definition, kube_kinds.KINDS))
        yield made


@pytest.fixture
def home(kube: Kube) -> Iterator[str]:
    """Yield a namespace that is the test's own."""
    name = kube.namespace()
    yield name
    kube.delete(f"/api/v1/namespaces/{name}")
