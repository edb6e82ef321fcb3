"""Every way to act on Kubernetes keeps the port's promises on a real API server."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from kube_cluster import Kube
from kube_targets import TARGETS

from homeostat.testing.actuator import check_actuator


@pytest.mark.live
@pytest.mark.long
@pytest.mark.parametrize("way", TARGETS)
async def test_an_actuator_keeps_its_promises_on_a_real_api_server(way: str, kube: Kube) -> None:
    async with TARGETS[way](kube) as target:
        await check_actuator(target)
