"""What came of a pick: measured until it has settled, then learnt, or left out and counted.

An outcome that was never seen, or in which somebody else had a hand, is not a zero: it teaches
nothing. Where the twin's intervals hold too few of the last effects, what is not a way back asks a
person again, until one sets the mode (`trusting`); that is only ever less autonomy.
"""

import math
from dataclasses import replace
from typing import Final

from homeostat.base.decisions import Notice, Urgency
from homeostat.base.events import Command, Record, Tell
from homeostat.base.evidence import Evidence
from homeostat.base.learning import Awaited, Lesson, Payoff, SeatState, Standing
from homeostat.base.policy import AdaptiveMode, Managed
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
    awaited = replace(seat.awaited, tally=counted(seat.awaited.tally, evidence, state.managed))
    state = replace(state, seat=replace(seat, awaited=awaited))
    policy = state.managed.adaptive
    if policy is None or policy.mode is AdaptiveMode.OFF:
        return left(state, now, "nothing is learnt: it was switched off")
    why = _meddled(state, awaited, now)
    if why:
        return left(state, now, why)
    return _settled(parts.seat, state, awaited, now) if now >= awaited.until else (state, ())


def left(state: LoopState, now: TimeNs, why: str = _OTHER) -> Stepped:
    """Return the state without the awaited pick, whose outcome nobody will know."""
    seat = state.seat
    if seat is None or seat.awaited is None:
        return state, ()
    lesson = _lesson(state, seat.awaited, now, _unknown(seat.awaited), seat, hit=None, because=why)
    return replace(state, seat=replace(seat, awaited=None)), (Record(fact=lesson),)


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


def trusted_anew(seat: SeatState | None) -> SeatState | None:
    """Return the seat after a person set the mode: the twin is judged by what comes hence."""
    if seat is None or not (seat.distrusted or seat.demoted):
        return seat
    why = "a person set the mode"
    covering = replace(seat.covering, hits=(), drop=False, because=why)
    return replace(
        seat, distrusted=False, covering=covering, demoted=False, standing=Standing(because=(why,))
    )


def _meddled(state: LoopState, awaited: Awaited, now: TimeNs) -> str:
    """Return who else had a hand in the outcome, empty if nobody had."""
    if any(past.at >= awaited.pick.at and past.id != awaited.pick.id for past in state.past):
        return "nothing is learnt: another action came before its effect had settled"
    if state.foreign_until is not None and state.foreign_until > now:
        return "nothing is learnt: somebody else wrote to the deployment"
    if now < awaited.until or awaited.arm == "hold":
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
        covering, hit = parts.cover(seat.covering, awaited, parts.latency(awaited.tally))
        standing = seat.standing
        standing = parts.stand(standing, awaited, payoff) if awaited.arms else standing
    except Exception as error:  # noqa: BLE001 - whatever a learner does, the loop goes on
        return left(state, now, f"nothing is learnt: {type(error).__name__}: {error}")
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
    if awaited.pick.arm < 0:
        return f"{words}; it was the runbook's own: learnt is how far the twin was off"
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
