"""The canary judge: harm is found, silence is neither harm nor proof, and it can be replayed."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.base import codec
from homeostat.base.canary import (
    ArmCounts,
    CanaryConfig,
    CanaryJudgement,
    CanaryMetric,
    CanaryState,
    CanaryVerdict,
    Counts,
)
from homeostat.base.units import MINUTE, TimeNs
from homeostat.govern import canary
from homeostat.stats import share_bet_runs as runs
from homeostat.stats.share_bet_runs import Law

ERRORS = CanaryMetric(name="errors", margin=1.2, promote_ratio=2.0)
CONFIG = CanaryConfig(metrics=(ERRORS,), pods=3, calibrated=True, deadline_ns=120 * MINUTE)
V = CanaryVerdict
Bucket = tuple[float | None, float | None, float | None, float | None]
GOOD: Bucket = (1000.0, 10.0, 1000.0, 10.0)
WORSE: Bucket = (1000.0, 40.0, 1000.0, 10.0)


def counts(minute: float, bucket: Bucket, **more: Any) -> Counts:
    total, bad, stable, stable_bad = bucket
    return Counts(
        at=TimeNs(round(minute * MINUTE)),
        since=TimeNs(round((minute - 1) * MINUTE)),
        canary_total=total,
        canary_bad=bad,
        stable_total=stable,
        stable_bad=stable_bad,
        **more,
    )


def play(
    buckets: list[Bucket], config: CanaryConfig = CONFIG, **more: Any
) -> tuple[CanaryState, list[CanaryJudgement]]:
    state, said = canary.init(config), []
    for minute, bucket in enumerate(buckets, start=1):
        state, judged = canary.step(state, counts(minute, bucket, **more), config)
        said.append(judged)
    return state, said


def verdicts(buckets: list[Bucket], config: CanaryConfig = CONFIG, **more: Any) -> list[V]:
    return [judged.verdict for judged in play(buckets, config, **more)[1]]


def test_a_canary_three_times_worse_is_harm_and_stays_so() -> None:
    said = verdicts([WORSE] * 20 + [GOOD] * 300)
    assert V.HARM in said[:20]
    assert set(said[said.index(V.HARM) :]) == {V.HARM}


def test_a_canary_as_good_as_stable_is_certified_before_the_deadline() -> None:
    said = verdicts([GOOD] * 60)
    assert said[0] is V.UNDECIDED
    assert said[-1] is V.CERTIFIED
    assert V.HARM not in said


def test_a_ratio_within_the_margin_is_no_harm_and_beyond_the_promise_no_certificate() -> None:
    within: Bucket = (100_000.0, 1190.0, 100_000.0, 1000.0)
    assert V.HARM not in verdicts([within] * 100)
    above: Bucket = (100_000.0, 2100.0, 100_000.0, 1000.0)
    lenient = replace(CONFIG, metrics=(replace(ERRORS, margin=3.0),))
    assert set(verdicts([above] * 100, lenient)) == {V.UNDECIDED}


def test_too_long_without_a_certificate_is_the_deadline() -> None:
    few: Bucket = (20.0, 0.0, 180.0, 0.0)
    said = verdicts([few] * 121)
    assert set(said[:119]) == {V.UNDECIDED}
    assert said[119] is V.DEADLINE


@pytest.mark.parametrize(
    "lost",
    [
        (None, None, 1000.0, 10.0),
        (math.nan, 1.0, 1000.0, 10.0),
        (1000.0, math.nan, 1000.0, 10.0),
        (-5.0, 0.0, 1000.0, 10.0),  # a counter that went back
        (10.0, 11.0, 1000.0, 10.0),  # more bad ones than all
        (1000.0, -1.0, 1000.0, 10.0),
        (math.inf, 1.0, 1000.0, 10.0),
        (0.0, 0.0, 1000.0, 10.0),  # no request reaches it
    ],
)
def test_a_canary_that_is_not_seen_gives_its_traffic_back_without_blame(lost: Bucket) -> None:
    state, said = play([GOOD] * 30 + [lost] * 8)
    assert said[29].verdict is V.CERTIFIED
    after = [judged.verdict for judged in said[30:]]
    assert after == [V.UNDECIDED] * 5 + [V.NO_EVIDENCE] * 3
    assert said[-1].harm_e == said[29].harm_e  # nothing was counted, least of all as zero
    assert "blame" in said[-1].because[0]
    _, back = canary.step(state, counts(39, GOOD), CONFIG)
    assert back.verdict is V.CERTIFIED


@pytest.mark.parametrize("gone", [(None, None, None, None), (0.0, 0.0, 0.0, 0.0)])
def test_both_arms_silent_holds(gone: Bucket) -> None:
    state, said = play([GOOD] * 10 + [gone] * 30)
    assert said[9].verdict is V.CERTIFIED  # and is not said while nobody answers
    assert {judged.verdict for judged in said[10:]} == {V.UNDECIDED}
    assert state.missing == 0
    assert state.buckets == 10 + (30 if gone[0] == 0.0 else 0)


def test_a_silence_of_both_interrupts_no_absence_of_the_canary() -> None:
    lost, gone = (None, None, 1000.0, 10.0), (None, None, None, None)
    said = verdicts([GOOD] * 3 + [lost] * 3 + [gone] * 4 + [lost] * 3)
    assert said[3:] == [V.UNDECIDED] * 9 + [V.NO_EVIDENCE]


def test_what_is_certified_and_unread_at_the_deadline_holds() -> None:
    said = verdicts([GOOD] * 119 + [(None, None, None, None)] * 3)
    assert said[118:] == [V.CERTIFIED] + [V.UNDECIDED] * 3


def test_stable_unseen_never_promotes_and_never_blames() -> None:
    said = verdicts([GOOD] * 40 + [(1000.0, 900.0, None, None)] * 20)
    assert said[39] is V.CERTIFIED
    assert set(said[40:]) == {V.UNDECIDED}


def test_a_canary_without_its_share_of_traffic_yet_is_not_missing() -> None:
    assert set(verdicts([(0.0, 0.0, 1000.0, 10.0)] * 20, share=0.0)) == {V.UNDECIDED}


def test_three_buckets_without_a_good_response_are_harm_at_once() -> None:
    dead: Bucket = (5.0, 5.0, 1000.0, 10.0)
    _, said = play([GOOD] * 5 + [dead] * 3, replace(CONFIG, alpha=1e-60))
    assert [judged.verdict for judged in said[5:]] == [V.UNDECIDED, V.UNDECIDED, V.HARM]
    assert "not one good response" in said[-1].because[0]


def test_one_bucket_with_a_good_response_ends_a_death() -> None:
    dead: Bucket = (50.0, 50.0, 1000.0, 10.0)
    state, said = play([dead, dead, GOOD, dead, dead], replace(CONFIG, alpha=1e-60))
    assert V.HARM not in {judged.verdict for judged in said}
    assert (state.dead, state.dead_bad) == (2, 100.0)


@pytest.mark.parametrize(
    "shared",
    [
        (5.0, 5.0, 1000.0, 900.0),  # stable dies too
        (1.0, 1.0, 1000.0, 10.0),  # nine bad ones are too few to say
    ],
)
def test_death_needs_responses_and_a_stable_that_lives(shared: Bucket) -> None:
    config = replace(CONFIG, alpha=1e-60)  # the test alone says nothing yet
    state, said = play([shared] * 9, config)
    assert V.HARM not in {judged.verdict for judged in said}
    assert state.dead in {0, 9}


def test_counts_that_come_twice_or_late_are_not_counted() -> None:
    state, _ = play([GOOD] * 5)
    for minute in (5.0, 3.5):
        after, judged = canary.step(state, counts(minute, WORSE), CONFIG)
        assert after == state
        assert "not later" in judged.because[-1]


def test_an_unread_moment_holds_a_certificate_back() -> None:
    state, said = play([GOOD] * 60)
    assert said[-1].verdict is V.CERTIFIED
    half = replace(counts(60.5, GOOD), canary_bad=None)
    _, judged = canary.step(state, half, CONFIG)
    assert judged.verdict is V.UNDECIDED


def test_one_pod_that_nobody_calibrated_is_named_and_not_promoted() -> None:
    one = replace(CONFIG, pods=1, calibrated=False)
    _, said = play([GOOD] * 60, one)
    assert {judged.verdict for judged in said} == {V.UNDECIDED}
    assert [caveat.split(":")[0] for caveat in said[-1].caveats] == ["uncalibrated", "confounded"]
    assert V.HARM in verdicts([WORSE] * 20, one)
    assert V.CERTIFIED in verdicts([GOOD] * 60, replace(one, calibrated=True))
    assert play([GOOD], replace(CONFIG, pods=None))[1][0].caveats[0].startswith("pods unknown")


@settings(max_examples=8, deadline=None)
@given(
    cuts=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 99)), min_size=12, max_size=12),
    parts=st.integers(1, 4),
)
def test_any_cadence_within_a_bucket_says_the_same(cuts: list[Any], parts: int) -> None:
    whole: list[Bucket] = [(100.0, float(b), 1000.0, float(s)) for b, s in cuts]
    state, _ = play(whole)
    fine = canary.init(CONFIG)
    for minute, (_, bad, _, stable_bad) in enumerate(whole):
        for part in range(1, parts + 1):
            ends = part == parts
            news: Bucket = (
                100.0 if ends else 0.0,
                bad if ends else 0.0,
                1000.0 if ends else 0.0,
                stable_bad if ends else 0.0,
            )
            one = replace(
                counts(minute + part / parts, news), since=TimeNs(minute * MINUTE), share=0.1
            )
            fine, _ = canary.step(fine, one, CONFIG)
    assert fine.rows == state.rows


ODD = st.one_of(
    st.none(), st.just(math.nan), st.just(-1.0), st.just(math.inf), st.integers(0, 40).map(float)
)
FINE = st.tuples(st.integers(0, 400), st.integers(0, 40)).map(
    lambda pair: (float(max(pair)), float(min(pair)))
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    told=st.lists(
        st.tuples(
            st.sampled_from([-1, 0, 1, 1, 1, 2]),
            st.one_of(st.tuples(ODD, ODD), FINE),
            st.one_of(st.tuples(ODD, ODD), FINE),
        ),
        max_size=25,
    ),
    proven=st.booleans(),
)
def test_whatever_is_told_nothing_breaks_and_only_what_is_read_promotes(
    told: list[Any], *, proven: bool
) -> None:
    state, _ = play([GOOD] * 30 if proven else [GOOD])
    harmed = False
    minute = 30 if proven else 1
    for later, new, old in told:
        minute += later
        news = counts(minute, (*new, *old))
        before, (state, judged) = state, canary.step(state, news, CONFIG)
        read = canary.known_pair(*new) and canary.known_pair(*old) and news.at > (before.at or 0)
        if judged.verdict is V.CERTIFIED:
            assert read
        if not read:
            assert [row.open for row in state.rows] in ([(0.0,) * 4], [before.rows[0].open])
        assert not harmed or judged.verdict is V.HARM
        harmed = judged.verdict is V.HARM
        assert math.isfinite(judged.harm_e)
        assert codec.decode(codec.encode(state)) == state
        assert codec.encode(judged)


LATENCY = CanaryMetric(name="latency", margin=1.1, bounds=(100.0, 250.0, 500.0))
BOTH = replace(CONFIG, metrics=(ERRORS, LATENCY))


def slow(share: float, n: float = 1000.0) -> tuple[float, ...]:
    """Return cumulative buckets of n responses, this share of them above 250."""
    return (0.5 * n, (1 - share) * n, (1 - share / 4) * n, n)


def arms(new: float, old: float) -> Any:
    return {"histograms": (ArmCounts(metric="latency", canary=slow(new), stable=slow(old)),)}


def test_slower_answers_are_harm_though_no_more_of_them_fail() -> None:
    assert V.HARM not in verdicts([GOOD] * 60, BOTH, **arms(0.1, 0.1))
    _, said = play([GOOD] * 60, BOTH, **arms(0.2, 0.1))
    assert said[-1].verdict is V.HARM
    errors, latency = said[-1].metrics
    assert errors.harm_e < 1.0
    assert latency.harm_e > said[-1].threshold
    assert latency.ratio == pytest.approx(2.0)
    assert said[-1].harm_e == pytest.approx(0.5 * errors.harm_e + 0.5 * latency.harm_e)


def test_a_weight_says_how_much_a_metric_counts() -> None:
    heavy = replace(BOTH, metrics=(replace(ERRORS, weight=3.0), LATENCY))
    _, said = play([GOOD] * 5, heavy, **arms(0.15, 0.1))
    errors, latency = said[-1].metrics
    assert said[-1].harm_e == pytest.approx(0.75 * errors.harm_e + 0.25 * latency.harm_e)


@pytest.mark.parametrize(
    "odd", [(), (1.0, 2.0, 3.0), (5.0, 4.0, 6.0, 9.0), (0.0, 1.0, math.nan, 9.0)]
)
def test_a_histogram_that_cannot_be_read_is_unknown_and_its_neighbour_is_judged(odd: Any) -> None:
    lost = {"histograms": (ArmCounts(metric="latency", canary=odd, stable=slow(0.1)),)}
    state, said = play([GOOD] * 60, BOTH, **lost)
    assert said[-1].verdict is V.UNDECIDED  # the errors are certified, and it is not said
    assert "latency, canary" in said[-1].because[-1]
    assert [row.counts[0] for row in state.rows] == [60_000.0, 0.0, 0.0, 0.0]


def test_a_certificate_of_a_histogram_needs_every_bound() -> None:
    wants = replace(CONFIG, metrics=(replace(LATENCY, promote_ratio=2.0),))
    assert V.CERTIFIED in verdicts([GOOD] * 60, wants, **arms(0.1, 0.1))
    tail = {
        "histograms": (
            ArmCounts(metric="latency", canary=(500.0, 900.0, 940.0, 1000.0), stable=slow(0.1)),
        )
    }  # 6 % above 500 instead of 2.5 %
    lenient = replace(wants, metrics=(replace(LATENCY, promote_ratio=2.0, margin=9.0),))
    assert V.CERTIFIED not in verdicts([GOOD] * 60, lenient, **tail)


def test_a_state_of_other_metrics_is_refused() -> None:
    with pytest.raises(ValueError, match="begins anew"):
        canary.step(canary.init(CONFIG), counts(1, GOOD), BOTH)


def test_a_journal_replays_bit_for_bit() -> None:
    rng = np.random.default_rng(3)
    kept, straight = canary.init(BOTH), canary.init(BOTH)
    for minute in range(1, 30):
        bucket = (100.0, float(rng.poisson(1)), 900.0, float(rng.poisson(5)))
        news = counts(minute, bucket, **arms(0.1 + 0.01 * rng.random(), 0.1))
        straight, said = canary.step(straight, news, BOTH)
        data = codec.encode(kept), codec.encode(news), codec.encode(BOTH)
        kept, again = canary.step(*(codec.decode(part) for part in data))
        assert codec.encode(again) == codec.encode(said)
        assert codec.encode(kept) == codec.encode(straight)


def test_many_at_once_are_judged_as_one_by_one() -> None:
    rng = np.random.default_rng(4)
    items: list[Any] = []
    for i in range(12):
        config = (CONFIG, BOTH)[i % 2]
        state, _ = play([GOOD] * (i % 3), config)
        bucket = (100.0, float(rng.poisson(2)), 900.0, float(rng.poisson(9)))
        items.append((state, counts(5 if i % 4 else 0.5, bucket, **arms(0.2, 0.1)), config))
    assert canary.step_many(items) == [canary.step(*item) for item in items]
    assert canary.step_many([]) == []


def test_what_the_benchmark_plays_is_what_the_judge_says() -> None:
    law = Law(requests=1000.0, ratio=2.0, burst=4.0, ramp=(0.05, 0.5))
    counted = runs.play(law, minutes=40, runs=3, rng=np.random.default_rng(6))
    harm = runs.evidence(counted, ERRORS.margin)
    safe = runs.evidence(counted, ERRORS.promote_ratio or 0.0, safe=True)
    for run in range(3):
        buckets = [(float(a), float(b), float(c), float(d)) for a, b, c, d in counted[:, :, run]]
        _, said = play(list(buckets))
        assert [one.harm_e for one in said] == pytest.approx(np.exp(harm[:, run]), rel=1e-9)
        assert [one.safe_e for one in said] == pytest.approx(np.exp(safe[:, run]), rel=1e-9)


def test_the_verdict_does_not_look_ahead() -> None:
    rng = np.random.default_rng(5)
    buckets: list[Bucket] = [
        (100.0, float(rng.poisson(2)), 900.0, float(rng.poisson(9))) for _ in range(40)
    ]
    whole = [codec.encode(one) for one in play(buckets)[1]]
    part = [codec.encode(one) for one in play(buckets[:17])[1]]
    assert whole[:17] == part


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: CanaryConfig(alpha=0.0), "alpha"),
        (lambda: CanaryConfig(metrics=()), "metrics"),
        (lambda: CanaryConfig(metrics=(ERRORS, ERRORS)), "named once"),
        (lambda: CanaryConfig(bucket_ns=0), "bucket_ns"),
        (lambda: CanaryConfig(pods=0), "pods"),
        (lambda: CanaryMetric(name="errors", margin=0.9), "margin"),
        (lambda: CanaryMetric(name="errors", promote_ratio=1.0), "promote_ratio"),
        (lambda: CanaryMetric(name="errors", weight=0.0), "weight"),
        (lambda: CanaryMetric(name="errors", bounds=(1.0,)), "bounds"),
        (lambda: CanaryMetric(name="latency"), "bounds"),
        (lambda: CanaryMetric(name="latency", bounds=(2.0, 1.0)), "bounds"),
    ],
)
def test_what_cannot_be_promised_is_refused_by_name(wrong: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        wrong()
