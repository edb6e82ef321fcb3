"""The share test: at most so many false alarms however often it is looked at, and soon enough."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.stats.share_test import Config, ShareTest

TEST = ShareTest(Config())
USUAL = np.array([0.05, 0.15, 0.3, 0.3, 0.15, 0.05])
LOOKS, EVENTS, KNOWN = 60, 50, 1000


def play(test: ShareTest, reference: Any, counts: Any) -> tuple[Any, Any, Any]:
    """Return alarms and evidence `[look, row]`, and what the last look said."""
    bets, state = test.against(reference), test.init(*reference.shape)
    alarms, evidence, said = [], [], None
    for look in counts:
        state, said = test.step(bets, state, look)
        alarms.append(said.alarm)
        evidence.append(said.evidence)
    return np.array(alarms), np.array(evidence), said


def streams(rng: Any, shares: Any, *, rows: int, looks: int, events: int) -> Any:
    """Return events per bin, `[look, bin, row]`."""
    return np.moveaxis(rng.multinomial(events, shares, (looks, rows)), 1, 2).astype(float)


def test_healthy_streams_rarely_alarm_in_three_thousand_rows() -> None:
    rng = np.random.default_rng(1)
    reference = streams(rng, USUAL, rows=400, looks=1, events=KNOWN)[0]
    counts = streams(rng, USUAL, rows=400, looks=LOOKS, events=EVENTS)
    # Each row is a stream of its own, with the whole chance of a misleading reference.
    bets, state, ever = TEST.against(reference, unlucky=0.01), TEST.init(6, 400), np.zeros(400)
    for look in counts:
        state, said = TEST.step(bets, state, look)
        ever = np.maximum(ever, said.alarm)
    print(f"{ever.mean():.2%} of healthy streams alarm in 3,000 rows")
    assert ever.mean() <= 0.05


@pytest.mark.slow
def test_a_short_run_length_is_kept_and_not_by_being_mute() -> None:
    rng, rows, looks, length = np.random.default_rng(2), 500, 400, 200.0
    test = ShareTest(Config(run_length=length))
    # A reference without error, as good as: what remains is the promise itself.
    reference = np.repeat(1e9 * USUAL[:, None], rows, axis=1)
    alarms, _, _ = play(test, reference, streams(rng, USUAL, rows=rows, looks=looks, events=20))
    lived = np.where(alarms.any(axis=0), alarms.argmax(axis=0) + 1, looks).sum()
    count = alarms.any(axis=0).sum()
    print(f"{count} of {rows} rows alarmed, {lived / max(count, 1):.0f} looks to an alarm")
    assert count <= lived / length + 3.0 * math.sqrt(lived / length)
    assert count >= 0.02 * lived / length


def test_no_bet_is_better_than_fair_for_any_share_that_the_reference_allows() -> None:
    rng = np.random.default_rng(3)
    reference = streams(rng, USUAL, rows=50, looks=1, events=300)[0]
    bets = TEST.against(reference)
    splits = len(USUAL) - 1
    theta = np.tile(np.cumsum(USUAL)[:-1], len(bets.below) // splits)[:, None]
    won = theta * np.exp(bets.below) + (1.0 - theta) * np.exp(bets.above)
    assert won.max() <= 1.0 + 1e-9
    assert won.max() > 0.98  # and not much worse than fair
    assert bets.weight.sum(axis=0) == pytest.approx(np.ones(50))


@pytest.mark.parametrize(
    ("moved", "within"),
    [
        ([0.15, 0.3, 0.3, 0.15, 0.05, 0.05], 6),  # lower
        ([0.15, 0.2, 0.15, 0.15, 0.2, 0.15], 12),  # wider: 1.4 nats a look, 12 + 4 to win
        ([0.0, 0.0, 0.5, 0.5, 0.0, 0.0], 5),  # narrower
        ([0.0, 0.0, 1.0, 0.0, 0.0, 0.0], 2),  # one answer to everything
    ],
)
def test_shares_that_move_are_found_whatever_the_form(moved: list[float], within: int) -> None:
    rng = np.random.default_rng(4)
    reference = streams(rng, USUAL, rows=40, looks=1, events=KNOWN)[0]
    counts = np.concatenate([
        streams(rng, USUAL, rows=40, looks=40, events=EVENTS),
        streams(rng, np.array(moved), rows=40, looks=20, events=EVENTS),
    ])
    alarms, _, said = play(TEST, reference, counts)
    assert not alarms[:40].any()
    assert alarms[-1].all()
    delay = alarms[40:].argmax(axis=0) + 1
    print(f"{moved}: after {np.median(delay):.0f} looks of {EVENTS} events")
    assert np.median(delay) <= within
    assert abs(np.median(said.age) - 20.0) <= 2.0


def test_what_the_reference_never_saw_is_evidence() -> None:
    reference = np.array([[500.0], [500.0], [0.0]])
    healthy, ill = np.array([[25.0], [25.0], [0.0]]), np.array([[25.0], [20.0], [5.0]])
    alarms, _, _ = play(TEST, reference, [healthy] * 10 + [ill] * 10)
    assert not alarms[:10].any()
    assert alarms[13:].all()


def test_a_small_reference_is_not_taken_for_the_truth() -> None:
    """Shares that a reference of 200 events allows never alarm, one of 200,000 tells them apart."""
    seen, allowed = np.array([[0.5], [0.5]]), np.array([[280.0], [220.0]])
    small, _, _ = play(TEST, 200.0 * seen, [allowed] * 200)
    large, _, _ = play(TEST, 200_000.0 * seen, [allowed] * 200)
    assert not small.any()
    assert large.any()


def test_clusters_count_once() -> None:
    rng = np.random.default_rng(5)
    reference = streams(rng, USUAL, rows=100, looks=1, events=2000)[0] * 10.0
    clustered = 10.0 * streams(rng, USUAL, rows=100, looks=60, events=10)
    naive, _, _ = play(TEST, reference, clustered)
    told, _, _ = play(ShareTest(Config(cluster=10.0)), reference, clustered)
    assert naive.any(axis=0).mean() > 0.5  # events that come in tens break the promise
    assert not told.any()


def test_no_events_is_no_look() -> None:
    bets, state = TEST.against(np.full((3, 2), 300.0)), TEST.init(3, 2)
    state, _ = TEST.step(bets, state, np.full((3, 2), 10.0))
    for silent in (np.zeros((3, 2)), np.full((3, 2), np.nan)):
        after, said = TEST.step(bets, state, silent)
        assert np.isnan(said.log10_e).all()
        assert not said.alarm.any()
        assert all(np.array_equal(a, b) for a, b in zip(after, state, strict=True))


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 2000), min_size=2, max_size=9),
    st.lists(st.integers(0, 10**6), min_size=9, max_size=9),
)
def test_any_counts_give_a_finite_answer(reference: list[int], counts: list[int]) -> None:
    known = np.array(reference, dtype=float)[:, None]
    if known.sum() == 0.0:
        with pytest.raises(ValueError, match="events"):
            TEST.against(known)
        return
    look = np.array(counts[: len(reference)], dtype=float)[:, None]
    _, evidence, said = play(TEST, known, [look] * 3)
    assert np.isfinite(evidence).all()
    assert (evidence >= 0.0).all()
    assert np.isfinite(said.log10_e).all() == (look.sum() > 0.0)


@pytest.mark.parametrize(
    ("setting", "value"), [("run_length", 1.0), ("unlucky", 0.0), ("cluster", 0.5), ("fade", 0.5)]
)
def test_a_promise_that_cannot_be_kept_is_refused(setting: str, value: float) -> None:
    with pytest.raises(ValueError, match=setting):
        Config(**{setting: value})
