"""What came of a pick: measured until it has settled, then learnt, or left out and counted.

An outcome that was never seen, or in which somebody else had a hand, is not a zero: it teaches
nothing, and counts as unknown where learning is set against the runbook. Harm is charged to the
choice that did it, whoever repaired it since, and as soon as it is known: an action that was found
to do harm, a choice to hold that ended because the objectives were missed. Where the twin's
intervals hold too few of the last effects, what is not a way back asks a person again, until one
sets the mode (`trusting`); that is only ever less autonomy.
"""

import math
from dataclasses import replace
from typing import Final

from homeostat.base.decisions import Effect, Notice, Urgency
from homeostat.base.events import Command, Record, Tell
from homeostat.base.evidence import Evidence
from homeostat.base.intent import ActionState
from homeostat.base.learning import Awaited, Covering, Lesson, Payoff, SeatState, Standing
from homeostat.base.policy import AdaptiveMode, AdaptivePolicy, Managed
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs
from homeostat.loop.parts import LoopParts
from homeostat.loop.seat_parts import SeatParts
from homeostat.loop.seat_tally import counted
from homeostat.loop.seat_ways import WAYS_BACK

Stepped = tuple[LoopState, tuple[Command, ...]]

REFUSED: Final = "refuse"
"""The gate's word for what is surely worse than the runbook, or surely above a limit."""
_UNTIL: Final = "it ends when a person sets the mode"
_AGAIN: Final = f"{_UNTIL}; fit the twin anew first"
_OTHER: Final = "nothing is learnt: another decision came before its effect had settled"
_TAKEN_BACK: Final = frozenset({ActionState.ROLLED_BACK, ActionState.STUCK})
_HARMED: Final = "it was found to do harm"
_MISSED: Final = "the objectives were missed while it held"


def follow(parts: LoopParts, state: LoopState, evidence: Evidence, now: TimeNs) -> Stepped:
    """Return the state after one tick, and what was learnt on it.

    Args:
        parts: The stages.
        state: Its past and world are already this tick's.
        evidence: The tick's.
        now: Its time.
    """
    seat = state.seat
    if parts.seat is None or seat is None or seat.awaited is None:
        return state, ()
    awaited = _measured(seat.awaited, state, evidence)
    state = replace(state, seat=replace(seat, awaited=awaited))
    policy = state.managed.adaptive
    if policy is None or policy.mode is AdaptiveMode.OFF:
        return left(parts.seat, state, now, "nothing is learnt: it was switched off")
    harm = _harm(state, awaited, evidence, now)
    if harm:
        return _settled(parts.seat, state, replace(awaited, harm=harm), now)
    why = _meddled(state, awaited, now)
    if why:
        return left(parts.seat, state, now, why)
    if now < awaited.until:
        return state, ()
    if _in_flight(state, awaited):
        # Nobody has said yet whether it did harm.
        closed = replace(awaited, closed=True)
        return replace(state, seat=replace(seat, awaited=closed)), ()
    return _settled(parts.seat, state, awaited, now)


def left(learner: SeatParts, state: LoopState, now: TimeNs, why: str = _OTHER) -> Stepped:
    """Return the state without the awaited pick, whose outcome nobody will know.

    Args:
        learner: The seat's parts; where learning acted, the round counts as unknown.
        state: The deployment's.
        now: The time.
        why: In words.
    """
    seat = state.seat
    if seat is None or seat.awaited is None:
        return state, ()
    awaited, nothing = seat.awaited, _unknown(seat.awaited)
    standing = _stood(learner, seat, awaited, nothing)
    after = replace(
        seat, awaited=None, standing=standing, demoted=seat.demoted or standing.answer == REFUSED
    )
    lesson = _lesson(state, awaited, now, nothing, after, hit=None, because=why)
    told = _told(state, seat, after, now)
    return replace(state, seat=after), (Record(fact=lesson), *told)


def _stood(learner: SeatParts, seat: SeatState, awaited: Awaited, nothing: Payoff) -> Standing:
    """Return how learning stands after a round of which nothing is known."""
    if not awaited.arms:
        return seat.standing
    try:
        return learner.stand(seat.standing, awaited, nothing)
    except Exception:  # noqa: BLE001 - whatever a learner does, the loop goes on
        return replace(seat.standing, unknown=seat.standing.unknown + 1)


def _measured(awaited: Awaited, state: LoopState, evidence: Evidence) -> Awaited:
    """Return the pick with one tick more, unless it is past the horizon of what was foreseen."""
    if awaited.closed:
        return awaited
    return replace(awaited, tally=counted(awaited.tally, evidence, state.managed))


def _in_flight(state: LoopState, awaited: Awaited) -> bool:
    """Return whether the pick's own action reached the deployment and has not ended."""
    flying = state.record is not None and state.record.id == awaited.pick.id
    return flying and any(past.id == awaited.pick.id for past in state.past)


def _harm(state: LoopState, awaited: Awaited, evidence: Evidence, now: TimeNs) -> str:
    """Return the harm that is the pick's own, empty if none is known."""
    if awaited.arm == "hold":
        # As long as it held: at the end of the horizon what is measured then says how it ended.
        began_well = awaited.met is True and now < awaited.until
        return _MISSED if began_well and evidence.slo_met is False else ""
    own = next((past for past in state.past if past.id == awaited.pick.id), None)
    return _HARMED if own is not None and own.effect is Effect.HARMED else ""


def trusting(state: LoopState, managed: Managed) -> Managed:
    """Return the configuration, less what asks again since the twin is too sure of itself.

    Only where learning acts: the runbook's word does not rest on the twin. Ways back never ask
    because of what was learnt.
    """
    seat, policy = state.seat, managed.adaptive
    acts = policy is not None and policy.mode is AdaptiveMode.ON
    if seat is None or not seat.distrusted or not acts:
        return managed
    kinds = tuple(kind for kind in managed.guard.auto_kinds if kind in WAYS_BACK)
    return replace(managed, guard=replace(managed.guard, auto_kinds=kinds))


def trusted_anew(
    learner: SeatParts | None, seat: SeatState | None, policy: AdaptivePolicy | None
) -> SeatState | None:
    """Return the seat after a person set the mode: what comes hence is what it is judged by.

    Args:
        learner: The seat's parts, None for none.
        seat: Before.
        policy: What is declared now.
    """
    if seat is None:
        return None
    if learner is not None and policy is not None and seat.learnt:
        try:
            seat = replace(seat, learnt=learner.renew(seat.learnt, policy))
        except Exception:  # noqa: BLE001 - whatever a learner does, the mode is set
            seat = replace(seat, learnt="")
    if not (seat.distrusted or seat.demoted):
        return seat
    why = "a person set the mode"
    covering = replace(seat.covering, hits=(), drop=False, because=why)
    return replace(
        seat, distrusted=False, covering=covering, demoted=False, standing=Standing(because=(why,))
    )


def _meddled(state: LoopState, awaited: Awaited, now: TimeNs) -> str:
    """Return who else had a hand in the outcome, empty if nobody had."""
    own_id = "" if awaited.arm == "hold" else awaited.pick.id  # who holds has no action
    if any(past.at >= awaited.pick.at and past.id != own_id for past in state.past):
        return "nothing is learnt: another action came before its effect had settled"
    if state.foreign_until is not None and state.foreign_until > now:
        return "nothing is learnt: somebody else wrote to the deployment"
    if awaited.arm == "hold":
        return ""
    if any(done.id == awaited.pick.id and done.state in _TAKEN_BACK for done in state.finished):
        return "nothing is learnt: it was taken back for another reason than harm"
    if now < awaited.until:
        return ""
    own = next((past for past in state.past if past.id == awaited.pick.id), None)
    twin = state.managed.twin
    if own is None:
        return "nothing is learnt: it never reached the deployment"
    # What was foreseen is of then: a yes that took longer is carried out in another situation.
    late = twin is not None and own.at - awaited.pick.at > twin.good_ns
    return "nothing is learnt: it was carried out long after it was foreseen" if late else ""


def _settled(parts: SeatParts, state: LoopState, awaited: Awaited, now: TimeNs) -> Stepped:
    seat, policy = state.seat, state.managed.adaptive
    if seat is None or policy is None:
        raise AssertionError("nothing is awaited")
    try:
        payoff = parts.payoff(awaited, state.managed)
        learnt = parts.learn(seat.learnt, policy, awaited.pick, payoff)
        covering, hit = _covered(parts, seat, awaited)
        standing = seat.standing
        standing = parts.stand(standing, awaited, payoff) if awaited.arms else standing
    except Exception as error:  # noqa: BLE001 - whatever a learner does, the loop goes on
        return left(parts, state, now, f"nothing is learnt: {type(error).__name__}: {error}")
    because = _because(awaited, payoff)
    after = replace(
        seat,
        learnt=learnt,
        covering=covering,
        awaited=None,
        distrusted=seat.distrusted or covering.drop,
        standing=standing,
        demoted=seat.demoted or standing.answer == REFUSED,
    )
    lesson = _lesson(state, awaited, now, payoff, after, hit=hit, because=because)
    return replace(state, seat=after), (Record(fact=lesson), *_told(state, seat, after, now))


def _covered(parts: SeatParts, seat: SeatState, awaited: Awaited) -> tuple[Covering, bool | None]:
    """Return the line of the twin's intervals; what was cut short can miss, and holds nothing."""
    covering, hit = parts.cover(seat.covering, awaited, parts.latency(awaited.tally))
    return (
        parts.cover(seat.covering, awaited, math.nan) if awaited.harm and hit else (covering, hit)
    )


def _told(
    state: LoopState, before: SeatState, after: SeatState, now: TimeNs
) -> tuple[Command, ...]:
    """Return what people are told of it: the first time that the twin, or learning, is doubted."""
    out: list[Command] = []
    if after.distrusted and not before.distrusted:
        policy = state.managed.adaptive
        acts = policy is not None and policy.mode is AdaptiveMode.ON
        then = "what is no way back asks again" if acts else "were learning on, actions would ask"
        title = f"the twin is too sure of itself; {then}"
        out.append(_warned(state, "twin", title, (after.covering.because, _AGAIN), now))
    if after.demoted and not before.demoted:
        title = "learning did worse than the runbook, which decides again"
        out.append(_warned(state, "learning", title, (*after.standing.because, _UNTIL), now))
    return tuple(out)


def _because(awaited: Awaited, payoff: Payoff) -> str:
    gains = payoff.gains()
    if gains is None:
        return "nothing is learnt: what came of it was not seen, or not foreseen of the runbook's"
    words = f"reward {gains[0]:+.3f} against what was foreseen of the runbook's"
    if awaited.harm:
        words = f"{awaited.harm}, which counts as missed throughout: {words}"
    if awaited.pick.arm < 0:
        return f"{words}; it was the runbook's own: learnt is how far the twin was off"
    if awaited.pick.fraction < 1.0:
        return f"{words}; of the twin's error a part of a ramp teaches nothing"
    return words


def _warned(state: LoopState, about: str, title: str, lines: tuple[str, ...], now: TimeNs) -> Tell:
    name = state.managed.name
    notice = Notice(
        key=f"{name}.{about}",
        deployment=name,
        at=now,
        urgency=Urgency.INFO,
        title=f"{name}: {title}",
        lines=lines,
    )
    return Tell(notice=notice)


def _unknown(awaited: Awaited) -> Payoff:
    costs = (math.nan,) * len(awaited.base[1:])
    return Payoff(
        pick_id=awaited.pick.id, reward=math.nan,
        base_reward=awaited.base[0] if awaited.base else math.nan,
        costs=costs, base_costs=awaited.base[1:],
    )  # fmt: skip


def _lesson(
    state: LoopState,
    awaited: Awaited,
    now: TimeNs,
    payoff: Payoff,
    seat: SeatState,
    *,
    hit: bool | None,
    because: str,
) -> Lesson:
    return Lesson(
        decision_id=awaited.pick.id, deployment=state.managed.name, at=now, arm=awaited.arm,
        payoff=payoff, held=hit, covering=seat.covering, because=because, standing=seat.standing,
    )  # fmt: skip
