"""Learning is set against the runbook by outcomes alone, and loses its say where it is worse."""

import math
import random
from dataclasses import replace

import pytest

from homeostat.base.learning import Arm, Awaited, Payoff, Pick, Span, Standing
from homeostat.base.units import TimeNs
from homeostat.learn.standing import stand

ROOM = (0.1, 0.4)
NONE = Span(low=0.0, mid=0.0, high=0.0)


def arms(gain: float, explore: float = 0.4) -> tuple[Arm, ...]:
    """The runbook's and the twin's, of which the twin foresees this gain; and one refused."""
    even = explore / 2
    ahead = Span(low=gain - 0.3, mid=gain, high=gain + 0.3)
    return (
        Arm(name="runbook", action="a", fraction=1.0, chance=even, gain=NONE, extra=(NONE, NONE)),
        Arm(name="hold", action="b", fraction=1.0, chance=0.0, gain=NONE, extra=(NONE, NONE),
            refused=("too dear",)),
        Arm(name="twin", action="c", fraction=1.0, chance=1.0 - even, gain=ahead,
            extra=(NONE, NONE)),
    )  # fmt: skip


def awaited(arm: str, found: tuple[Arm, ...]) -> Awaited:
    own = next(one for one in found if one.name == arm)
    pick = Pick(
        id="d-0001", at=TimeNs(0), features=(), arm=-1 if arm == "runbook" else 1,
        fraction=0.0 if arm == "runbook" else 1.0, propensity=own.chance,
    )  # fmt: skip
    return Awaited(
        pick=pick, arm=arm, incident_id="", until=TimeNs(1), base=(-0.5, 0.5, 0.0), before=1.0,
        foreseen_hold=1.0, foreseen_low=1.0, foreseen_high=1.0, met=True, arms=found, room=ROOM,
    )  # fmt: skip


def payoff(reward: float, missed: float = 0.5) -> Payoff:
    return Payoff(
        pick_id="d-0001", reward=reward, base_reward=-0.5, costs=(missed, 0.0),
        base_costs=(0.5, 0.0),
    )  # fmt: skip


def after(
    rounds: int, truth: float, foreseen: float, *, missed: float = 0.5, base: float = 0.5
) -> Standing:
    """So many rounds in which the twin's arm brings `truth` more than the runbook's.

    Args:
        rounds: How many.
        truth: What it brings.
        foreseen: What was foreseen that it would.
        missed: What is missed by its arm.
        base: What is missed by the runbook's, of which 0.5 is foreseen.
    """
    chance, found, state = random.Random(1), arms(foreseen), Standing()
    for _ in range(rounds):
        twin = chance.random() < found[2].chance
        reward = -0.5 + (truth if twin else 0.0) + chance.gauss(0.0, 0.1)
        cost = missed if twin else base
        state = stand(state, awaited("twin" if twin else "runbook", found), payoff(reward, cost))
    return state


@pytest.mark.parametrize("foreseen", [0.3, -0.1])
def test_whatever_was_foreseen_outcomes_say_how_it_stands(foreseen: float) -> None:
    found = after(700, truth=0.2, foreseen=foreseen)
    assert found.mean[0] == pytest.approx(0.2, abs=0.05)
    assert (found.answer, found.rounds) == ("promote", 700)


def test_what_is_surely_worse_is_refused() -> None:
    assert after(700, truth=-0.2, foreseen=0.3).answer == "refuse"


def test_what_surely_costs_more_than_is_allowed_is_refused_however_much_it_gains() -> None:
    found = after(700, truth=0.2, foreseen=0.2, missed=0.9)
    assert found.answer == "refuse"
    assert found.mean[1] == pytest.approx(0.4, abs=0.05)


def test_a_twin_that_is_too_rosy_for_both_alike_is_no_cost_of_learning() -> None:
    found = after(1500, truth=0.0, foreseen=0.0, missed=0.95, base=0.95)
    assert found.mean[1] == pytest.approx(0.0, abs=0.1)
    assert found.answer == "wait"


def test_a_twin_that_is_too_gloomy_for_the_runbook_hides_no_cost_of_learning() -> None:
    """Of both 0.5 is foreseen; the runbook's misses 0.1 and learning 0.5, which is 0.4 more."""
    found = after(3000, truth=0.0, foreseen=0.0, missed=0.5, base=0.1)
    assert found.mean[1] == pytest.approx(0.4, abs=0.1)
    assert found.answer == "refuse"


def test_costs_that_were_counted_whole_are_not_gone_on_with() -> None:
    before = after(20, truth=0.2, foreseen=0.3)
    assert before.limits == ROOM
    for limits in ((), (0.2, 0.4)):
        old = replace(before, limits=limits)
        assert stand(old, awaited("twin", arms(0.3)), payoff(-0.1)).rounds == 1


def test_before_there_is_enough_it_says_how_much_is_missing() -> None:
    found = after(20, truth=0.2, foreseen=0.3)
    assert found.answer == "wait"
    assert found.because == ("not enough data: need 480 more before anything can be said",)


def test_an_unknown_outcome_is_counted_and_is_no_zero() -> None:
    before = after(20, truth=0.2, foreseen=0.3)
    for blank in (payoff(math.nan), payoff(0.0, math.nan)):
        found = stand(before, awaited("twin", arms(0.3)), blank)
        assert (found.rounds, found.mean) == (before.rounds, before.mean)
        assert found.unknown == before.unknown + 1


def test_without_exploring_nothing_can_be_said_of_the_runbook() -> None:
    found = stand(Standing(), awaited("twin", arms(0.3, explore=0.0)), payoff(-0.1))
    assert (found.rounds, found.unscored, found.answer) == (0, 1, "wait")


def test_other_limits_start_the_count_anew() -> None:
    before = after(20, truth=0.2, foreseen=0.3)
    other = replace(before, mean=before.mean[:2], squares=before.squares[:2])
    assert stand(other, awaited("twin", arms(0.3)), payoff(-0.1)).rounds == 1
