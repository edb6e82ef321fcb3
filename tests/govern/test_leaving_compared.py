"""The fallback beside the pool that traffic leaves: what counts as bad, and what is not known."""

from dataclasses import replace
from typing import Any

import pytest

from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.decisions import LeaveCall
from homeostat.base.evidence import Evidence, Increments
from homeostat.base.intent import ActionRecord, ActionState, Intent
from homeostat.base.policy import Objective
from homeostat.base.state import Leaving
from homeostat.govern import leaving
from homeostat.testing import build

BOUNDS = (50.0, 100.0, 250.0, float("inf"))
MISSED = {("pool:a", "error_ratio"): 0.3}
ACTION = Action(
    kind=ActionKind.SHIFT_TRAFFIC, subject="pool:b", actuator="envoy",
    change=(("weight.b", 100.0),), undo=UndoKind.EXACT, ramp=(25.0, 50.0, 100.0),
)  # fmt: skip


def served(pool: str, count: float, failed: float, *within: float, **changes: Any) -> Increments:
    """Return one second's answers; `within` are those within 50, 100 and 250 ms."""
    latency = tuple(zip(BOUNDS, (*within, count), strict=True))
    one = Increments(
        pool=pool, answered=count, failed=failed, seconds=1.0, latency=latency, timed=True
    )
    return replace(one, **changes)


def record(stage: int, state: ActionState = ActionState.VERIFYING) -> ActionRecord:
    now = build.at(0)
    intent = Intent(
        id="d-0001.0.0", action_id="d-0001", deployment="m", actuator="envoy", epoch=1,
        stage=stage, pre=(), post=(), token=None, evidence_at=now, deadline=now,
    )  # fmt: skip
    return ActionRecord(
        id="d-0001", deployment="m", incident_id="", action=ACTION, state=state, epoch=1,
        stage=stage, attempt=0, undo_attempts=0, intent=intent, first_pre=(), proposed_at=now,
        state_since=now, deadline=now,
    )  # fmt: skip


class Side:
    """Both pools side by side at one share."""

    def __init__(self, *, stage: int = 0, objective_ms: float = 250.0) -> None:
        objective = Objective(latency_p95_ms=objective_ms, error_ratio=0.01, accuracy=None)
        self.managed = build.managed(objective=objective)
        self.record = record(stage)
        self.known: Leaving | None = None
        self.seconds = 0

    def play(
        self, seconds: int, *pools: Increments, values: dict[tuple[str, str], float] = MISSED
    ) -> list[LeaveCall]:
        """Return what each of so many seconds calls for."""
        said = []
        for _ in range(seconds):
            self.seconds += 1
            now = build.at(self.seconds)
            seen: Evidence = build.evidence(
                now, self.seconds, world=build.world(now, levers={"weight.b": 25}), values=values
            )
            self.known, call = leaving.compare(
                self.known, self.record, "a", replace(seen, increments=pools), self.managed, now
            )
            said.append(call)
        return said


WELL = served("b", 100.0, 0.0, 10.0, 40.0, 100.0)
FAILS_FAST = served("a", 300.0, 90.0, 290.0, 295.0, 300.0)


def test_a_pool_that_fails_at_once_is_not_the_quicker_one() -> None:
    said = Side().play(60, FAILS_FAST, WELL)
    assert LeaveCall.HARM not in said
    assert LeaveCall.DOUBT not in said
    assert said[-1] is LeaveCall.BETTER


def test_a_rung_without_harm_goes_on_after_three_stretches_and_the_last_one_waits() -> None:
    first, last = Side(stage=0).play(12, FAILS_FAST, WELL), Side(stage=1).play(12, FAILS_FAST, WELL)
    none = [LeaveCall.NONE] * 6
    assert first[:7] == [*none, LeaveCall.GO_ON]
    assert last[:7] == [*none, LeaveCall.STAY]


def test_a_pool_that_keeps_its_objectives_is_not_left_for_want_of_harm() -> None:
    kept = {("pool:a", "error_ratio"): 0.0, ("pool:a", "latency_p95_ms"): 80.0}
    alike = served("a", 300.0, 0.0, 30.0, 120.0, 300.0)
    assert set(Side().play(40, alike, WELL, values=kept)) == {LeaveCall.NONE}


def test_whether_it_misses_them_is_what_was_read_last_and_nothing_goes_on_by_what_was() -> None:
    side = Side()
    side.play(8, FAILS_FAST, WELL)
    unread: Any = {("pool:a", "error_ratio"): None, ("pool:a", "latency_p95_ms"): None}
    assert side.play(1, FAILS_FAST, WELL, values=unread) == [LeaveCall.STAY]


def test_what_failed_may_be_what_was_slow_and_speaks_against_either_answer() -> None:
    # Of each pool 12 in 100 failed and 12 were slow: 12 to 24 were bad.
    new = served("b", 100.0, 12.0, 0.0, 0.0, 88.0)
    old = served("a", 300.0, 36.0, 0.0, 0.0, 264.0)
    side = Side()
    said = side.play(200, old, new)
    assert set(said) <= {LeaveCall.NONE, LeaveCall.GO_ON}
    assert side.known is not None
    assert side.known.harmed is not None
    assert side.known.proven is not None
    harm, proof = side.known.harmed.metrics[0], side.known.proven.metrics[0]
    assert (harm.canary_bad, harm.stable_bad) == (proof.canary_bad / 2, proof.stable_bad * 2)
    assert "to" in side.known.harmed.because[0]


def test_slower_than_promised_is_harm_and_slower_within_the_promise_is_none() -> None:
    old = served("a", 300.0, 3.0, 300.0, 300.0, 300.0)
    late = served("b", 100.0, 0.0, 0.0, 0.0, 40.0)
    assert Side().play(40, old, late)[-1] is LeaveCall.HARM
    assert LeaveCall.HARM not in Side().play(40, old, served("b", 100.0, 1.0, 0.0, 0.0, 100.0))
    assert LeaveCall.HARM not in Side(objective_ms=9e9).play(40, old, WELL)


def test_harm_stays_harm_before_and_after_it_is_verified() -> None:
    side = Side()
    side.record = record(0, ActionState.SETTLING)
    bad = served("b", 100.0, 100.0, 0.0, 0.0, 100.0)
    assert side.play(9, served("a", 300.0, 3.0, 300.0, 300.0, 300.0), bad)[-1] is LeaveCall.HARM
    assert side.play(3, FAILS_FAST, WELL) == [LeaveCall.HARM] * 3


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ({"latency": ()}, {}),
        ({}, {"latency": ()}),
        ({"latency": ((75.0, 1.0), (float("inf"), 100.0))}, {}),
        ({"answered": None}, {}),
        ({}, {"failed": float("nan")}),
    ],
)
def test_what_cannot_be_read_begins_nothing(new: dict[str, Any], old: dict[str, Any]) -> None:
    side = Side()
    said = side.play(5, replace(FAILS_FAST, **old), replace(WELL, **new))
    assert (side.known, set(said)) == (None, {LeaveCall.NONE})


@pytest.mark.parametrize(
    "new",
    [
        {"latency": ()},
        {"seconds": 2.0},
        {"answered": -1.0},
        {"latency": ((50.0, 1.0), (100.0, 2.0), (250.0, 200.0), (float("inf"), 100.0))},
        {"latency": ((50.0, 1.0), (100.0, 2.0), (250.0, float("nan")), (float("inf"), 100.0))},
    ],
)
def test_what_cannot_be_read_is_not_compared(new: dict[str, Any]) -> None:
    side = Side()
    side.play(3, FAILS_FAST, WELL)
    before = side.known
    side.play(20, FAILS_FAST, replace(WELL, **new))
    assert before is not None
    assert side.known is not None
    assert side.known.harm.buckets <= before.harm.buckets + 1, "the stretch that was open"


def test_a_page_that_counts_no_latency_leaves_failures_to_compare() -> None:
    side = Side()
    plain = [replace(one, latency=(), timed=False) for one in (FAILS_FAST, WELL)]
    assert side.play(60, *plain)[-1] is LeaveCall.BETTER
    assert side.known is not None
    assert side.known.limit_ms is None


def test_where_no_bound_is_as_slow_as_the_promise_no_answer_is_too_slow() -> None:
    side = Side(objective_ms=1e6)
    assert side.play(60, FAILS_FAST, WELL)[-1] is LeaveCall.BETTER
    assert side.known is not None
    assert side.known.limit_ms is None
