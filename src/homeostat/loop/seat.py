"""The decision seat: a learner is heard between the runbook's proposal and the guards.

It is heard only where there is a choice that may wait: never on a way back (undo, rollback, one
replica, more capacity), on what a person asks for, or on telling a person. What it says is only
taken where it names an offer, the guards permit that offer when asked anew, and it is no second
delay of one incident's cure; else the runbook's proposal stands. In shadow it is heard and written
down, and nothing follows. What comes of a pick is `seat_outcome`'s.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from homeostat.base import names
from homeostat.base.actions import HOLD, Action, Proposal, SafeSet
from homeostat.base.events import Command, Record
from homeostat.base.guard import Deny, GuardState
from homeostat.base.learning import INCUMBENT, Advice, Awaited, Offer, Pick, Seating, SeatState
from homeostat.base.policy import AdaptiveMode, AdaptivePolicy
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs
from homeostat.loop import memory, rehearsing, seat_outcome, seat_watch
from homeostat.loop.parts import LoopParts
from homeostat.loop.seat_parts import SeatParts
from homeostat.loop.seat_tally import believed
from homeostat.loop.seat_ways import WAYS_BACK

POLICY: Final = "safe_canary"
"""Who proposed, where it was learning."""
DISTRUST: Final = "the twin was too sure of itself lately: what is no way back asks a person"
_NONSENSE: Final = "the runbook's: what learning said makes no sense ({})"
_ONCE: Final = "the runbook's: learning may not hold back a cure of this incident any more"
_SHADOW: Final = "in shadow: it is written down, and the runbook decides"
_DEMOTED: Final = "it did worse than the runbook: it is written down, and the runbook decides"

_Seated = tuple[LoopState, Proposal, tuple[Command, ...]]


def holds_back(state: LoopState, proposal: Proposal, now: TimeNs) -> Proposal | None:
    """Return the choice to hold while it lasts, None where nothing is held back.

    It ends when its effect has settled, when another incident or none is open, when the objectives
    are missed that were met, when the runbook proposes what is never delayed, and when learning may
    not act any more: a person set the mode.
    """
    awaited = None if state.seat is None else state.seat.awaited
    policy = state.managed.adaptive
    if awaited is None or awaited.arm != "hold" or policy is None or not _acts(state, policy):
        return None
    if not _heard(state, proposal.action):
        return None
    incident_id = state.incident.id if state.incident is not None else ""
    met = state.evidence.slo_met if state.evidence is not None else None
    if now >= awaited.until or incident_id != awaited.incident_id or (awaited.met and not met):
        return None
    return replace(proposal, action=HOLD, policy=POLICY, propensity=1.0, because=awaited.because)


def taken(
    parts: LoopParts, state: LoopState, wanted: Sequence[Action], proposal: Proposal, now: TimeNs
) -> _Seated:
    """Return the proposal that is decided on, and what was said of it for the journal.

    Args:
        parts: The stages.
        state: The deployment's state.
        wanted: The runbook's candidates.
        proposal: The runbook's proposal; the twin was asked about it, or is not to be asked.
        now: The time.
    """
    learner, policy = parts.seat, state.managed.adaptive
    if learner is None or policy is None or not _heard(state, proposal.action):
        return state, proposal, ()
    if not rehearsing.covers(state, proposal.action, now):
        return state, proposal, ()
    state, before = seat_outcome.left(learner, state, now)
    ask = _asked(parts, learner, state, wanted, proposal, now)
    advice, problem = _advised(parts, learner, state, ask)
    acts = _acts(state, policy) and advice is not None and not problem
    if acts and advice is not None:
        proposal = _followed(proposal, ask, advice)
    if policy.mode is AdaptiveMode.ON and state.seat is not None and state.seat.distrusted:
        proposal = replace(proposal, because=(*proposal.because, DISTRUST))
    fact = _said(state, policy, ask, advice, problem)
    state = _awaiting(state, fact, proposal, advice, acts=acts)
    return state, proposal, (*before, Record(fact=fact))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What a learner is asked with."""

    incumbent: Action
    offers: tuple[Offer, ...]
    safe_set: SafeSet
    seen: GuardState
    pick_id: str
    key: str
    roll: float
    now: TimeNs
    trained: str


def _heard(state: LoopState, action: Action) -> bool:
    """Return whether there is a choice here that may wait."""
    policy = state.managed.adaptive
    if policy is None or policy.mode is AdaptiveMode.OFF or state.managed.twin is None:
        return False
    if action.is_passive or action.exempt or action.kind in WAYS_BACK:
        return False
    # Back to a setting that served is a way back as well.
    served = {(one.lever, one.value) for one in state.settings if one.served}
    return not any(move in served for move in action.change)


def _acts(state: LoopState, policy: AdaptivePolicy) -> bool:
    """Return whether what learning says is followed."""
    demoted = state.seat is not None and state.seat.demoted
    return policy.mode is AdaptiveMode.ON and not demoted


def _asked(
    parts: LoopParts,
    learner: SeatParts,
    state: LoopState,
    wanted: Sequence[Action],
    proposal: Proposal,
    now: TimeNs,
) -> _Asked:
    """Return the question, every offer of it through the guards."""
    seen, pick_id = memory.guard_state(state), f"d-{state.decisions + 1:04d}"
    try:
        named = learner.offers(proposal.action, seen, proposal.safe_set)
    except Exception:  # noqa: BLE001 - whoever offers nothing is not heard, and nothing waits for it
        named = ()
    liked = seat_watch.liked(learner, state, seen, proposal, now)
    named = (*named, *liked.offers)
    safe_set = parts.permit((*wanted, *(one.action for one in named)), seen, now)
    key = f"{state.managed.name}|{pick_id}"
    return _Asked(
        incumbent=proposal.action,
        # Whoever holds is the arm that is counted for it.
        offers=tuple(
            one
            for one in named
            if safe_set.holds(one.action) and (one.arm == "hold" or not one.action.is_passive)
        ),
        safe_set=safe_set,
        seen=seen,
        pick_id=pick_id,
        key=key,
        roll=draw(key),
        now=now,
        trained=liked.said,
    )


def draw(key: str) -> float:
    """Return a number in [0, 1) that depends on the key alone: SHA-256, its first 53 bits.

    >>> draw("m|d-0001") == draw("m|d-0001") != draw("m|d-0002")
    True
    """
    head = hashlib.sha256(f"homeostat.seat/1|{key}".encode()).digest()[:8]
    return (int.from_bytes(head, "big") >> 11) * 2.0**-53


def _advised(
    parts: LoopParts, learner: SeatParts, state: LoopState, ask: _Asked
) -> tuple[Advice | None, str]:
    """Return what the learner says, None where it makes no sense, and why it is not followed."""
    learnt = "" if state.seat is None else state.seat.learnt
    try:
        advice = learner.weigh(
            ask.offers, ask.incumbent, ask.safe_set, ask.seen, learnt,
            pick_id=ask.pick_id, now=ask.now, roll=ask.roll,
        )  # fmt: skip
        problem = _problem(advice, ask)
        if problem:
            return None, _NONSENSE.format(problem)
        return advice, _forbidden(parts, state, ask, advice)
    except Exception as error:  # noqa: BLE001 - whatever a learner does, the runbook's word stands
        return None, _NONSENSE.format(f"{type(error).__name__}: {error}")


def _problem(advice: Advice, ask: _Asked) -> str:
    """Return what makes no sense about advice, empty where it makes sense."""
    number, pick = advice.number, advice.pick
    if type(number) is not int or not -1 <= number < len(ask.offers):
        return f"offer {number!r} of {len(ask.offers)}"
    if pick.id != ask.pick_id or pick.at != ask.now or (number < 0) != (pick.arm < 0):
        return "its pick is of another decision or arm"
    shares = (pick.propensity, *pick.propensities)
    # NaN is in no range: every comparison with it is false.
    if not all(0.0 <= one <= 1.0 for one in shares) or pick.propensity <= 0.0:
        return f"chances {shares}"
    if not math.isclose(sum(pick.propensities), 1.0, abs_tol=1e-9):
        return f"chances {shares}"
    known = (*pick.features, *pick.foreseen, pick.fraction)
    return "" if all(map(math.isfinite, known)) else "its pick holds what is no number"


def _forbidden(parts: LoopParts, state: LoopState, ask: _Asked, advice: Advice) -> str:
    """Return why advice that makes sense is not followed: the guards, asked anew, or a delay."""
    if advice.number < 0:
        return ""
    action = ask.offers[advice.number].action
    answer = parts.guard(action, ask.seen, ask.now)
    if isinstance(answer, Deny) or not ask.safe_set.holds(action):
        reasons = answer.reasons if isinstance(answer, Deny) else ("it is not permitted",)
        return f"the runbook's: {'; '.join(reasons)}"
    return "" if action != HOLD or _may_hold(state) else _ONCE


def _may_hold(state: LoopState) -> bool:
    """Return whether a cure may be held back: so often an incident, and in calm always."""
    seat, policy, incident = state.seat or SeatState(), state.managed.adaptive, state.incident
    if incident is None or policy is None:
        return policy is not None
    return (seat.holds if seat.held_for == incident.id else 0) < policy.holds


def _followed(proposal: Proposal, ask: _Asked, advice: Advice) -> Proposal:
    """Return the proposal that the advice comes to; it cannot be built outside the safe set."""
    if advice.number < 0:
        return replace(proposal, propensity=advice.pick.propensity)
    return replace(
        proposal,
        action=ask.offers[advice.number].action,
        safe_set=ask.safe_set,
        policy=POLICY,
        propensity=advice.pick.propensity,
        because=(*advice.because, *proposal.because),
    )


def _said(
    state: LoopState, policy: AdaptivePolicy, ask: _Asked, advice: Advice | None, problem: str
) -> Seating:
    """Return what was said and what followed, for the journal."""
    number = advice.number if advice is not None else -1
    wanted = ask.offers[number].arm if number >= 0 else INCUMBENT
    acts = _acts(state, policy) and advice is not None and not problem
    because = () if advice is None else advice.because
    if problem:
        because = (*because, problem)
    elif number >= 0 and not acts:
        because = (*because, _SHADOW if policy.mode is AdaptiveMode.SHADOW else _DEMOTED)
    return Seating(
        decision_id=ask.pick_id,
        deployment=state.managed.name,
        at=ask.now,
        mode=policy.mode.value,
        key=ask.key,
        roll=ask.roll,
        wanted=wanted,
        played=wanted if acts else INCUMBENT,
        pick=advice.pick if acts and advice is not None else _certain(ask, advice),
        arms=() if advice is None else advice.arms,
        because=because,
        trained=ask.trained,
    )


def _certain(ask: _Asked, advice: Advice | None) -> Pick:
    """Return the pick of the runbook's proposal where nothing else could have been played."""
    arms = 1 if advice is None else len(advice.pick.propensities)
    return Pick(
        id=ask.pick_id,
        at=ask.now,
        features=() if advice is None else advice.pick.features,
        arm=-1,
        fraction=0.0,
        propensity=1.0,
        propensities=(*(0.0,) * (arms - 1), 1.0),
    )


def _awaiting(
    state: LoopState, fact: Seating, proposal: Proposal, advice: Advice | None, *, acts: bool
) -> LoopState:
    """Return the state that waits for what comes of the pick."""
    seat, answer, evidence = state.seat or SeatState(), state.rehearsal, state.evidence
    incident_id = "" if state.incident is None else state.incident.id
    if fact.played == "hold":
        before = seat.holds if seat.held_for == incident_id else 0
        seat = replace(seat, held_for=incident_id, holds=before + 1)
        # Its record is due, whatever was held before.
        state = replace(state, held_because=(), seat=seat)
    if answer is None or not answer.trust.is_given or advice is None or evidence is None:
        return state  # nothing is foreseen that an outcome could be compared with
    own, idle = answer.of(proposal.action), answer.hold
    ahead = None if own is None else own.foreseen.latency_ms
    awaited = Awaited(
        pick=fact.pick,
        arm=fact.played,
        incident_id=incident_id,
        until=TimeNs(fact.at + answer.horizon_ns),
        base=advice.base,
        before=believed(evidence, names.LATENCY_P95),
        foreseen_hold=math.nan if idle is None else idle.foreseen.latency_ms.p50,
        foreseen_low=math.nan if ahead is None else ahead.p5,
        foreseen_high=math.nan if ahead is None else ahead.p95,
        met=evidence.slo_met,
        because=proposal.because,
        arms=advice.arms if acts else (),
        room=advice.room,
    )
    return replace(state, seat=replace(seat, awaited=awaited))
