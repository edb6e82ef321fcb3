"""Other people's outages, second part: releases that went on, went back too late or got stuck."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind
from homeostat.base.decisions import Effect
from homeostat.base.guard import Allow, Deny, GuardAnswer, GuardState
from homeostat.base.intent import ActionState
from homeostat.base.units import MINUTE, SECOND, TimeNs
from homeostat.loop import protocol
from homeostat.safety.guard import guard
from homeostat.safety.sight import look
from homeostat.testing import guard_cases as cases
from homeostat.testing import guard_scene as g
from homeostat.testing.outages import Outage, Outcome
from homeostat.testing.outages_blind import allows
from homeostat.testing.outages_play import START, Play, Target

_WEIGHT: Final = names.lever_weight(g.FALLBACK)
_BEFORE: Final = 5.0
_RAMP: Final = (10.0, 25.0, 50.0)
_STUCK_RETRIES: Final = 100
"""Of the same write in an hour: nobody would call that a bounded retry."""
_ADDED: Final = 2
"""Replicas that a release brought."""
_EVERY: Final = 10
"""Seconds between two looks of an analysis, as in Argo Rollouts' examples."""
_ERROR_LIMIT: Final = 4
"""Of errors in a row, `consecutiveErrorLimit`."""
_ANSWERED: Final = 600
"""When what was decided is carried out, in seconds."""


def ramp() -> Action:
    """Return a ramp of traffic towards a pool, in three rungs."""
    action = g.act(ActionKind.SHIFT_TRAFFIC, names.pool(g.FALLBACK), weight__b=_RAMP[-1])
    return replace(action, ramp=_RAMP, settle_ns=5 * SECOND)


def target() -> Target:
    """Return the target that a ramp starts from."""
    return Target(levers={_WEIGHT: _BEFORE})


def _weight(play: Play) -> float:
    return float(play.target.levers[_WEIGHT])


def _ends(play: Play, *, wanted: float = _BEFORE) -> Outcome:
    """Return where the traffic stayed, and whether that is what was promised."""
    play.go()
    does = f"ends `{play.record.state}` at {_weight(play):.0f} %"
    return Outcome(does=does, harm=_weight(play) != wanted)


def _promotes_when_helped() -> bool:
    play = Play(action=ramp(), target=target())
    play.go()
    return play.record.state is ActionState.SUCCEEDED and _weight(play) == _RAMP[-1]


def _argo_inconclusive() -> Outcome:
    """No measurement, and the run is being ended: successful."""
    measurements: list[float] = []
    phase = "Successful" if not measurements else "Running"
    return Outcome(does=f"an ended background run without a result is *{phase}*: promoted",
                   harm=phase == "Successful")  # fmt: skip


def _argo_abort() -> Outcome:
    """A request to promote in full skips the steps, and with them the place where abort is read."""
    promote_full, aborted, weight = True, True, _BEFORE
    for rung in _RAMP:
        if aborted and not promote_full:
            break
        weight = rung
    return Outcome(does=f"abort is not read any more: {weight:.0f} %", harm=weight == _RAMP[-1])


def _abort_wins() -> Outcome:
    """The stop comes in every second of the ramp, one run each."""
    left: list[float] = []
    whole = Play(action=ramp(), target=target())
    whole.go()
    for tick in range(1, whole.tick):
        play = Play(action=ramp(), target=target())
        play.said[tick] = protocol.Abort(reason="a person said stop")
        play.go()
        left.append(_weight(play))
    bad = sum(weight != _BEFORE for weight in left)
    return Outcome(does=f"stopped in each of {len(left)} seconds: {bad} left behind", harm=bad > 0)


def _argo_goes_on() -> Outcome:
    verdicts, weight = ["Failed", "Running", "Running"], _BEFORE
    for rung, verdict in zip(_RAMP, verdicts, strict=True):
        weight = rung
        if verdict == "Failed" and weight == _RAMP[-1]:
            break  # only the last step's analysis was waited for
    return Outcome(does=f"the failed run is not waited for: {weight:.0f} %", harm=weight > _RAMP[0])


def _old_hang() -> GuardState:
    """Two more replicas were added; the first two hang since."""
    return g.hung(g.hung(g.scene(4, spares=0), "a-1"), "a-2")


def _kills_canary(state: GuardState) -> Outcome:
    """Abort is scaling what was added to nothing, whatever else serves."""
    failing = look(state, g.NOW).failing
    stable = [slot for slot in cases.known(state)[0].replicas if slot.pool == g.STABLE]
    left = [slot for slot in stable[:-_ADDED] if slot.name not in failing]
    does = f"removes all canary pods, {len(left)} replicas serve"
    return Outcome(does=does, harm=not left)


def _undo_keeps_floor() -> Outcome:
    """The undo would take the good ones."""
    answer = _undo_of_two(_old_hang())
    if isinstance(answer, Deny):
        return Outcome(does=f"keeps them ({answer.reasons[0].split(':')[0]})", harm=False)
    return Outcome(does="takes the replicas that serve", harm=True)


def _undo_of_two(state: GuardState) -> GuardAnswer:
    action, pre = g.scale(4), ((names.lever_replicas(g.STABLE), 2.0),)
    state = cases.flying(state, action, ActionState.ROLLING_BACK, intent=True, pre=pre)
    return guard(replace(action, change=pre), state, g.NOW, undo=True)


def _undo_where_all_serve() -> bool:
    return isinstance(_undo_of_two(g.scene(4, spares=0)), Allow)


def _deaf(tick: int) -> bool:
    """The target answers until the first write is out, and never again."""
    return tick < 3  # noqa: PLR2004


def _retries(answers: Callable[[int], bool]) -> Outcome:
    """The same write every two seconds until it is answered, for an hour."""
    sent = 0
    for tick in range(4, 60 * 60 + 4, 2):
        sent += 1
        if answers(tick):
            break
    ended = sent <= _STUCK_RETRIES
    return Outcome(does=f"{sent} times in an hour, and {'an' if ended else 'no'} end",
                   harm=not ended)  # fmt: skip


def _stuck_is_said() -> Outcome:
    play = Play(action=ramp(), target=target(), replies=False)

    def deaf(tick: int) -> None:
        play.target.reachable = _deaf(tick)

    play.each = deaf
    play.go()
    told = bool(play.pages) or play.record.state is ActionState.ROLLED_BACK
    bounded = play.record.state.is_terminal and len(play.sent) < _STUCK_RETRIES and told
    does = f"{len(play.sent)} write, `{play.record.state}` after {play.tick} s, a person is told"
    return Outcome(does=does, harm=not bounded)


def _gate_before_rollback() -> Outcome:
    """The confirm gate is asked before the check that would roll back, on every tick."""
    weight, failed = _RAMP[0], 0
    for _ in range(18):
        confirmed = False
        if not confirmed:
            failed += 1
            continue
        weight = _BEFORE
    return Outcome(does=f"{failed} failures while it waits, still {weight:.0f} %",
                   harm=weight != _BEFORE)  # fmt: skip


def _nothing_waits_exposed() -> Outcome:
    """The question is asked before the first write; harm is seen in every second after that."""
    play = Play(action=ramp(), target=target(), effect=lambda _: Effect.HARMED)
    play.answer = lambda _tick, _undo: protocol.GuardNeedsApproval(ttl_ns=15 * MINUTE)
    return _ends(play)


def _stops_watching(harm_from: int) -> Outcome:
    """The analysis asks every second until the promotion, at second 10, and never after it."""
    errors = [0.3 if second >= harm_from else 0.0 for second in range(60)]
    rolled_back = any(share > 0.05 for share in errors[:10])  # noqa: PLR2004 - its threshold
    does = "rolls back" if rolled_back else "the analysis ended with the promotion: stays"
    return Outcome(does=does, harm=any(errors) and not rolled_back)


def _rolls_back_later() -> Outcome:
    allowed = allows(g.bad_release(g.scene(4)), g.rollback())
    does = "the rollback to the last verified version stays allowed" if allowed else "refuses it"
    return Outcome(does=does, harm=not allowed)


def _blind_minute(tick: int) -> Effect:
    """The metrics are gone for a minute in the middle of the ramp, then back."""
    return Effect.UNKNOWN if 10 <= tick < 70 else Effect.HELPED  # noqa: PLR2004 - a minute


def _errors_abort(seen: Callable[[int], Effect]) -> Outcome:
    """Ask every ten seconds; more errors of the provider in a row than its limit abort."""
    missed = 0
    for tick in range(0, 300, _EVERY):
        missed = missed + 1 if seen(tick) is Effect.UNKNOWN else 0
        if missed > _ERROR_LIMIT:
            does = f"{missed * _EVERY} s without Prometheus: a healthy canary is aborted"
            return Outcome(does=does, harm=True)
    return Outcome(does="goes on", harm=False)


def _blind_for_a_minute() -> Outcome:
    return _ends(Play(action=ramp(), target=target(), effect=_blind_minute), wanted=_RAMP[-1])


def _grown(tick: int) -> float:
    """Return what is needed: ten times as much as when it was decided."""
    return 4.0 if tick < 5 else 40.0  # noqa: PLR2004 - when it was proposed


def _late_right_sizer(needed: Callable[[int], float]) -> Outcome:
    """What was decided at the start is carried out ten minutes later, whatever is needed then."""
    decided, live = needed(0), needed(_ANSWERED)
    does = f"sets {decided:.0f} where {live:.0f} are needed by now"
    return Outcome(does=does, harm=decided < live)


def _approval_is_judged_anew() -> Outcome:
    """The answer comes after ten minutes; meanwhile the guards have something against it."""

    def answer(tick: int, _undo: object) -> protocol.News:
        if _grown(tick) == _grown(0):
            return protocol.GuardNeedsApproval(ttl_ns=15 * MINUTE)
        return protocol.GuardDenied(reasons=("G7 capacity: it is needed by now",))

    play = Play(action=ramp(), target=target(), answer=answer)
    play.said[_ANSWERED] = protocol.Approved(by="ann")
    return _ends(play)


def _expired_is_expired() -> bool:
    """Return whether the same answer, with nothing against it, does act."""

    def answer(tick: int, _undo: object) -> protocol.News:
        asks = tick < 5  # noqa: PLR2004 - when it was proposed
        return protocol.GuardNeedsApproval(ttl_ns=15 * MINUTE) if asks else protocol.GuardAllowed()

    play = Play(action=ramp(), target=target(), answer=answer)
    play.said[600] = protocol.Approved(by="ann")
    play.go()
    return play.now > TimeNs(START * SECOND) and _weight(play) == _RAMP[-1]


_ARGO: Final = "https://github.com/argoproj/argo-rollouts/issues"
_FLAGGER: Final = "https://github.com/fluxcd/flagger/issues"

CANARY: Final = (
    Outage(
        key="argo-inconclusive",
        source=f"[Argo Rollouts 3850]({_ARGO}/3850), [3873]({_ARGO}/3873)",
        happened="A background analysis that ended inconclusive was promoted.",
        naive=_argo_inconclusive,
        ours=lambda: _ends(Play(action=ramp(), target=target(), effect=lambda _: Effect.UNKNOWN)),
        placed=_promotes_when_helped,
    ),
    Outage(
        key="argo-abort",
        source=f"[Argo Rollouts 4461]({_ARGO}/4461)",
        happened="Abort was ignored after a request for full promotion.",
        naive=_argo_abort,
        ours=_abort_wins,
        placed=_promotes_when_helped,
    ),
    Outage(
        key="argo-goes-on",
        source=f"[Argo Rollouts 1411]({_ARGO}/1411)",
        happened="A failed analysis did not stop the rollout.",
        naive=_argo_goes_on,
        ours=lambda: _ends(Play(action=ramp(), target=target(), effect=lambda _: Effect.HARMED)),
        placed=_promotes_when_helped,
    ),
    Outage(
        key="argo-kills-canary",
        source=f"[Argo Rollouts 777]({_ARGO}/777)",
        happened="A failed run removed all canary pods while no old one was available.",
        naive=lambda: _kills_canary(_old_hang()),
        fair=lambda: _kills_canary(g.scene(4, spares=0)),
        ours=_undo_keeps_floor,
        placed=_undo_where_all_serve,
    ),
    Outage(
        key="argo-stuck",
        source=f"[Argo Rollouts 3120]({_ARGO}/3120), [841]({_ARGO}/841)",
        happened="A rollout stayed in its retries, without end and without word.",
        naive=lambda: _retries(_deaf),
        fair=lambda: _retries(lambda _: True),
        ours=_stuck_is_said,
    ),
    Outage(
        key="argo-provider-errors",
        source="Argo Rollouts, `consecutiveErrorLimit`",
        happened="Five provider errors in a row abort: Prometheus away for 50 s is enough.",
        naive=lambda: _errors_abort(_blind_minute),
        fair=lambda: _errors_abort(lambda _: Effect.HELPED),
        ours=_blind_for_a_minute,
    ),
    Outage(
        key="flagger-gate",
        source=f"[Flagger 1801]({_FLAGGER}/1801)",
        happened="While a confirm gate was waited for no rollback fired: 18 failures, limit 5.",
        naive=_gate_before_rollback,
        ours=_nothing_waits_exposed,
        placed=_expired_is_expired,
    ),
    Outage(
        key="after-promotion",
        source=f"[Flagger 616]({_FLAGGER}/616), [1592]({_FLAGGER}/1592), "
        f"[Argo Rollouts 2168]({_ARGO}/2168)",
        happened="Harm that shows after the promotion is nobody's business any more.",
        naive=lambda: _stops_watching(harm_from=30),
        fair=lambda: _stops_watching(harm_from=5),
        ours=_rolls_back_later,
    ),
    Outage(
        key="google-quota",
        source='Google 2021, told in "Evolution of SRE" (USENIX ;login:)',
        happened="An automatic right-sizing was carried out late, unseen, on a state long gone.",
        naive=lambda: _late_right_sizer(_grown),
        fair=lambda: _late_right_sizer(lambda _: 4.0),
        ours=_approval_is_judged_anew,
        placed=_expired_is_expired,
    ),
)
