import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.stats.fdr import Config, OnlineFdr
from homeostat.stats.fdr_budget import Budget, false_incidents


@given(st.floats(1e-3, 100.0), st.floats(1.0, 1e6))
def test_a_test_at_the_level_uses_up_the_budget_and_no_more(allowed: float, per_day: float) -> None:
    budget = Budget(false_incidents=allowed, tests_per_day=per_day * 10.0)
    expected_alarms = budget.level * 300 * 7.0 * budget.tests_per_day
    assert false_incidents(expected_alarms, signals=300, days=7.0) == pytest.approx(allowed)
    assert budget.run_length * budget.level == pytest.approx(1.0)


def test_the_floor_makes_a_calm_fleet_spend_the_budget() -> None:
    budget = Budget(false_incidents=2.0, tests_per_day=5760.0)
    floor = budget.floor(signals=400, rate=0.1, memory_ticks=3000.0)
    rule = OnlineFdr(Config(rate=0.1, memory_ticks=3000.0, floor=floor))
    _, decided = rule.step(np, rule.init(np), np.zeros(400))
    # 1 - exp(-1/3000) against 1/3000: a sixth of a thousandth.
    assert 10.0 ** -float(decided.neg_log10_level) == pytest.approx(budget.level, rel=1e-3)


@pytest.mark.parametrize(
    ("allowed", "per_day", "named"),
    [(0.0, 10.0, "false_incidents"), (1.0, 0.5, "tests_per_day"), (2000.0, 1.0, "every test")],
)
def test_a_budget_that_no_level_meets_is_refused(
    allowed: float, per_day: float, named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        Budget(false_incidents=allowed, tests_per_day=per_day)


def test_nothing_watched_has_no_rate() -> None:
    with pytest.raises(ValueError, match="signals and days"):
        false_incidents(0.0, signals=0, days=1.0)
