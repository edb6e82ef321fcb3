"""Every actuator there is keeps the port's promises, on its target and on a bad wire.

The process host, Envoy, HAProxy and the receiver of webhooks are the real ones. Kubernetes' kinds,
Ray and Triton are stand-ins with a memory here; `test_ray_real.py` has this kit for a real Ray, and
`tests/kube/test_kube_conformance.py` for a real API server.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from homeostat import plugins
from homeostat.testing.actuator import check_actuator


def test_every_actuator_has_a_target_for_the_kit(targets: frozenset[str]) -> None:
    assert set(plugins.parts("actuator")) <= targets, "add a maker to TARGETS in conftest.py"


@pytest.mark.live
@pytest.mark.parametrize("name", sorted(plugins.parts("actuator")))
async def test_an_actuator_keeps_its_promises(
    name: str, tmp_path: Path, target_of: Callable[[str, Path], Any]
) -> None:
    async with target_of(name, tmp_path) as target:
        await check_actuator(target)
