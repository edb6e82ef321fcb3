"""Burn rates: what was not seen is neither good nor bad, and no request is counted twice."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base import codec
from homeostat.base.budgets import Accounts, Method, SloCounts, SloSpec
from homeostat.base.evidence import Evidence, Increments, Quality, Reading, Verdict
from homeostat.base.units import HOUR, MINUTE, SECOND, TimeNs
from homeostat.govern.burn import BURNS, Window, above, burning, judge, report, window
from homeostat.govern.slo import count, kept
from homeostat.testing import build

SCRAPE = 15 * SECOND
STRIDE = 5 * SCRAPE
BORN = TimeNs(1_800_000_000 * SECOND)
MONTH = 30 * 24 * HOUR
SPEC = SloSpec(
    name="errors", signal="errors", subject="gateway", target_ppm=990_000, window_ns=MONTH
)
Said = tuple[float, float] | None


def told(said: Said, signal: str = "error_ratio") -> Evidence:
    """Return a tick on which the gateway says (ratio, requests), or nothing."""
    value, samples = said or (None, 0.0)
    reading = Reading(
        subject="gateway", signal=signal, value=value, verdict=Verdict.HEALTHY,
        quality=Quality.GOOD if said else Quality.UNREACHABLE, low=None, high=None,
        age_ns=0, samples=samples,
    )  # fmt: skip
    return replace(build.evidence(), readings=(reading,))


def lived(
    said: Sequence[Said], spec: SloSpec = SPEC, signal: str = "error_ratio"
) -> tuple[SloCounts, TimeNs]:
    """Return the counts after samples, one each five scrapes."""
    now = BORN
    counts = count(None, spec, told(None), SCRAPE, now)
    for one in said:
        now = TimeNs(now + STRIDE)
        counts = count(counts, spec, told(one, signal), SCRAPE, now)
    return counts, now


def test_a_request_is_counted_once_however_often_the_gateway_repeats_it() -> None:
    now, counts = BORN, count(None, SPEC, told(None), SCRAPE, BORN)
    for _ in range(20):  # twenty ticks: the last five scrapes are told four times over
        now = TimeNs(now + SCRAPE)
        counts = count(counts, SPEC, told((0.02, 500.0)), SCRAPE, now)
    found = window(counts, HOUR, now)
    assert (found.good, found.bad, found.seen_ns) == (4 * 490, 4 * 10, 20 * SCRAPE)


def gained(answered: float | None, failed: float, seconds: float) -> Evidence:
    """Return a tick whose counters gained so much, and whose readings say something else."""
    known = answered is not None
    one = Increments(
        pool="", answered=answered, failed=failed if known else None,
        seconds=seconds if known else None,
    )  # fmt: skip
    other = Increments(pool="a", answered=9e9, failed=9e9, seconds=15.0)
    return replace(told((1.0, 1e6)), increments=(other, one))


def after(*ticks: Evidence) -> SloCounts:
    now, counts = BORN, count(None, SPEC, told(None), SCRAPE, BORN)
    for one in ticks:
        now = TimeNs(now + SCRAPE)
        counts = count(counts, SPEC, one, SCRAPE, now)
    return counts


def test_the_counters_of_the_gateway_are_counted_exactly_however_few() -> None:
    counts = after(*[gained(3.0, 1.0, 15.0)] * 8)
    found = window(counts, HOUR, TimeNs(BORN + 8 * SCRAPE))
    assert (found.good, found.bad, found.seen_ns) == (16, 8, 8 * SCRAPE)


def test_a_gap_that_the_counters_tell_whole_is_seen_whole_and_counted_once() -> None:
    lost = gained(None, 0.0, 0.0)
    counts = after(gained(10.0, 0.0, 15.0), lost, lost, gained(30.0, 3.0, 45.0))
    found = window(counts, HOUR, TimeNs(BORN + 4 * SCRAPE))
    assert (found.good, found.bad, found.seen_ns) == (37, 3, 4 * SCRAPE)


def test_what_the_readings_told_of_a_gap_is_not_counted_again() -> None:
    lost = [gained(None, 0.0, 0.0)] * 5
    told_twice = gained(70.0, 70.0, 90.0)  # of the fifteen seconds since, and of the five before
    counts = after(gained(10.0, 0.0, 15.0), *lost, told_twice, gained(10.0, 0.0, 15.0))
    found = window(counts, HOUR, TimeNs(BORN + 8 * SCRAPE))
    assert (found.good, found.bad) == (20, 10**6)
    assert found.seen_ns == 7 * SCRAPE


def test_requests_within_a_limit_are_counted_where_the_histogram_has_that_bound() -> None:
    spec = replace(SPEC, signal="within", limit=250.0)
    tick = gained(10.0, 4.0, 15.0)
    one = replace(tick.increments[1], latency=((100.0, 3.0), (250.0, 7.0), (float("inf"), 11.0)))
    found = []
    for limit in (250.0, 300.0, float("inf")):
        asked, now = replace(spec, limit=limit), TimeNs(BORN + SCRAPE)
        counts = count(None, asked, told(None), SCRAPE, BORN)
        counts = count(counts, asked, replace(tick, increments=(one,)), SCRAPE, now)
        seen = window(counts, HOUR, now)
        found.append((seen.good, seen.bad, seen.seen_ns))
    assert found == [(7, 3, SCRAPE), (0, 0, 0), (10, 0, SCRAPE)]
    counts = count(None, spec, told(None), SCRAPE, BORN)  # readings tell nothing of it
    assert count(counts, spec, told((0.0, 9.0)), SCRAPE, TimeNs(BORN + STRIDE)).fine == ()


@pytest.mark.parametrize("odd", [(5.0, 6.0, 15.0), (5.0, -1.0, 15.0), (5.0, 1.0, 0.0)])
def test_counters_that_make_no_sense_are_not_counted(odd: tuple[float, float, float]) -> None:
    assert after(gained(*odd)).fine == ()


def test_an_hour_of_failures_is_on_and_calls_a_person() -> None:
    counts, now = lived([(0.2, 1000.0)] * 48)
    fast = judge(counts, SPEC, BURNS[0], now)
    assert fast.on is True
    assert fast.long == pytest.approx(20.0)
    assert burning(counts, SPEC, now) is True


def test_what_is_over_is_off_though_the_long_window_remembers_it() -> None:
    counts, now = lived([(0.9, 1000.0)] * 44 + [(0.0, 1000.0)] * 4)
    found = judge(counts, SPEC, BURNS[0], now)
    assert found.long is not None
    assert found.long > 14.4
    assert found.on is False


def test_silence_is_unknown_and_never_a_budget_kept() -> None:
    counts, now = lived([(0.0, 1000.0)] * 20 + [None] * 28)
    assert judge(counts, SPEC, BURNS[0], now).on is None
    assert burning(counts, SPEC, now) is None
    assert report(counts, SPEC, now).window.seen == pytest.approx(20 / 48)


def test_nobody_asking_is_no_failure_but_only_if_it_was_seen() -> None:
    seen, now = lived([(0.0, 0.0)] * 48)
    assert judge(seen, SPEC, BURNS[0], now).on is False
    blind, now = lived([None] * 48)
    assert judge(blind, SPEC, BURNS[0], now).on is None


def test_a_gap_between_two_looks_is_not_filled_in() -> None:
    counts, now = lived([(0.0, 1000.0)])
    later = TimeNs(now + 30 * MINUTE)  # the controller was away
    counts = count(counts, SPEC, told((0.0, 1000.0)), SCRAPE, later)
    assert window(counts, HOUR, later).seen_ns == 2 * STRIDE


def test_the_budget_left_says_what_the_unseen_could_change() -> None:
    counts, now = lived([(0.002, 1000.0)] * 24 + [None] * 24)
    found = report(counts, SPEC, now)
    assert found.left == pytest.approx(0.8)
    assert found.left_high == pytest.approx(0.9)
    assert found.left_low == pytest.approx(0.9 - 50.0)


def test_counts_survive_the_journal() -> None:
    counts, now = lived([(0.1, 100.0)] * 60)
    accounts = Accounts(slos=(counts,), firing=("errors 14.4x",), burning=None)
    back = codec.decode(codec.encode(accounts))
    assert back == accounts
    assert report(back.slos[0], SPEC, now) == report(counts, SPEC, now)


def test_counts_stay_small_over_months() -> None:
    spec = replace(SPEC, window_ns=24 * HOUR)
    counts, _ = lived([(0.0, 10.0)] * 6000, spec)
    assert len(counts.fine) <= 2 * 61
    assert len(counts.middle) <= 3 * 24 * 4 + 30
    assert len(counts.coarse) <= 8


def test_a_slice_is_good_or_bad_as_a_whole() -> None:
    spec = replace(SPEC, method=Method.TIMESLICES, slice_ns=5 * MINUTE, slice_target_ppm=950_000)
    begin = BORN // (5 * MINUTE) * (5 * MINUTE)
    assert begin == BORN
    four = [(0.04, 100.0)] * 4  # 4 % fail: a good slice of 95 %
    counts, now = lived([*four, *[(0.2, 100.0)] * 4, *[None] * 4, *four, *four], spec)
    found = window(counts, HOUR, now)
    # The third was not seen, the last is not over yet.
    assert (found.good, found.bad, found.seen_ns) == (2, 1, 3 * 5 * MINUTE)


@pytest.mark.parametrize(
    ("op", "kept_at_limit"), [("lte", True), ("lt", False), ("gte", True), ("gt", False)]
)
def test_a_compared_signal_counts_each_time_it_is_read(op: str, *, kept_at_limit: bool) -> None:
    spec = replace(SPEC, signal="latency_p95_ms", op=op, limit=250.0)
    assert kept(spec, 250.0) is kept_at_limit
    assert kept(spec, 251.0) is (op in {"gte", "gt"})
    assert not kept(spec, float("nan"))
    counts, now = lived([(300.0, 1.0), (200.0, 1.0), None], spec, "latency_p95_ms")
    found = window(counts, HOUR, now)
    assert (found.good, found.bad) == (1, 1)


def test_a_promise_that_says_something_else_is_counted_anew() -> None:
    counts, now = lived([(0.5, 100.0)] * 3)
    stricter = replace(SPEC, target_ppm=999_000)  # the same requests, judged harder
    assert count(counts, stricter, told(None), SCRAPE, now) == counts
    other = replace(SPEC, signal="latency_p95_ms", limit=250.0)
    assert count(counts, other, told(None), SCRAPE, now).fine == ()


COUNTS = st.integers(0, 10**6)


@given(good=COUNTS, bad=COUNTS, seen=st.integers(0, 100), tenths=st.sampled_from([10, 60, 144]))
def test_more_sight_never_turns_a_certain_answer_round(
    good: int, bad: int, seen: int, tenths: int
) -> None:
    """Whatever the unseen part held, the certain answer is the answer of the whole."""
    partly = Window(good=good, bad=bad, seen_ns=seen, of_ns=100)
    answer = above(partly, 990_000, tenths)
    if seen == 0 or good + bad == 0:
        return
    hidden = round((good + bad) * (100 - seen) / seen)
    for failed in (0, hidden // 2, hidden):
        whole = Window(good=good + hidden - failed, bad=bad + failed, seen_ns=100, of_ns=100)
        truth = above(whole, 990_000, tenths)
        exact = (good + bad) * (100 - seen) % seen == 0
        assert truth is not None
        assert answer is None or answer == truth or not exact


@given(good=COUNTS, bad=COUNTS, tenths=st.sampled_from([10, 60, 144]))
def test_seen_whole_the_answer_is_the_plain_ratio(good: int, bad: int, tenths: int) -> None:
    found = above(Window(good=good, bad=bad, seen_ns=7, of_ns=7), 990_000, tenths)
    assert found is (good + bad > 0 and 1000 * bad >= tenths * (good + bad))
