"""Predicted against measured: intervals, signs, and what was not measured."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from homeostat.lab import live_compare
from homeostat.lab.live_compare import Side
from homeostat.lab.live_effects import State

OBJECTIVE = (250.0, 0.01)
FINE = State(error_ratio=0.0, p99_ms=80.0, throughput=100.0)
ILL = State(error_ratio=0.1, p99_ms=900.0, throughput=80.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    recovery_s: float | None = 8.0
    acted_s: float | None = 6.0
    before: State = FINE
    during: State = ILL
    after: State | None = FINE


def said(recovery: list[float], *, ill: State = ILL) -> Side:
    n = len(recovery)
    effect, cure = ill.minus(FINE), FINE.minus(ill)
    return Side(
        recovery_s=np.array(recovery),
        acted_s=np.full(n, 6.0),
        effect={name: np.full(n, getattr(effect, name)) for name in live_compare.QUANTITIES},
        action={name: np.full(n, getattr(cure, name)) for name in live_compare.QUANTITIES},
        hold_recovery_s=np.full(n, math.inf),
    )


def of(rows: tuple[live_compare.Row, ...], quantity: str) -> live_compare.Row:
    return next(row for row in rows if row.quantity == quantity)


def test_a_measurement_is_inside_the_interval_of_the_draws_or_is_not() -> None:
    draws = said([6.0] * 2 + [7.0] * 16 + [8.0] * 2)
    rows = live_compare.rows(draws, [Run()], OBJECTIVE, 100.0)
    found = of(rows, "recovery_s")
    assert (found.low, found.median, found.high) == (6.0, 7.0, 8.0)
    assert found.inside is True
    late = live_compare.rows(draws, [Run(recovery_s=8.5)], OBJECTIVE, 100.0)
    assert of(late, "recovery_s").inside is False


def test_never_is_beyond_every_number_and_equals_itself() -> None:
    heals, never = said([7.0] * 20), said([math.inf] * 20)
    rows = live_compare.rows(heals, [Run(recovery_s=None)], OBJECTIVE, 100.0)
    assert of(rows, "recovery_s").inside is False
    found = of(live_compare.rows(never, [Run(recovery_s=None)], OBJECTIVE, 100.0), "recovery_s")
    assert found.inside is True
    assert (found.median, found.measured) == (None, None)
    assert of(live_compare.rows(never, [Run()], OBJECTIVE, 100.0), "recovery_s").inside is False


def test_equal_effects_agree_and_an_opposite_one_does_not() -> None:
    rows = live_compare.rows(said([7.0] * 20), [Run()], OBJECTIVE, 100.0)
    assert live_compare.signs_agree(rows) is True
    better = State(error_ratio=0.0, p99_ms=80.0, throughput=130.0)
    rows = live_compare.rows(said([7.0] * 20), [Run(during=better)], OBJECTIVE, 100.0)
    assert of(rows, "fault: throughput").agrees is False
    assert live_compare.signs_agree(rows) is False


def test_an_effect_that_was_predicted_and_did_not_come_is_no_agreement() -> None:
    rows = live_compare.rows(said([7.0] * 20), [Run(during=FINE)], OBJECTIVE, 100.0)
    assert of(rows, "fault: p99_ms").agrees is False


def test_small_changes_of_either_sign_are_none() -> None:
    calm = State(error_ratio=0.002, p99_ms=95.0, throughput=97.0)
    other = State(error_ratio=0.0, p99_ms=70.0, throughput=104.0)
    rows = live_compare.rows(said([7.0] * 20, ill=calm), [Run(during=other)], OBJECTIVE, 100.0)
    assert live_compare.signs_agree(rows) is True


def test_without_a_live_run_nothing_agrees_and_nothing_disagrees() -> None:
    rows = live_compare.rows(said([7.0] * 20), [], OBJECTIVE, 100.0)
    assert {row.measured for row in rows} == {None}
    assert {row.inside for row in rows} == {None}
    assert live_compare.signs_agree(rows) is None


def test_the_action_of_a_run_that_did_not_recover_is_unknown_not_wrong() -> None:
    rows = live_compare.rows(said([7.0] * 20), [Run(recovery_s=None, after=None)], OBJECTIVE, 100.0)
    assert of(rows, "action: p99_ms").agrees is None
    assert live_compare.signs_agree(rows) is None
    assert live_compare.signs_agree(rows, acting=False) is True


def test_of_several_runs_the_lower_median_is_compared() -> None:
    runs = [Run(recovery_s=at) for at in (20.0, 7.0, 30.0, 9.0)]
    rows = live_compare.rows(said([7.0] * 20), runs, OBJECTIVE, 100.0)
    assert of(rows, "recovery_s").measured == 9.0


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [(30.0, 300.0, True), (-30.0, 30.0, False), (24.0, -24.0, True), (20.0, 60.0, False)],
)
def test_signs_are_equal_or_the_changes_are_close(
    one: float, other: float, *, expected: bool
) -> None:
    assert live_compare.agree(one, other, 25.0) is expected
    assert live_compare.agree(other, one, 25.0) is expected
