"""A trained policy on the loop's side: what is remembered for it, and asking what it likes.

Nothing is remembered where no such arm is wanted. Whatever goes wrong in it, it says nothing and
the loop goes on: the runbook's word needs it for nothing.
"""

from dataclasses import replace

from homeostat.base.actions import Proposal
from homeostat.base.evidence import Evidence
from homeostat.base.guard import GuardState
from homeostat.base.learning import TRAINED, Liked, Offer, SeatState
from homeostat.base.policy import AdaptiveMode
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs
from homeostat.loop.parts import LoopParts
from homeostat.loop.seat_parts import SeatParts


def is_wanted(state: LoopState) -> bool:
    """Return whether a trained policy is an arm here."""
    policy = state.managed.adaptive
    heard = policy is not None and policy.mode is not AdaptiveMode.OFF
    return heard and state.managed.twin is not None and TRAINED in (policy.arms if policy else ())


def followed(parts: LoopParts, state: LoopState, evidence: Evidence) -> LoopState:
    """Return the state after one tick.

    Args:
        parts: The stages.
        state: The deployment's.
        evidence: The tick's.
    """
    learner, seat = parts.seat, state.seat
    before = None if seat is None else seat.watched
    if learner is None or learner.trained is None or not is_wanted(state):
        # What was remembered ends with the arm: it would be of another time when it comes back.
        if seat is None or before is None:
            return state
        return replace(state, seat=replace(seat, watched=None))
    trained = learner.trained
    try:
        after = trained.watch(before, evidence, state.managed, trained.chart)
    except Exception:  # noqa: BLE001 - whatever is remembered, the loop goes on without it
        after = None
    return replace(state, seat=replace(seat or SeatState(), watched=after))


def liked(
    learner: SeatParts, state: LoopState, seen: GuardState, proposal: Proposal, now: TimeNs
) -> Liked:
    """Return what the trained policy would do, nothing where none is an arm.

    Args:
        learner: The seat's parts.
        state: The deployment's.
        seen: What the guards see of it.
        proposal: The runbook's, with what the guards permit of what it named.
        now: The time.
    """
    trained = learner.trained
    if trained is None or not is_wanted(state):
        return Liked()
    watched = None if state.seat is None else state.seat.watched
    try:
        found = trained.like(
            proposal.action, seen, proposal.safe_set, watched, now, find=trained.find
        )
        return replace(found, offers=tuple(one for one in found.offers if _named(one, proposal)))
    except Exception as error:  # noqa: BLE001 - whoever fails says nothing, and nothing waits
        return Liked(said=f"{TRAINED} says nothing: {type(error).__name__}: {error}")


def _named(offer: Offer, proposal: Proposal) -> bool:
    """Return whether an offer is its own, and something that the runbook named; holding is not."""
    whole = offer.whole or offer.action
    own = offer.arm == TRAINED and not whole.is_passive
    return own and proposal.safe_set.holds(whole)
