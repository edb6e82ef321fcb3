"""Cases for the guards of the twin's answer (G15): trusted or not, silent, and foreseen harm."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from homeostat.base import names
from homeostat.base.actions import HOLD, Action, ActionKind
from homeostat.base.guard import GuardState
from homeostat.base.intent import ActionState
from homeostat.base.policy import TwinPolicy
from homeostat.base.rehearsal import Foreseen, Prospect, Quantiles, Rehearsal, Trust
from homeostat.base.units import SECOND, TimeNs
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_cases import Case, flying, policy

TWIN: Final = TwinPolicy(good_ns=10 * SECOND)
DISTRUST: Final = "G15 twin not trusted"
HARM: Final = "G15 foreseen harm"


def foreseen(breach: float = 0.0, reach: float = 0.05) -> Foreseen:
    """Return what may come of an action, the difference in missed objectives around `breach`."""
    none = Quantiles(p5=0.0, p50=0.0, p95=0.0)
    return Foreseen(
        latency_ms=none,
        error_ratio=none,
        availability=none,
        usd_per_hour=none,
        breach=Quantiles(p5=breach - reach, p50=breach, p95=breach + reach),
    )


def rehearsal(
    *actions: Action, breach: float = 0.0, why: str = "", age_ns: int = SECOND
) -> Rehearsal:
    """Return the twin's answer about some actions.

    Args:
        actions: What it was asked about, HOLD beside them.
        breach: How much more often than under HOLD the objectives are missed.
        why: Why it may not be believed; empty = it may.
        age_ns: How long ago it was given.
    """
    return Rehearsal(
        id="r-0001",
        at=TimeNs(g.NOW - age_ns),
        horizon_ns=300 * SECOND,
        draws=64,
        prospects=tuple(
            Prospect(action=one, foreseen=foreseen(), against_hold=foreseen(breach), holds=1.0)
            for one in (HOLD, *actions)
        ),
        trust=Trust(reasons=(why,) if why else ()),
    )


def twinned(state: GuardState, answer: Rehearsal | None) -> GuardState:
    """Return the state of a deployment with a twin, and its answer."""
    managed = replace(state.managed, twin=TWIN)
    return replace(state, managed=managed, rehearsal=answer)


def rehearsal_cases() -> Iterator[Case]:
    """Yield what the twin's answer does and does not change."""
    scene = g.scene()
    down = g.scale(2, ActionKind.SCALE_DOWN)
    new = g.act(ActionKind.SHIFT_TRAFFIC, names.pool("a"), weight__b=2.0)
    back = g.act(ActionKind.SHIFT_TRAFFIC, names.pool("b"), weight__b=10.0)
    batch = g.act(ActionKind.BATCH_UP, names.pool("a"), batch_max=16)
    less = g.act(ActionKind.BATCH_DOWN, names.pool("a"), batch_max=6)
    resize = g.act(ActionKind.RESIZE_DOWN, names.pool("a"), concurrency_max=12)
    doubt = rehearsal(down, new, less, resize, batch, back, why="it was never checked")
    for action in (down, new, less, resize):
        name = action.kind.value
        yield Case(f"no answer, {name}", twinned(scene, None), action, "ask", DISTRUST)
        yield Case(f"not trusted, {name}", twinned(scene, doubt), action, "ask", DISTRUST)
        yield Case(f"trusted, {name}", twinned(scene, rehearsal(action)), action)
        other = rehearsal(batch)
        yield Case(f"about something else, {name}", twinned(scene, other), action, "ask", DISTRUST)
    old = rehearsal(down, age_ns=11 * SECOND)
    yield Case("an old answer", twinned(scene, old), down, "ask", DISTRUST)
    yield Case("as old as it may be", twinned(scene, rehearsal(down, age_ns=10 * SECOND)), down)
    soon = rehearsal(down, age_ns=-SECOND)
    yield Case("an answer from the future", twinned(scene, soon), down, "ask", DISTRUST)
    flown = flying(twinned(scene, rehearsal(down, age_ns=2 * SECOND)), down, ActionState.INTENT)
    yield Case("what was decided in time is written", flown, down)
    yield Case("not trusted, back to the old version", twinned(scene, doubt), back)
    yield Case("not trusted, a larger batch", twinned(scene, doubt), batch)
    yield from _harm(scene, batch)


def _harm(scene: GuardState, batch: Action) -> Iterator[Case]:
    def worse(*actions: Action, why: str = "") -> Rehearsal:
        return rehearsal(*actions, breach=0.3, why=why)

    yield Case("worse than holding", twinned(scene, worse(batch)), batch, "deny", HARM)
    perhaps = rehearsal(batch, breach=0.04)
    yield Case("perhaps worse", twinned(scene, perhaps), batch)
    yield Case("worse, but not trusted", twinned(scene, worse(batch, why="old")), batch)
    yield Case("worse, as an undo", twinned(scene, worse(batch)), batch, undo=True)
    one, two = g.scale(4), g.scale(5)
    yield Case("worse, one more replica", twinned(scene, worse(one)), one)
    yield Case("worse, two more", twinned(scene, worse(two)), two, "deny", HARM)
    failing = policy(g.hung(scene), replicas_share=1.0)
    restart = g.restart("a-1")
    yield Case("worse, one proven failing", twinned(failing, worse(restart)), restart)
    bad, rollback = g.bad_release(scene), g.rollback()
    yield Case("worse, back to the verified", twinned(bad, worse(rollback)), rollback)
