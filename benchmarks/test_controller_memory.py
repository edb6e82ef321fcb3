"""How much memory a controller of the local deployment holds after a minute; the goal is 250 MB.

The real thing: four model servers behind Envoy under 100 requests a second, labels joined, one
replica killed after half of the time, so that there was something to decide. Resident memory of
the controller's process alone, of which about 40 MB are libraries that other processes share. Not
measured: days (tests/server/test_runtime.py shows that a tick leaves nothing behind) and fleets.
"""

import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from homeostat.demo import setup
from homeostat.demo.place import Place

GOAL_MB = 250
MINUTE_S = 60.0


@pytest.mark.timeout(240)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # ended pipes
def test_the_memory_of_a_controller_after_a_minute(
    benchmark: BenchmarkFixture, tmp_path: Path
) -> None:
    if benchmark.disabled:
        pytest.skip("takes minutes; `make bench` runs it")
    once: Any = benchmark.pedantic  # which has no types
    readings = once(lambda: _watch(tmp_path), rounds=1)
    text = ", ".join(f"{at:.0f} s: {mb:.0f} MB" for at, mb in readings)
    print(f"\ncontroller: {text}")
    assert readings[-1][1] < GOAL_MB


def _watch(folder: Path) -> list[tuple[float, float]]:
    place = Place(folder=folder, seed=1)
    port, token = setup.api_access()
    place.labels_url, place.labels_token = f"http://127.0.0.1:{port}", token
    controller = None
    try:
        place.start(lambda _: None)
        controller = setup.controller(place, port, token, evidence_rules=True)
        controller.start()
        assert controller.process is not None
        readings = _readings(psutil.Process(controller.process.pid), place)
        list(controller.news())
        assert any("restart_replica" in what for _, what in controller.applied), "no decision"
    finally:
        if controller is not None:
            controller.stop()
        place.stop()
    return readings


def _readings(process: psutil.Process, place: Place) -> list[tuple[float, float]]:
    readings: list[tuple[float, float]] = []
    begin, killed = time.monotonic(), False
    while (passed := time.monotonic() - begin) < MINUTE_S:
        time.sleep(5.0)
        readings.append((passed + 5.0, process.memory_info().rss / 2**20))
        if passed > MINUTE_S / 2 and not killed:
            slots = {slot["name"]: slot for slot in place.state()["slots"]}
            psutil.Process(slots["a-2"]["pid"]).kill()
            killed = True
    return readings
