"""Joining labels: order, repetition and contradiction must not change what is known."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base.units import SECOND, TimeNs
from homeostat.learn.labels import (
    Joined,
    LabelJoin,
    LabelQuality,
    LabelSeen,
    PredictionSeen,
)

NOW = TimeNs(1_000 * SECOND)


def said(name: str, prediction: float | None, at_s: float = 990.0) -> PredictionSeen:
    return PredictionSeen(id=name, prediction=prediction, at=TimeNs(round(at_s * SECOND)))


def truth(name: str, label: int, at_s: float = 995.0) -> LabelSeen:
    return LabelSeen(id=name, label=label, at=TimeNs(round(at_s * SECOND)))


def joined(*facts: PredictionSeen | LabelSeen, horizon_s: int = 60) -> LabelQuality:
    join = LabelJoin(horizon_ns=horizon_s * SECOND)
    feed(join, facts)
    return join.window(NOW)


def feed(join: LabelJoin, facts: tuple[PredictionSeen | LabelSeen, ...]) -> None:
    for fact in facts:
        if isinstance(fact, PredictionSeen):
            join.add_predictions([fact])
        else:
            join.add_labels([fact])


def test_without_labels_quality_is_unknown_and_coverage_is_zero() -> None:
    quality = joined(said("a", 0.9), said("b", 0.1))
    assert (quality.accuracy, quality.brier, quality.calibration_error) == (None, None, None)
    assert (quality.age_ns, quality.n, quality.coverage) == (None, 0, 0.0)


def test_without_predictions_even_the_coverage_is_unknown() -> None:
    quality = joined(truth("a", 1))
    assert (quality.accuracy, quality.coverage, quality.predictions) == (None, None, 0)


def test_accuracy_brier_coverage_and_age_are_those_of_the_labelled_predictions() -> None:
    quality = joined(
        said("right", 0.8, 980), said("wrong", 0.6, 990), said("open", 0.1, 999),
        truth("right", 1), truth("wrong", 0),
    )  # fmt: skip
    assert quality.accuracy == 0.5
    assert quality.brier == pytest.approx((0.2**2 + 0.6**2) / 2)
    assert quality.coverage == pytest.approx(2 / 3)
    assert quality.age_ns == 10 * SECOND  # of `wrong`, not of `open`, which nobody has labelled
    assert (quality.n, quality.predictions, quality.conflicts) == (2, 3, 0)


def test_exactly_one_half_counts_as_a_one() -> None:
    assert joined(said("a", 0.5), truth("a", 1)).accuracy == 1.0
    assert joined(said("a", 0.5), truth("a", 0)).accuracy == 0.0


@pytest.mark.parametrize("odd", [None, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("label", [0, 1])
def test_an_answer_that_is_not_a_number_is_as_wrong_as_can_be(
    odd: float | None, label: int
) -> None:
    quality = joined(said("a", odd), truth("a", label))
    assert (quality.accuracy, quality.brier, quality.calibration_error) == (0.0, 1.0, None)


def test_repeated_labels_count_once() -> None:
    once = joined(said("a", 0.9), truth("a", 1), said("b", 0.9), truth("b", 0))
    often = joined(
        said("a", 0.9), truth("a", 1), truth("a", 1), truth("a", 1), said("b", 0.9), truth("b", 0),
    )  # fmt: skip
    assert once == often


def test_each_label_is_counted_once_when_both_sides_are_known_whatever_came_first() -> None:
    facts = (said("a", 0.9), truth("a", 1), said("b", 0.9), truth("b", 0), said("open", 0.5))
    for order in (facts[::-1], (*facts, *facts)):
        other = LabelJoin()
        feed(other, order)
        assert (other.told, other.right) == (2, 1)
    join = LabelJoin()
    feed(join, facts)
    join.forget(TimeNs(NOW + 3600 * SECOND))
    assert (join.told, join.right) == (2, 1)
    feed(join, (said("c", None), truth("c", 0), truth("c", 1)))
    assert (join.told, join.right) == (3, 1)


def test_contradictory_labels_are_named_and_count_for_nothing() -> None:
    quality = joined(
        said("a", 0.9), truth("a", 1), truth("a", 0), truth("a", 1), said("b", 0.9), truth("b", 1),
    )  # fmt: skip
    assert (quality.conflicts, quality.conflicting) == (1, ("a",))
    assert (quality.n, quality.accuracy, quality.coverage) == (1, 1.0, 0.5)


def test_two_predictions_under_one_id_are_a_conflict_and_one_said_twice_is_not() -> None:
    quality = joined(
        said("same", 0.9), said("same", 0.9), truth("same", 1),
        said("other", 0.9), said("other", 0.2), truth("other", 1),
    )  # fmt: skip
    assert (quality.conflicting, quality.n, quality.predictions) == (("other",), 1, 2)


def test_the_sender_hears_what_became_of_each_label() -> None:
    join = LabelJoin()
    join.add_predictions([said("known", 0.9)])
    told = join.add_labels([
        truth("known", 1), truth("known", 1), truth("known", 0), truth("unknown", 1),
        truth("known", 2), truth("known", -1),
    ])  # fmt: skip
    assert told == Joined(joined=1, repeated=1, conflicting=1, waiting=1, refused=2)


def test_a_window_holds_predictions_up_to_now_and_not_older_than_its_horizon() -> None:
    facts = [said(f"p{age}", 0.9, 1_000 - age) for age in (-1, 0, 59, 60, 61)]
    quality = joined(*facts, *(truth(fact.id, 1) for fact in facts))
    assert quality.predictions == 2  # made now and 59 s ago


def test_calibration_error_is_the_weighted_gap_between_said_and_true() -> None:
    # Ten times 0.75 said, five true: gap 0.25. Ten times 0.15 said, none true: gap 0.15.
    facts = [said(f"h{k}", 0.75) for k in range(10)] + [said(f"l{k}", 0.15) for k in range(10)]
    labels = [truth(f"h{k}", int(k < 5)) for k in range(10)]
    labels += [truth(f"l{k}", 0) for k in range(10)]
    assert joined(*facts, *labels).calibration_error == pytest.approx(0.20)


_IDS = st.sampled_from("abcdef")
_FACTS = st.one_of(
    st.builds(said, _IDS, st.sampled_from([0.1, 0.4, 0.9, None]), st.sampled_from([941.0, 990.0])),
    st.builds(truth, _IDS, st.sampled_from([0, 1]), st.sampled_from([950.0, 999.0])),
)


@given(facts=st.lists(_FACTS, max_size=30), seed=st.integers(0, 1_000))
def test_what_is_known_does_not_depend_on_the_order_of_arrival(
    facts: list[PredictionSeen | LabelSeen], seed: int
) -> None:
    shuffled = facts.copy()
    random.Random(seed).shuffle(shuffled)
    assert joined(*facts) == joined(*shuffled)


@given(facts=st.lists(_FACTS, max_size=30))
def test_hearing_everything_twice_changes_nothing(facts: list[PredictionSeen | LabelSeen]) -> None:
    assert joined(*facts) == joined(*facts, *facts)


@given(
    pairs=st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0, 1, None])), max_size=40),
    seed=st.integers(0, 1_000),
)
def test_the_numbers_are_exact_in_any_order(
    pairs: list[tuple[float, int | None]], seed: int
) -> None:
    facts: list[PredictionSeen | LabelSeen] = [said(f"p{k}", p) for k, (p, _) in enumerate(pairs)]
    facts += [truth(f"p{k}", y) for k, (_, y) in enumerate(pairs) if y is not None]
    known = [(p, y) for p, y in pairs if y is not None]
    random.Random(seed).shuffle(facts)
    quality = joined(*facts)
    assert quality.n == len(known)
    if known:
        right = sum((p >= 0.5) == bool(y) for p, y in known)
        assert quality.accuracy == right / len(known)
        assert quality.brier == math.fsum((p - y) ** 2 for p, y in known) / len(known)
        assert 0.0 <= (quality.calibration_error or 0.0) <= 1.0


def test_memory_is_bounded_and_the_newest_predictions_are_kept() -> None:
    join = LabelJoin(capacity=100, horizon_ns=10_000 * SECOND)
    for k in range(1_000):
        join.add_predictions([said(f"p{k}", 0.9, k)])
        join.add_labels([truth(f"p{k}", 1, k)])
    assert 100 <= join.window(NOW).predictions <= 110
    assert join.forgotten >= 890
    assert join.add_labels([truth("p999", 1)]).repeated == 1
    assert join.add_labels([truth("p0", 1)]).waiting == 1


def test_labels_for_nothing_cannot_push_predictions_out() -> None:
    join = LabelJoin(capacity=100, horizon_ns=10_000 * SECOND)
    join.add_predictions([said(f"p{k}", 0.9) for k in range(100)])
    for k in range(10_000):
        join.add_labels([truth(f"nobody{k}", 1, 10_000_000 + k)])
    assert join.window(NOW).predictions == 100
    assert len(join._waiting) <= 110


def test_forgetting_what_is_too_old_changes_no_window() -> None:
    facts = tuple(said(f"p{k}", 0.9, 900 + k) for k in range(100))
    labels = tuple(truth(f"p{k}", 1, 900 + k) for k in range(0, 100, 3))
    kept, swept = LabelJoin(horizon_ns=60 * SECOND), LabelJoin(horizon_ns=60 * SECOND)
    for join in (kept, swept):
        feed(join, facts + labels)
    swept.forget(NOW)
    assert swept.window(NOW) == kept.window(NOW)
    assert len(swept._known) < len(kept._known)


@pytest.mark.parametrize(("horizon_ns", "capacity"), [(0, 1), (1, 0), (-1, 1)])
def test_a_join_that_could_hold_nothing_is_refused(horizon_ns: int, capacity: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        LabelJoin(horizon_ns=horizon_ns, capacity=capacity)
