"""Replays a counterexample in the real guards: only what they really answer refutes a policy.

The guard is an argument, so that this room needs nothing of the kernel. Each moment of the
counterexample becomes a deployment (`stage`), is judged, and carried out before the next one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from homeostat.base.actions import Action
from homeostat.base.guard import Allow, Deny, GuardAnswer, GuardState, NeedApproval
from homeostat.base.units import MILLISECOND, TimeNs
from homeostat.proof.claim import Answer
from homeostat.proof.moment import Setting
from homeostat.proof.question import Drawn
from homeostat.proof.stage import POOL, START, Before, action, after, state

# For bounds of all pools but those that have their own: one of these has none.
_POOLS: Final = (POOL, *(f"pool-{number}" for number in range(1000)))


class Guard(Protocol):
    """The guard kernel's question."""

    def __call__(
        self, action: Action, state: GuardState, now: TimeNs, *, undo: bool = False
    ) -> GuardAnswer:
        """Return whether the action may run now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One moment of a counterexample, as the real guards saw it.

    Attributes:
        drawn: What the solver drew.
        subject: The part that the action is done to.
        change: Levers and the values they would be set to.
        rotation: Replicas in rotation before it.
        answer: `allow`, `ask` or `deny`.
        reasons: Why it asks or denies.
    """

    drawn: Drawn
    subject: str
    change: tuple[tuple[str, float | str], ...]
    rotation: int
    answer: str
    reasons: tuple[str, ...]


def replay(setting: Setting, chain: Sequence[Drawn], guard: Guard) -> tuple[Seen, ...]:
    """Return what the real guards answer along a counterexample."""
    before, seen = Before(), []
    for drawn in chain:
        before = replace(before, pool=pool_of(setting, drawn))
        done, now = action(drawn, before), TimeNs(START + drawn.at_ms * MILLISECOND)
        scene = state(setting, drawn, before)
        said = guard(done, scene, now, undo=drawn.facts["undo"] is True)
        seen.append(_seen(drawn, done, scene, said))
        before = after(drawn, before, done)
    return tuple(seen)


def pool_of(setting: Setting, drawn: Drawn) -> str:
    """Return the name of a pool whose lever has the bounds that were drawn."""
    kind, _, own = drawn.lever.partition(".")
    if kind not in {"replicas", "weight"} or own:
        return own or POOL
    bounded = {limit.lever for limit in setting.policy.limits}
    return next(name for name in _POOLS if f"{kind}.{name}" not in bounded)


def _seen(drawn: Drawn, done: Action, scene: GuardState, said: GuardAnswer) -> Seen:
    answer, reasons = _answer(said)
    slots = () if scene.world is None else scene.world.replicas
    return Seen(
        drawn=drawn,
        subject=done.subject,
        change=done.change,
        rotation=sum(slot.state.value == "ready" for slot in slots),
        answer=answer,
        reasons=reasons,
    )


def _answer(said: GuardAnswer) -> tuple[str, tuple[str, ...]]:
    match said:
        case Allow():
            return "allow", ()
        case NeedApproval(reasons=reasons):
            return "ask", reasons
        case Deny(reasons=reasons):
            return "deny", reasons


def holds(seen: Sequence[Seen], wanted: Answer) -> bool:
    """Return whether the real guards answered every moment as the counterexample says."""
    answers = {one.answer for one in seen}
    match wanted:
        case "runs":
            return answers == {"allow"}
        case "runs or asks":
            return answers <= {"allow", "ask"}
        case "denied":
            return answers == {"deny"}
        case "does not run":
            return answers <= {"ask", "deny"}
