"""Tests of objectives that may be looked at after every tick: when they speak, and since when."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from patient_by_hand import managed as patient_managed

from homeostat.base import names
from homeostat.base.evidence import Increments, Quality
from homeostat.base.policy import Managed, Objective
from homeostat.base.promise import PromiseTest
from homeostat.base.types import TimeNs
from homeostat.base.units import SECOND
from homeostat.detect.slo_evidence import STATE_CLASSES, Config, Promises, PromisesState
from homeostat.stats.arrays import from_bytes, to_bytes

LEVEL = 0.01
INF = float("inf")


def managed(name: str = "credit", **changes: Any) -> Managed:
    objective = Objective(latency_p95_ms=200.0, error_ratio=LEVEL)
    return replace(patient_managed(), name=name, objective=replace(objective, **changes))


def served(
    answered: float | None, failed: float | None, slow: float | None = None,
    *, bounds: tuple[float, ...] = (100.0, 200.0, 400.0), pool: str = "",
) -> Increments:  # fmt: skip
    latency: tuple[tuple[float, float], ...] = ()
    if slow is not None and answered is not None:
        within = [answered - slow if bound < 400.0 else answered for bound in bounds]
        latency = (*zip(bounds, within, strict=True), (INF, answered))
    quality = Quality.GOOD if answered is not None else Quality.MISSING
    return Increments(
        pool=pool, answered=answered, failed=failed, seconds=15.0, latency=latency,
        quality=quality, timed=True,
    )  # fmt: skip


class Asked:
    """One deployment, tick by tick."""

    def __init__(self, config: Config | None = None, entry: Managed | None = None) -> None:
        self.part, self.entry = Promises(config), managed() if entry is None else entry
        self.state, self.tick = self.part.init(), 0

    def one(self, *increments: Increments) -> dict[str, PromiseTest]:
        self.tick += 1
        self.state, out = self.part.step(
            self.state, [self.entry], {self.entry.name: increments}, TimeNs(self.tick * SECOND)
        )
        return {one.signal: one for one in out.get(self.entry.name, ())}


def test_a_promise_that_is_broken_is_shown_to_be_and_since_when() -> None:
    asked = Asked()
    kept = [asked.one(served(100.0, 0.0, 0.0)) for _ in range(50)][-1]
    for one in kept.values():
        assert one == replace(one, broken=False, log10_e=0.0, since=None, tests=50)
        assert (one.share_low, one.share_tests) == (0.0, 50)
        assert 0.0 < one.share_high < 0.25
    told = [asked.one(served(100.0, 5.0, 15.0)) for _ in range(40)]
    first = {
        signal: next(at for at, one in enumerate(told) if one[signal].broken)
        for signal in (names.ERROR_RATIO, names.LATENCY_P95)
    }
    # Five times the promised errors, three times the promised slow ones.
    assert first[names.ERROR_RATIO] < 16
    assert first[names.LATENCY_P95] < 30
    assert {one.since for one in told[-1].values()} == {TimeNs(51 * SECOND)}
    assert told[-1][names.ERROR_RATIO].limit == LEVEL
    assert told[-1][names.LATENCY_P95].limit == 200.0
    after = [asked.one(served(100.0, 0.0, 0.0)) for _ in range(400)][-1]
    assert {(one.broken, one.since) for one in after.values()} == {(False, None)}


@pytest.mark.sampled(2)
@pytest.mark.slow
@pytest.mark.parametrize("answered", [3, 40])
def test_a_promise_that_is_just_kept_alarms_as_seldom_as_was_promised(answered: int) -> None:
    """A hundred deployments for 1,500 ticks: 150 alarms in 150,000 ticks are allowed."""
    rng = np.random.default_rng(4)
    part = Promises(Config(run_length=1000.0))
    fleet = [managed(f"d{number}") for number in range(100)]
    state, onsets, before = part.init(), 0, np.zeros(100, dtype=bool)
    for tick in range(1500):
        failed = rng.binomial(answered, LEVEL, len(fleet))
        rows = {
            entry.name: (served(float(answered), float(bad)),)
            for entry, bad in zip(fleet, failed, strict=True)
        }
        state, out = part.step(state, fleet, rows, TimeNs(tick))
        now = np.array([bool(out[entry.name][0].broken) for entry in fleet])
        onsets += int((now & ~before).sum())
        before = now
    assert onsets <= 150


def test_few_requests_at_a_time_add_up() -> None:
    """One request a tick, one in ten fails: no window of the plain answer is ever judged."""
    asked, rng = Asked(), np.random.default_rng(2)
    said = [
        asked.one(served(1.0, float(rng.random() < 0.1)))[names.ERROR_RATIO] for _ in range(900)
    ]
    assert any(one.broken for one in said)


def told(labelled: float | None, right: float | None) -> Increments:
    return replace(served(100.0, 0.0, 0.0), labelled=labelled, right=right)


def test_accuracy_is_tested_by_labels_as_they_become_known() -> None:
    asked = Asked(entry=managed(accuracy=0.9))
    kept = [asked.one(told(20.0, 19.0))[names.ACCURACY] for _ in range(40)][-1]
    assert (kept.subject, kept.limit) == (names.MODEL, 0.9)
    assert (kept.broken, kept.tests) == (False, 40)
    for nothing in (told(0.0, 0.0), told(None, None), told(20.0, 21.0)):
        assert asked.one(nothing)[names.ACCURACY] == replace(kept, broken=None)
    worse = [asked.one(told(20.0, 12.0))[names.ACCURACY] for _ in range(150)]
    assert worse[-1].broken is True
    assert worse[-1].since == TimeNs(44 * SECOND)
    assert worse[-1].share_low <= 0.4 <= worse[-1].share_high
    assert Asked().one(told(20.0, 12.0)).keys() == {names.ERROR_RATIO, names.LATENCY_P95}


def test_a_share_lies_in_its_interval_and_one_that_moved_begins_anew() -> None:
    rng, asked = np.random.default_rng(3), Asked()
    said = asked.one(served(50.0, 1.0))[names.ERROR_RATIO]
    for share in (0.02, 0.4):
        for bad in rng.binomial(50, share, 600).tolist():
            said = asked.one(served(50.0, bad))[names.ERROR_RATIO]
        assert said.share_low <= share <= said.share_high
        assert said.share_high - said.share_low < 0.12
    assert 300 < said.share_tests <= 600  # what was before the move is forgotten
    assert said.tests == 1201


@pytest.mark.slow
def test_an_interval_ever_misses_an_unchanged_share_in_at_most_one_deployment_of_twenty() -> None:
    rng, part = np.random.default_rng(5), Promises()
    fleet = [managed(f"d{number}", latency_p95_ms=0.0) for number in range(100)]
    state, missed = part.init(), np.zeros(100, dtype=bool)
    for tick in range(600):
        failed = rng.binomial(10, 0.05, len(fleet))
        rows = {
            entry.name: (served(10.0, float(bad)),)
            for entry, bad in zip(fleet, failed, strict=True)
        }
        state, out = part.step(state, fleet, rows, TimeNs(tick))
        ends = [(out[entry.name][0].share_low, out[entry.name][0].share_high) for entry in fleet]
        missed |= np.array([not low <= 0.05 <= high for low, high in ends])
    assert missed.sum() <= 5


def test_what_was_not_counted_is_unknown_and_changes_nothing() -> None:
    asked = Asked()
    before = [asked.one(served(100.0, 5.0, 15.0)) for _ in range(5)][-1]
    for nothing in (served(None, None), served(0.0, 0.0, 0.0), served(100.0, None)):
        said = asked.one(nothing)
        assert said[names.ERROR_RATIO] == replace(before[names.ERROR_RATIO], broken=None)
        assert said[names.LATENCY_P95] == replace(before[names.LATENCY_P95], broken=None)
    assert asked.one(served(10.0, 20.0))[names.ERROR_RATIO].broken is None  # more than answered
    assert asked.one() == {}
    assert asked.one(served(100.0, 5.0, pool="a")) == {}


def test_a_limit_between_two_bounds_is_tested_at_the_next_one_above() -> None:
    entry = managed(latency_p95_ms=150.0)
    slower = Asked(entry=entry)
    # None is slower than the next bound above, whatever there is below it.
    within = ((100.0, 0.0), (200.0, 100.0), (INF, 100.0))
    for latency in (within, ((100.0, 100.0), *within[1:])):
        fast = replace(served(100.0, 0.0), latency=latency)
        said = [slower.one(fast)[names.LATENCY_P95].broken for _ in range(60)]
        assert set(said) == {False}
    slow = replace(served(100.0, 0.0), latency=((100.0, 0.0), (200.0, 80.0), (INF, 100.0)))
    said = [slower.one(slow)[names.LATENCY_P95].broken for _ in range(60)]
    assert said[-1] is True
    above = replace(served(100.0, 0.0), latency=((100.0, 0.0), (INF, 100.0)))
    assert slower.one(above)[names.LATENCY_P95].broken is None


def test_a_promise_that_says_something_else_begins_anew_and_the_other_goes_on() -> None:
    asked = Asked()
    for _ in range(5):
        asked.one(served(100.0, 5.0, 15.0))
    asked.entry = managed(latency_p95_ms=400.0)
    said = asked.one(served(100.0, 5.0, 0.0))
    assert (said[names.ERROR_RATIO].tests, said[names.LATENCY_P95].tests) == (6, 1)


@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_a_promise_that_no_count_can_break_or_every_one_does_is_not_tested(ratio: float) -> None:
    said = Asked(entry=managed(error_ratio=ratio)).one(served(100.0, 5.0, 0.0))
    assert set(said) == {names.LATENCY_P95}


def test_the_state_goes_through_bytes() -> None:
    asked = Asked()
    for _ in range(5):
        asked.one(served(100.0, 5.0, 15.0))
    again = from_bytes(to_bytes(asked.state), STATE_CLASSES)
    assert isinstance(again, PromisesState)
    twin = Asked()
    twin.state, twin.tick = again, asked.tick
    assert twin.one(served(100.0, 5.0, 15.0)) == asked.one(served(100.0, 5.0, 15.0))


def test_a_run_length_that_nobody_can_promise_is_refused() -> None:
    with pytest.raises(ValueError, match="run_length must be in"):
        Promises(Config(run_length=1.0))
