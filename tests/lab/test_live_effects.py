"""Recovery and effects from seconds: by the same definitions as the demo's judge of real logs."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base.policy import Objective
from homeostat.demo import loadlog
from homeostat.demo.live_run import _state
from homeostat.demo.loadvalues import Request
from homeostat.lab.live_effects import CALM_S, Seconds, pooled_p99_ms, recovery_s, state

OBJECTIVE = Objective(latency_p95_ms=250.0, error_ratio=0.01)
LENGTH = 60
FINE_MS, LATE_MS = 60.0, 400.0


def seconds(met: list[bool], faulty: list[bool]) -> Seconds:
    """Return one draw whose seconds are fine or late."""
    slow = np.array([[FINE_MS if fine else LATE_MS for fine in met]])
    rate = np.full((1, len(met)), 100.0)
    return Seconds(
        offered=rate, good=rate, p50_ms=slow, p95_ms=slow, p99_ms=slow,
        faulty=np.array([faulty]), acted_s=np.array([math.nan]), actions=((),),
    )  # fmt: skip


def log_of(met: list[bool]) -> loadlog.LoadLog:
    """Return the load generator's log of the same seconds."""
    log = loadlog.LoadLog()
    lines = []
    for second, fine in enumerate(met):
        for part in range(10):
            line = {
                "t": 1000.0 + second + part / 10.0, "id": f"{second}-{part}",
                "latency_ms": FINE_MS if fine else LATE_MS, "status": 200, "attempts": 1,
                "replica": "a-1", "version": "v2", "outcome": "ok", "finite": True,
                "correct": True,
            }  # fmt: skip
            lines.append(json.dumps(line))
    end = 1000.0 + len(met)
    lines.append(json.dumps({"event": "stopped", "t": end, "complete_until": end}))
    log.feed(("\n".join(lines) + "\n").encode())
    return log


@given(
    met=st.lists(st.booleans(), min_size=LENGTH, max_size=LENGTH),
    onset=st.integers(1, 20),
    lasts=st.integers(1, 30),
)
def test_recovery_is_what_the_demos_judge_says_of_the_same_seconds(
    met: list[bool], onset: int, lasts: int
) -> None:
    met = met[:40] + [True] * 20  # it does recover at last
    faulty = [onset <= second < onset + lasts for second in range(LENGTH)]
    run = seconds(met, faulty)
    (found,) = recovery_s(run, np.array([float(onset)]), 250.0, 0.01, must_hurt=False)
    log = log_of(met)
    gone_at = 1000.0 + onset + lasts
    broken = loadlog.SloWindow(log=log, objective=OBJECTIVE).broken_at(1000.0 + onset)
    real = log.recovered_at(max(gone_at, broken or 0.0), objective=OBJECTIVE)
    assert real is not None
    assert found == real - 1000.0 - onset


def test_a_cause_that_stays_is_no_recovery_however_calm_it_is() -> None:
    calm = [True] * LENGTH
    run = seconds(calm, [second >= 5 for second in range(LENGTH)])
    assert recovery_s(run, np.array([5.0]), 250.0, 0.01, must_hurt=False)[0] == math.inf


def test_a_crowd_that_hurt_nobody_has_not_been_healed_and_one_that_did_has() -> None:
    faulty = [second >= 5 for second in range(LENGTH)]
    calm = seconds([True] * LENGTH, faulty)
    assert recovery_s(calm, np.array([5.0]), 250.0, 0.01, must_hurt=True)[0] == math.inf
    hurt = seconds([not 8 <= second < 15 for second in range(LENGTH)], faulty)
    assert recovery_s(hurt, np.array([5.0]), 250.0, 0.01, must_hurt=True)[0] == 10.0


def test_nine_calm_seconds_are_not_ten() -> None:
    met = [second >= LENGTH - CALM_S + 1 for second in range(LENGTH)]
    run = seconds(met, [False] * LENGTH)
    assert recovery_s(run, np.array([5.0]), 250.0, 0.01, must_hurt=False)[0] == math.inf
    run = seconds([second >= LENGTH - CALM_S for second in range(LENGTH)], [False] * LENGTH)
    assert recovery_s(run, np.array([5.0]), 250.0, 0.01, must_hurt=False)[0] == 45.0


def test_errors_alone_are_a_missed_second() -> None:
    rate = np.full((1, LENGTH), 100.0)
    lost = rate.copy()
    lost[0, 10:20] = 98.0
    run = Seconds(
        offered=rate, good=lost, p50_ms=rate, p95_ms=rate, p99_ms=rate,
        faulty=np.zeros((1, LENGTH), bool), acted_s=np.array([math.nan]), actions=((),),
    )  # fmt: skip
    assert recovery_s(run, np.array([9.0]), 250.0, 0.01, must_hurt=True)[0] == 11.0
    assert recovery_s(run, np.array([9.0]), 250.0, 0.021, must_hurt=True)[0] == math.inf


def test_a_stretch_is_weighted_by_its_requests() -> None:
    offered = np.array([[100.0, 300.0]])
    run = Seconds(
        offered=offered, good=np.array([[100.0, 150.0]]), p50_ms=offered, p95_ms=offered,
        p99_ms=offered, faulty=offered > 0.0, acted_s=np.array([0.0]), actions=((),),
    )  # fmt: skip
    found = state(run, 0, 0.0, 2.0)
    assert found.error_ratio == pytest.approx(150.0 / 400.0)
    assert found.throughput == pytest.approx(125.0)
    assert state(run, 0, 0.0, 1.0).error_ratio == 0.0


def test_the_p99_of_seconds_together_is_that_of_their_requests() -> None:
    """Against requests drawn from two lognormal seconds, one of them slow."""
    chance = np.random.default_rng(3)
    parts = [np.exp(chance.normal(mean, 0.4, 200_000)) for mean in (4.0, 6.0)]
    quantiles = np.stack([np.quantile(part, (0.5, 0.95, 0.99)) for part in parts], axis=1)
    said = pooled_p99_ms(quantiles, np.array([100.0, 100.0]))
    assert said == pytest.approx(float(np.quantile(np.concatenate(parts), 0.99)), rel=0.06)
    assert pooled_p99_ms(quantiles, np.array([100.0, 0.0])) == pytest.approx(
        float(quantiles[2, 0]), rel=1e-3
    )


def test_a_log_is_measured_as_the_twin_is() -> None:
    """Failed ones count, refused ones do not, and an answer that is no number is no answer."""

    def request(at: float, outcome: str, latency_ms: float, *, finite: bool = True) -> Request:
        return Request(
            t=at, id="x", latency_ms=latency_ms, status=200, attempts=1, replica=None, replicas=(),
            version=None, outcome=outcome, finite=finite, correct=None,
        )  # fmt: skip

    due = [request(10.0 + part / 100.0, "ok", float(part)) for part in range(97)]
    due += [request(10.97, "timeout", 1000.0), request(10.98, "ok", 5.0, finite=False)]
    due += [request(10.99, "refused", 1.0), request(11.0, "failed", 1.0)]
    found = _state(due, 10.0, 11.0)
    assert found is not None
    assert found.error_ratio == pytest.approx(2 / 99)
    assert found.p99_ms == 1000.0  # the 99th of 99: nearest rank
    assert found.throughput == pytest.approx(97.0)
    assert _state(due, 20.0, 21.0) is None
