"""The ring of series and the change feed: bounded, aligned, never out of order."""

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from homeostat.base.types import Quality, Reading, TimeNs, Verdict
from homeostat.base.units import SECOND
from homeostat.server.view_counts import Histogram
from homeostat.server.view_feed import Feed
from homeostat.server.view_series import MAX_SERIES, SeriesRing

P95 = "latency_p95_ms"


def reading(
    value: float | None, subject: str = "gateway", verdict: Verdict = Verdict.HEALTHY
) -> Reading:
    return Reading(
        subject=subject,
        signal=P95,
        value=value,
        verdict=verdict,
        quality=Quality.GOOD,
        low=None,
        high=None,
        age_ns=0,
        samples=1.0,
    )


@given(
    capacity=st.integers(1, 8),
    pushes=st.lists(
        st.tuples(st.integers(0, 30), st.sets(st.sampled_from(["gateway", "pool:a", "model"]))),
        max_size=40,
    ),
)
def test_every_column_is_as_long_as_the_time_axis_and_time_only_goes_on(
    capacity: int, pushes: list[tuple[int, set[str]]]
) -> None:
    ring = SeriesRing(capacity)
    for at, subjects in pushes:
        ring.push(TimeNs(at * SECOND), [reading(float(at), subject) for subject in subjects])
    times = ring.times()
    assert len(times) <= capacity
    assert all(before < after for before, after in pairwise(times))
    if pushes:
        assert times[-1] == pushes[-1][0]
    for key in ring.names():
        series = ring.read(key)
        assert series is not None
        columns = [series["value"], series["low"], series["high"], series["verdict"]]
        assert {len(column) for column in columns} == {len(times)}
        for when, value in zip(times, series["value"], strict=True):
            assert value is None or value == when  # never under another tick's time


def test_a_tick_without_the_series_is_a_gap() -> None:
    ring = SeriesRing(10)
    for at, readings in enumerate([[reading(1.0)], [], [reading(None)], [reading(4.0)]]):
        ring.push(TimeNs(at * SECOND), readings)
    series = ring.read(("gateway", P95))
    assert series is not None
    assert series["value"] == [1.0, None, None, 4.0]
    assert series["verdict"] == "huhh"


def test_a_series_that_appears_late_starts_with_gaps() -> None:
    ring = SeriesRing(10)
    ring.push(TimeNs(0), [reading(1.0)])
    ring.push(TimeNs(SECOND), [reading(2.0), reading(9.0, "replica:a-4")])
    series = ring.read(("replica:a-4", P95))
    assert series is not None
    assert series["value"] == [None, 9.0]


def test_since_cuts_all_columns_at_the_same_tick() -> None:
    ring = SeriesRing(10)
    for at in range(10):
        ring.push(TimeNs(at * SECOND), [reading(float(at))])
    series = ring.read(("gateway", P95), TimeNs(7 * SECOND))
    assert series is not None
    assert series["value"] == ring.times(TimeNs(7 * SECOND)) == [7.0, 8.0, 9.0]


def test_signals_nobody_charts_are_not_kept_and_replicas_are_bounded() -> None:
    ring = SeriesRing(4)
    other = Reading(
        subject="gateway", signal="cpu_share", value=1.0, verdict=Verdict.HEALTHY,
        quality=Quality.GOOD, low=None, high=None, age_ns=0, samples=1.0,
    )  # fmt: skip
    ring.push(TimeNs(0), [other, *(reading(1.0, f"replica:a-{n}") for n in range(1000))])
    assert len(ring.names()) == MAX_SERIES
    assert ("gateway", "cpu_share") not in ring.names()


def test_series_of_replicas_that_are_gone_are_forgotten() -> None:
    ring = SeriesRing(4)
    ring.push(TimeNs(0), [reading(1.0, "replica:a-9")])
    for at in range(1, 20):
        ring.push(TimeNs(at * SECOND), [reading(1.0)])
    assert ring.names() == (("gateway", P95),)


def test_the_ribbon_says_unseen_where_nothing_was_judged() -> None:
    ring = SeriesRing(100)
    for at in range(10, 20):
        ring.push(TimeNs(at * SECOND), [reading(1.0, verdict=Verdict.HEALTHY)])
    for at in range(20, 30):
        bad = reading(9.0, verdict=Verdict.ANOMALOUS)
        ring.push(TimeNs(at * SECOND), [bad, reading(1.0, "model")])
    assert ring.anomalies(3, 10 * SECOND, TimeNs(30 * SECOND)) == [None, 0.0, 0.5]


@given(keep=st.integers(1, 9), published=st.integers(0, 30), after=st.integers(-3, 33))
def test_a_reader_gets_every_missed_change_once_or_is_told_to_start_again(
    keep: int, published: int, after: int
) -> None:
    feed = Feed(keep)
    for number in range(1, published + 1):
        feed.publish("tick", "m", {"n": number})
    changes = feed.after(after)
    missing = list(range(after + 1, published + 1))
    if after > published or after < 0 or len(missing) > keep:
        assert changes is None
    else:
        assert changes is not None
        assert [change.version for change in changes] == missing


def test_watchers_are_woken_once_a_change_until_they_stop() -> None:
    feed, woken = Feed(), []
    stop = feed.watch(lambda: woken.append(feed.version))
    feed.publish("tick", "m", {})
    stop()
    stop()
    feed.publish("tick", "m", {})
    assert woken == [1]


@given(st.lists(st.floats(0.0, 100.0), max_size=50))
def test_a_histograms_last_bucket_holds_everything(values: list[float]) -> None:
    histogram = Histogram((1.0, 5.0, 25.0))
    for value in values:
        histogram.observe(value)
    rows = dict(histogram.cumulative())
    assert rows["+Inf"] == len(values)
    assert rows["5.0"] == sum(value <= 5.0 for value in values)
    assert math.isclose(histogram.total, sum(values), abs_tol=1e-9)
