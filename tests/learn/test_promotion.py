"""A candidate takes over on evidence that survives peeking, within every limit, or not at all."""

import math

import numpy as np
import pytest

from homeostat.learn.off_policy import Scored
from homeostat.learn.promotion import Answer, Gate, State, ever, init, step, verdict


def rounds(seed: int, gain: float, costs: tuple[float, ...], n: int, spread: float = 1.0) -> Scored:
    rng = np.random.default_rng(seed)
    return Scored(
        difference=gain + spread * rng.standard_normal(n),
        costs=np.array(costs) + 0.1 * rng.standard_normal((n, len(costs))),
        unknown=0,
        heaviest=1.0,
    )


def after(gate: Gate, scored: Scored) -> State:
    return step(gate, init(gate), scored)


def test_a_better_candidate_within_its_limits_is_promoted() -> None:
    gate = Gate(limits=(0.5, 0.3))
    said = verdict(gate, after(gate, rounds(1, 0.2, (0.4, 0.1), 3000)))
    assert said.answer is Answer.PROMOTE
    assert said.needed == 0
    assert 0.0 < said.gain[1] < said.gain[0]
    assert all(
        mean < high < limit for (mean, high), limit in zip(said.costs, gate.limits, strict=True)
    )


@pytest.mark.parametrize("costs", [(0.6, 0.1), (0.4, 0.31)])
def test_one_cost_above_its_limit_is_enough_for_no(costs: tuple[float, float]) -> None:
    gate = Gate(limits=(0.5, 0.3))
    said = verdict(gate, after(gate, rounds(1, 0.5, costs, 5000)))
    assert said.answer is Answer.REFUSE
    assert said.needed is None
    assert "is allowed" in said.because[-1]


def test_a_cost_that_may_still_be_above_its_limit_waits_however_much_is_gained() -> None:
    gate = Gate(limits=(0.402,))
    said = verdict(gate, after(gate, rounds(1, 2.0, (0.4,), 2000)))
    assert said.gain[1] > 0.0
    assert said.answer is Answer.WAIT


def test_a_worse_candidate_is_refused() -> None:
    gate = Gate()
    assert verdict(gate, after(gate, rounds(1, -0.3, (), 3000))).answer is Answer.REFUSE


def test_not_enough_data_says_how_much_is_missing_and_that_is_about_right() -> None:
    gate = Gate(tuned=2000.0)
    early = verdict(gate, after(gate, rounds(4, 0.1, (), 600)))
    assert early.answer is Answer.WAIT
    assert early.needed is not None
    assert early.because[0] == f"not enough data: need {early.needed} more"
    exact = Scored(
        difference=np.tile([early.gain[0] - 1.0, early.gain[0] + 1.0], (600 + early.needed) // 2),
        costs=np.empty((2 * ((600 + early.needed) // 2), 0)), unknown=0, heaviest=1.0,
    )  # fmt: skip
    more = Scored(
        difference=np.tile(exact.difference, 2), costs=np.empty((2 * len(exact.difference), 0)),
        unknown=0, heaviest=1.0,
    )  # fmt: skip
    half = Scored(
        difference=exact.difference[: len(exact.difference) // 2],
        costs=np.empty((len(exact.difference) // 2, 0)), unknown=0, heaviest=1.0,
    )  # fmt: skip
    assert verdict(gate, after(gate, more)).answer is Answer.PROMOTE
    assert verdict(gate, after(gate, half)).answer is Answer.WAIT


def test_before_the_lead_in_nothing_is_said() -> None:
    gate = Gate(lead_in=500)
    said = verdict(gate, after(gate, rounds(1, 50.0, (), 499)))
    assert (said.answer, said.needed) == (Answer.WAIT, 1)
    assert math.isinf(said.gain[1])


def test_no_number_of_rounds_would_do_where_the_mean_says_no() -> None:
    gate = Gate()
    said = verdict(gate, after(gate, rounds(1, -0.01, (), 600)))
    assert (said.answer, said.needed) == (Answer.WAIT, None)


def test_too_many_unknown_outcomes_promote_nothing() -> None:
    gate = Gate()
    good = rounds(1, 0.5, (), 3000)
    blind = Scored(difference=good.difference, costs=good.costs, unknown=300, heaviest=1.0)
    assert verdict(gate, after(gate, good)).answer is Answer.PROMOTE
    said = verdict(gate, after(gate, blind))
    assert said.answer is Answer.WAIT
    assert "300 outcomes of 3300 are not known" in said.because


@pytest.mark.parametrize(("gain", "cost"), [(-0.3, 0.1), (0.5, 0.9)])
def test_unknown_outcomes_shield_from_no_refusal(gain: float, cost: float) -> None:
    gate = Gate(limits=(0.5,))
    seen = rounds(1, gain, (cost,), 3000)
    blind = Scored(difference=seen.difference, costs=seen.costs, unknown=600, heaviest=1.0)
    said = verdict(gate, after(gate, blind))
    assert said.answer is Answer.REFUSE
    assert said.needed is None
    assert said.because[0] == "600 outcomes of 3600 are not known"


def test_rounds_one_by_one_are_the_rounds_at_once_bit_for_bit() -> None:
    gate = Gate(limits=(0.5,))
    all_at_once = rounds(5, 0.1, (0.3,), 40)
    state = init(gate)
    for i in range(40):
        one = slice(i, i + 1)
        state = step(
            gate, state,
            Scored(difference=all_at_once.difference[one], costs=all_at_once.costs[one],
                   unknown=0, heaviest=1.0),
        )  # fmt: skip
    whole = after(gate, all_at_once)
    assert state.mean.tobytes() == whole.mean.tobytes()
    assert state.squares.tobytes() == whole.squares.tobytes()


def test_the_measured_gate_is_the_shipped_one() -> None:
    gate = Gate(lead_in=20, tuned=100.0)
    runs = np.random.default_rng(6).standard_normal((8, 300)) + 0.3
    for run, first in zip(runs, ever(gate, runs), strict=True):
        yes = [
            verdict(gate, after(gate, _plain(run[:n]))).answer is Answer.PROMOTE
            for n in (first - 1, first)
        ]
        assert first > 20
        assert yes == [False, True]


def test_a_candidate_that_is_no_better_is_rarely_promoted_however_often_it_is_asked() -> None:
    """400 runs of 2000 looks: at 5 % more than 29 would come by chance in 1 of 40."""
    runs = np.random.default_rng(8).exponential(1.0, (400, 2000)) - 1.0
    assert (ever(Gate(lead_in=300, tuned=1000.0), runs) > 0).sum() <= 29


def _plain(values: np.ndarray) -> Scored:
    return Scored(difference=values, costs=np.empty((len(values), 0)), unknown=0, heaviest=1.0)


@pytest.mark.parametrize("wrong", [{"alpha": 0.0}, {"alpha": 0.5}, {"lead_in": 1}, {"tuned": 0.0}])
def test_a_gate_that_cannot_be_meant_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="promotion"):
        Gate(**wrong)  # type: ignore[arg-type]


def test_costs_without_their_limits_are_refused() -> None:
    with pytest.raises(ValueError, match="limits"):
        after(Gate(), rounds(1, 0.0, (0.1,), 5))
