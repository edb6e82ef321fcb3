"""Lets these tests import their harness, the local deployment's host's, and a real PostgreSQL."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "stores"))
sys.path.insert(0, str(Path(__file__).parents[1] / "demo"))
sys.path.insert(0, str(Path(__file__).parent))
from postgres_server import Server, running


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """Yield a server that is running."""
    with running() as server:
        if server is None:
            pytest.skip("PostgreSQL is not installed: on Debian, apt-get install postgresql")
        yield server
