"""The live half: every magnitude, victim and duration of a plan reaches the process it is for."""

import json
import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from homeostat.base.errors import ConfigError
from homeostat.demo import faults, live_run, live_settings
from homeostat.demo.judge import Judged
from homeostat.demo.live_plan import WAYS, Plan, leak_mb_per_s
from homeostat.demo.loadlog import LoadLog
from homeostat.demo.place import Place

SLOTS = [
    {"name": f"a-{number}", "pool": "a", "state": "ready", "pid": 100 + number, "port": 9000}
    for number in (1, 2, 3)
]


class Done:
    """Writes down what reaches the deployment, and does nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[Any] = []
        monkeypatch.setattr(faults, "_slots", lambda _: SLOTS)
        monkeypatch.setattr(
            faults, "_chaos", lambda _, slot, body: self.calls.append((slot["name"], body))
        )
        monkeypatch.setattr(faults, "_foreign_change", lambda _, levers: self.calls.append(levers))
        monkeypatch.setattr(os, "kill", lambda pid, how: self.calls.append((pid, how)))


def plan(fault: str, magnitude: float = 1.0, **more: Any) -> Plan:
    return Plan(fault=fault, seed=0, onset_s=40.0, magnitude=magnitude, **more)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (plan("slow_replica", 7.25, victim="a-2"), ("a-2", {"device_slowdown": 7.25})),
        (plan("hung_replica", victim="a-3"), (103, signal.SIGSTOP)),
        (plan("killed_replica", victim="a-1"), (101, signal.SIGKILL)),
        (plan("bad_release_errors", 0.3), {"version.a": "v3-errors"}),
        (plan("bad_release_slow", 8.0), {"version.a": "v3-slow"}),
        (plan("batching_misconfigured"), {"batch_max": 1}),
    ],
    ids=lambda made: made.fault if isinstance(made, Plan) else "",
)
def test_the_plan_is_what_is_done(
    made: Plan, expected: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done = Done(monkeypatch)
    injected = live_run.fault_of(made).inject(Place(folder=tmp_path), random.Random(0))
    assert done.calls == [expected]
    assert injected.victim == made.victim


def test_a_leak_is_that_of_the_usual_requests_of_one_replica(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done = Done(monkeypatch)
    made = plan("memory_leak", 160.0, victim="a-1")
    live_run.fault_of(made).inject(Place(folder=tmp_path), random.Random(0))
    ((name, body),) = done.calls
    assert name == "a-1"
    assert body == {"leak_mb_per_s": pytest.approx(160.0 * 1024 * 30.0 / 1e6)}
    assert leak_mb_per_s(160.0, live_settings.rate_of_one()) == body["leak_mb_per_s"]


def test_a_crowd_is_so_many_times_the_usual_and_ends_when_it_is_told_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(Place, "load", lambda _, command: sent.append(command))
    fault = live_run.fault_of(plan("flash_crowd", 5.7, lasts_s=80.0))
    injected = fault.inject(Place(folder=tmp_path), random.Random(0))
    assert sent == [{"rate": pytest.approx(570.0)}]
    assert fault.lasts_s == 80.0
    assert injected.stop is not None
    injected.stop()
    assert sent[1:] == [{"rate": 100.0}]


def test_every_way_of_a_scenario_file_can_be_done() -> None:
    assert {way.fault for way in WAYS.values()} == set(live_run._HOW)


def test_a_victim_that_is_not_there_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Done(monkeypatch)
    fault = live_run.fault_of(plan("slow_replica", 8.0, victim="a-7"))
    with pytest.raises(ConfigError, match=r"'a-7'.*ready are a-1, a-2, a-3"):
        fault.inject(Place(folder=tmp_path), random.Random(0))


def judged(**changes: Any) -> Judged:
    plain: dict[str, Any] = {
        "fault": "slow_replica", "detail": "a-1 slowed 8x", "expected": "recovered",
        "injected_at": 20.0, "detected_at": 24.0, "acted_at": 26.0, "recovered_at": 28.0,
        "actions": ["restart_replica replica:a-1 (incarnation.a-1=2)"], "lost_requests": 0,
        "outcome": "recovered", "diagnosis": "",
    }  # fmt: skip
    return Judged(**(plain | changes))


def log() -> LoadLog:
    """Return fifty seconds of ten requests each: slow from 20 to 26, half of them failing."""
    lines = []
    for tenth in range(500):
        at = tenth / 10.0
        ill = 20.0 <= at < 26.0
        lines.append(
            json.dumps({
                "t": 1000.0 + at, "id": str(tenth), "latency_ms": 900.0 if ill else 50.0,
                "status": 200, "attempts": 1, "replica": None, "version": None,
                "outcome": "failed" if ill and tenth % 2 else "ok", "finite": True,
                "correct": True,
            })
        )  # fmt: skip
    found = LoadLog()
    found.feed(("\n".join(lines) + "\n").encode())
    return found


def test_before_during_and_after_are_read_off_the_load_generators_log() -> None:
    found = live_run.measured(4, judged(), log(), started=1000.0)
    assert (found.seed, found.recovery_s, found.acted_s) == (4, 8.0, 6.0)
    assert (found.before.error_ratio, found.before.p99_ms) == (0.0, 50.0)
    assert (found.during.error_ratio, found.during.p99_ms) == (0.5, 1000.0)
    assert found.during.throughput == pytest.approx(5.0)
    assert found.after is not None
    assert (found.after.error_ratio, found.after.p99_ms) == (0.0, 50.0)
    assert found.before.throughput == found.after.throughput == pytest.approx(10.0)


def test_a_run_without_action_and_recovery_has_no_after_and_a_fault_of_ten_seconds() -> None:
    never = judged(acted_at=None, recovered_at=None, actions=[], outcome="held", load_lag_s=1.5)
    found = live_run.measured(0, never, log(), started=1000.0)
    assert (found.recovery_s, found.acted_s, found.after) == (None, None, None)
    assert found.during.error_ratio == pytest.approx(0.3)  # 30 of the 100 requests of ten seconds
    assert found.starved


def test_an_attempt_without_an_answer_counts_at_the_deadline_however_soon_it_failed() -> None:
    def of(attempts: int, outcome: str) -> float:
        lines = [
            json.dumps({
                "t": 1000.0 + at / 10.0, "id": str(at), "latency_ms": 20.0, "status": None,
                "attempts": attempts if at % 10 == 0 else 1, "replica": None, "version": None,
                "outcome": outcome if at % 10 == 0 else "ok", "finite": True, "correct": True,
            })
            for at in range(500)
        ]  # fmt: skip
        found = LoadLog()
        found.feed(("\n".join(lines) + "\n").encode())
        return live_run.measured(0, judged(), found, started=1000.0).during.p99_ms

    assert of(1, "ok") == 20.0
    assert of(1, "failed") == 1000.0  # in 20 ms
    assert of(2, "ok") == 1000.0  # the first attempt of one request in ten
    assert of(2, "failed") == 1000.0


def test_a_run_without_requests_is_an_error_that_names_the_fault() -> None:
    with pytest.raises(ConfigError, match="slow_replica"):
        live_run.measured(0, judged(), LoadLog(), started=1000.0)
