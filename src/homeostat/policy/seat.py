"""The learner in the decision seat: among what the guards permit, which arm, and why.

What a choice would bring beyond the runbook's is what the twin foresees of both, corrected by what
was learnt of how far the twin is off for either (`bandit`), in bounds that all hold with the
declared chance. A part f of a ramp is foreseen as f of the whole and 1 - f of holding, and is off
by f of what the one is off by and 1 - f of what the other is. Where an alarm was raised about one
of the models that an offer rests on, it is not played until a person sets the mode. Only what
surely adds no more to any cost than is allowed may be played, and of that the choice with the most
to gain: an upper bound, so that what is not known well is found out about. Without a rehearsal
nothing is known of an arm, nor of the runbook's proposal, and the latter stands. Advice, no more:
`loop.seat` asks the guards again.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from homeostat.base.actions import HOLD, Action, Refusal, SafeSet
from homeostat.base.guard import GuardState
from homeostat.base.learning import INCUMBENT, Advice, Arm, Offer, Pick, Span
from homeostat.base.policy import AdaptivePolicy
from homeostat.base.units import TimeNs
from homeostat.policy import seat_context, seat_effect
from homeostat.policy.bandit_choose import Chosen, Option, Weighed, chosen, rounded_down, weighed
from homeostat.policy.seat_arms import ARMS, arms_of, passed_over
from homeostat.policy.seat_learn import MODELS, config, opened

_DIGITS: Final = 6  # of what is written down: the last bits of a float differ between machines
_NOTHING: Final = Span(low=0.0, mid=0.0, high=0.0)
_UNKNOWN: Final = Span(low=math.nan, mid=math.nan, high=math.nan)
_UNSEEN: Final = "it was not rehearsed, or not by a twin that is trusted"
_BEYOND: Final = "its outcomes were further off than spec.adaptive.doubt says they can be"
_ALARMED: Final = f"{_BEYOND}: not before a person sets the mode"


class Off(NamedTuple):
    """How far the twin may be off for something.

    Attributes:
        spans: Lower and upper bound, of the gain and then of each cost.
        refused: Why nothing may rest on them, empty = it may.
    """

    spans: tuple[tuple[float, float], ...]
    refused: tuple[str, ...]


class Bound(NamedTuple):
    """One offer as it is weighed.

    Attributes:
        offer: What would be done.
        fraction: On the bandit's grid.
        foreseen: Of the gain, then of each extra cost.
        spans: The same, corrected and in bounds.
        refused: Why it may not be played, empty = it may.
    """

    offer: Offer
    fraction: float
    foreseen: tuple[float, ...]
    spans: tuple[Span, ...]
    refused: tuple[str, ...]


def weigh(
    offers: Sequence[Offer],
    incumbent: Action,
    safe_set: SafeSet,
    seen: GuardState,
    learnt: str,
    *,
    pick_id: str,
    now: TimeNs,
    roll: float,
) -> Advice:
    """Return which offer the learner would take, with every arm as it was weighed.

    Args:
        offers: What the arms would do, all of it permitted.
        incumbent: The runbook's proposal.
        safe_set: What is permitted of what was rehearsed.
        seen: What the guards see.
        learnt: What was learnt so far (`seat_learn`).
        pick_id: The decision's id.
        now: The time.
        roll: Uniform in [0, 1).

    Raises:
        ValueError: The deployment declares nothing adaptive, or the roll is out of range.
    """
    policy = seen.managed.adaptive
    if policy is None:
        raise ValueError("the seat: nothing adaptive is declared; write spec.adaptive")
    x = seat_context.context(seen, now)
    free = (math.inf,) * len(seat_effect.COSTS)
    state, view = opened(learnt, policy)
    off = [
        _off(one, float(times))
        for one, times in zip(weighed(config(policy), view, x, free), state.inflated, strict=True)
    ]
    base = _foreseen(incumbent, seen)
    bounds = [_bound(one, base, seen, off, policy) for one in offers]
    may = [n for n, one in enumerate(bounds) if not one.refused]
    options = [Option(-1, 0.0, 0.0)]
    options += [
        Option(ARMS.index(bounds[n].offer.arm), bounds[n].fraction, bounds[n].spans[0].high)
        for n in may
    ]
    choice = chosen(options, policy.explore, roll)
    number = (-1, *may)[choice.number]
    pick = Pick(
        id=pick_id, at=now, features=tuple(x.tolist()), arm=options[choice.number].arm,
        fraction=options[choice.number].fraction, propensity=choice.propensities[choice.number],
        propensities=_by_arm(options, choice, arms_of(policy)),
        foreseen=bounds[number].foreseen if number >= 0 else (),
    )  # fmt: skip
    rows = _arms(bounds, may, choice, incumbent, passed_over(seen, safe_set))
    because = _because(bounds, number, explored=choice.number != choice.best)
    return Advice(
        number=number, pick=pick, arms=rows, base=base, because=because,
        room=seat_effect.room(policy.missed, policy.failed),
    )  # fmt: skip


def _foreseen(action: Action, seen: GuardState) -> tuple[float, ...]:
    """Return what a trusted twin foresees of an action; NaN where it does not."""
    answer = seen.rehearsal
    trusted = answer is not None and answer.trust.is_given
    return seat_effect.foreseen(answer.of(action) if answer and trusted else None, seen.managed)


def _bound(
    offer: Offer,
    base: tuple[float, ...],
    seen: GuardState,
    off: Sequence[Off],
    policy: AdaptivePolicy,
) -> Bound:
    """Return one offer in bounds; `off` is the twin's error, of each of `MODELS`."""
    part = rounded_down(offer.fraction)
    own = _foreseen(offer.whole or offer.action, seen)
    ours, theirs = off[MODELS.index(offer.arm)], off[MODELS.index(INCUMBENT)]
    if part < 1.0:
        idle = _foreseen(HOLD, seen)
        own = tuple(part * a + (1.0 - part) * b for a, b in zip(own, idle, strict=True))
        ours = _mixed(part, ours, off[MODELS.index("hold")])
    ahead = tuple(a - b for a, b in zip(own, base, strict=True))
    spans = tuple(
        _span(more + low - most, more + high - least)
        for more, (low, high), (least, most) in zip(ahead, ours.spans, theirs.spans, strict=True)
    )
    refused = _too_dear(spans, seat_effect.room(policy.missed, policy.failed))
    refused = (*refused, *dict.fromkeys((*ours.refused, *theirs.refused)))
    return Bound(offer, part, ahead, spans, refused if part > 0.0 else ("its part is too small",))


def _off(model: Weighed, inflated: float) -> Off:
    """Return how far the twin may be off, by one model; `inflated` above 1 after an alarm."""
    spans = (model.gain, *model.costs)
    if inflated > 1.0:
        return Off(spans, (_ALARMED,))
    # Bounds that cross are evidence against what was declared: then they bound nothing.
    return Off(spans, (_BEYOND,) if any(low > high for low, high in spans) else ())


def _mixed(part: float, whole: Off, hold: Off) -> Off:
    """Return how far the twin may be off for a part of a ramp: a mean of what both are off by."""
    spans = tuple(
        (part * low + (1.0 - part) * least, part * high + (1.0 - part) * most)
        for (low, high), (least, most) in zip(whole.spans, hold.spans, strict=True)
    )
    return Off(spans, (*whole.refused, *hold.refused))


def _too_dear(spans: Sequence[Span], room: Sequence[float]) -> tuple[str, ...]:
    """Return why bounds do not let an arm be played."""
    if any(math.isnan(span.high) for span in spans):
        return (_UNSEEN,)
    return tuple(
        f"it might add {span.high:.2f} to {cost}, and {most:.2f} is allowed"
        for cost, span, most in zip(seat_effect.COSTS, spans[1:], room, strict=True)
        if not span.high <= most
    )


def _by_arm(options: Sequence[Option], choice: Chosen, arms: Sequence[str]) -> tuple[float, ...]:
    out = [0.0] * (len(arms) + 1)
    for option, share in zip(options, choice.propensities, strict=True):
        out[option.arm] += share  # the incumbent is -1: the last place
    return tuple(out)


def _arms(
    bounds: Sequence[Bound],
    may: Sequence[int],
    choice: Chosen,
    incumbent: Action,
    passed: Sequence[Refusal],
) -> tuple[Arm, ...]:
    """Return the runbook's arm, every offer, and what the twin likes better but is refused."""
    chances = dict(zip(may, choice.propensities[1:], strict=True))
    costs = len(seat_effect.COSTS)
    rows = [
        Arm(
            name=INCUMBENT, action=named(incumbent), fraction=1.0, chance=choice.propensities[0],
            gain=_NOTHING, extra=(_NOTHING,) * costs,
        )
    ]  # fmt: skip
    rows += [
        Arm(
            name=one.offer.arm, action=named(one.offer.action), fraction=one.fraction,
            chance=chances.get(n, 0.0), gain=one.spans[0], extra=one.spans[1:],
            refused=one.refused,
        )
        for n, one in enumerate(bounds)
    ]  # fmt: skip
    rows += [
        Arm(
            name="twin", action=named(one.action), fraction=1.0, chance=0.0,
            gain=_UNKNOWN, extra=(_UNKNOWN,) * costs, refused=one.reasons,
        )
        for one in passed
    ]  # fmt: skip
    return tuple(rows)


def _because(bounds: Sequence[Bound], number: int, *, explored: bool) -> tuple[str, ...]:
    if number >= 0:
        one = bounds[number]
        gain = one.spans[0]
        why = "to learn" if explored else "the most to gain"
        more = f"{gain.low:+.2f} to {gain.high:+.2f} of the worst hour more than the runbook's"
        return (f"{one.offer.arm} at {one.fraction:.0%}: {why}, {more}",)
    if explored:
        return ("the runbook's, to learn",)
    if any(not one.refused for one in bounds):
        return ("the runbook's: nothing else can gain on it",)
    return ("the runbook's: nothing else may be played",)


def named(action: Action) -> str:
    """Return an action as it is called in a row: kind and subject."""
    return action.kind.value if action == HOLD else f"{action.kind} {action.subject}"


def _span(low: float, high: float) -> Span:
    return Span(low=_short(low), mid=_short((low + high) / 2.0), high=_short(high))


def _short(value: float) -> float:
    return round(value, _DIGITS)
