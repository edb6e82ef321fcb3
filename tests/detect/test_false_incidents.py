"""The benchmark of false incidents: what is drawn, what is counted, and what an interval says."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from homeostat.detect.stack import Stack
from homeostat.detect.stack_play import play

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from detection import budgets, false_incidents, normal_days  # noqa: PLC0415 - found by the line above

    return SimpleNamespace(count=false_incidents, days=normal_days, budgets=budgets)


def source(bench: Any, name: str, *, days: int = 28, ticks: int = 8, seed: int = 0) -> Any:
    """Return a source whose days say in thousands which day of the recording they are."""
    rng = np.random.default_rng(seed)
    values = 1000.0 * np.arange(days)[:, None] + rng.normal(0.0, 1.0, (days, ticks))
    return bench.days.Source(name, values, np.arange(days) % 7, 1.0)


def test_days_are_whole_in_the_order_of_the_week_and_each_series_of_its_own_source(
    bench: Any,
) -> None:
    two = [source(bench, "a"), source(bench, "b", seed=1)]
    which, picks = bench.days.picked(two, 5, 21, np.random.default_rng(3))
    assert [one.name for one in which] == ["a", "b", "a", "b", "a"]
    weekdays = np.array([one.weekday[row] for one, row in zip(which, picks, strict=True)])
    np.testing.assert_array_equal(np.diff(weekdays, axis=1) % 7, 1)
    rows, sd = bench.days.drawn(two, 5, 21, np.random.default_rng(3))
    values = np.array(list(rows))
    assert values.shape == (21 * 8, 5)
    assert sd.tolist() == [1.0] * 5
    for k, (one, row) in enumerate(zip(which, picks, strict=True)):
        np.testing.assert_array_equal(values[:, k], one.days[row].reshape(-1))


def test_days_that_begin_far_from_where_the_last_one_ended_are_not_taken(bench: Any) -> None:
    one = source(bench, "a", days=70)
    _, picks = bench.days.picked([one], 40, 30, np.random.default_rng(5))
    # Of ten days of a weekday the third nearest at most: three weeks of 1,000 a day.
    assert np.abs(np.diff(picks, axis=1)).max() <= 21


def test_days_with_a_label_or_with_too_many_gaps_are_no_normal_days(bench: Any) -> None:
    step, days = 3600, 12
    seconds = np.arange(days * 24) * step
    values = np.random.default_rng(2).normal(50.0, 1.0, len(seconds))
    ill = np.zeros(len(seconds), dtype=bool)
    ill[30] = True
    values[50:60] = np.nan
    found = bench.days._source("a", seconds, values, ill, step)
    assert len(found.days) == days - 2
    assert bench.days._source("a", seconds, np.full(len(seconds), 7.0), ~ill & ill, step) is None
    assert bench.days._source("a", seconds[:100], values[:100], ill[:100], step) is None


def test_incidents_are_counted_once_at_each_level(bench: Any) -> None:
    evidence = np.zeros((200, 2), dtype=np.float32)
    evidence[10:15, 0], evidence[13, 0] = 3.0, 5.0  # one incident, which grows
    evidence[90, 0] = 3.0
    evidence[100, 1] = np.nan
    starts = bench.count.started(evidence, (2.6, 4.0, 6.0))
    assert starts[:, 0, 0].nonzero()[0].tolist() == [10, 90]
    assert starts[:, 1, 0].nonzero()[0].tolist() == [13]
    assert not starts[:, 2].any()
    assert not starts[:, :, 1].any()


def test_what_was_counted_is_told_with_the_wider_of_two_intervals(bench: Any) -> None:
    counted = bench.count.Counted(np.array([20, 0, 0, 0]), 50.0)
    rate, low, high = bench.count.realised(counted, ["a", "b", "c", "d"])
    assert rate == pytest.approx(100.0)
    # All are of one source: three of the four might be as good as silent, or all like the one.
    assert low == 0.0
    assert high > 1000.0 * bench.count.garwood(20)[1] / 200.0
    none = bench.count.realised(bench.count.Counted(np.zeros(4), 50.0), ["a", "b", "c", "d"])
    assert none == pytest.approx((0.0, 0.0, 1000.0 * 3.689 / 200.0), abs=1e-3)


@pytest.mark.parametrize(
    ("count", "low", "high"), [(1, 0.025, 5.572), (10, 4.795, 18.39), (100, 81.36, 121.63)]
)
def test_the_interval_of_a_count_is_that_of_the_tables(
    bench: Any, count: int, low: float, high: float
) -> None:
    found = bench.count.garwood(count)
    assert found[0] == pytest.approx(low, abs=0.02)
    assert found[1] == pytest.approx(high, abs=0.02)


def test_a_fleet_is_played_and_judged_beside_every_budget(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.days, "sources", lambda *_, **__: [source(bench, "a", ticks=24)])
    form = bench.count.Form("made-up", 24, 3600.0, 2.5, 3)
    evidence, sources = bench.count.played(form, seed=1)
    assert evidence.shape == (60, 3)
    assert sources == ["a"] * 3
    monkeypatch.setattr(bench.count, "SETTLED", 30)
    lines = bench.count.table(form, evidence, sources).splitlines()
    assert lines[0] == "### made-up, ticks of 3600 s: 3 series of 1, 2.5 days each"
    asked = [line.split("|")[1].strip() for line in lines[4:] if line.startswith("|")]
    assert asked == ["none", *(f"{one:g}" for one in bench.count.BUDGETS)]
    joined = [line for line in lines if line.startswith("- Of ")]
    assert len(joined) == 1 + len(bench.count.JOINED)


def test_starts_after_joints_are_told_apart_and_the_first_day_has_no_joint(bench: Any) -> None:
    form = bench.count.Form("nab", 200, 432.0, 3, 1)
    evidence = np.zeros((600, 1), dtype=np.float32)
    evidence[[1, 202, 280, 405], 0] = 3.0
    told = bench.count.joints(form, evidence, 2.6)
    assert "Of 4 incidents at 2.60" in told
    assert "25.0% (1.5%), 50.0% (6.0%), 50.0% (18.0%)" in told
    assert "Of 0 incidents at 9.00" in bench.count.joints(form, evidence, 9.0)


@pytest.mark.slow
def test_a_score_at_another_level_is_what_the_stack_says_at_that_level(bench: Any) -> None:
    from detection import playing  # noqa: PLC0415 - see the fixture

    values = np.random.default_rng(3).normal(10.0, 1.0, (800, 1, 1))
    values[[200, 400, 560, 720], 0, 0] += [10.0, 1e3, 1e4, 1e5]

    def said(start: float | None) -> Any:
        level = None if start is None else np.full((800, 1), start)
        one = play(Stack(), values, start=level).said
        score, evidence = np.nan_to_num(one.anomaly_score[:, 0]), one.neg_log10_p[:, 0]
        return playing.Said(score, np.nan_to_num(evidence), one.alarm[:, 0])

    shipped = said(None)
    level = float(shipped.evidence.max())
    asked = said(level)
    assert asked.alarm.sum() == 1 < shipped.alarm.sum()
    ((score, alarm),) = bench.budgets.score_at([shipped], level, 1)
    np.testing.assert_array_equal(alarm, asked.alarm)
    np.testing.assert_allclose(score, asked.score, rtol=1e-9)
