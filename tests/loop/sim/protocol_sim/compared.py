"""A setting that some replicas have first: what is wished of it, and what comparing them tells.

What the comparison calls for is drawn; what follows from it is `loop.comparing`, as shipped.
"""

from dataclasses import replace
from random import Random
from types import SimpleNamespace
from typing import Any, Final

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.decisions import RampCall
from homeostat.base.intent import ActionRecord
from homeostat.base.policy import CanaryPolicy, Managed
from homeostat.base.units import TimeNs
from homeostat.loop import comparing
from homeostat.loop.protocol import News
from homeostat.loop.step import initial
from protocol_sim.options import BATCH, TICK
from protocol_sim.target import ACTUATOR, Target

POLICY: Final = CanaryPolicy(pool="c")  # names what is compared by; no replica is in that pool
SETTLE_TICKS: Final = 3
_CALLS: Final = (
    RampCall.BLIND, RampCall.WAIT, RampCall.GO_ON, RampCall.CERTIFIED, RampCall.UNPROVEN,
    RampCall.ASK, RampCall.HARM, RampCall.RETURN,
)  # fmt: skip
_STORM: Final = (15, 35, 12, 14, 6, 8, 5, 5)
_QUIET: Final = (0, 20, 10, 35, 10, 5, 10, 10)
PROVES: Final = frozenset({RampCall.CERTIFIED, RampCall.UNPROVEN})


def call(rng: Random, *, quiet: bool, seen: bool) -> RampCall:
    """Return what the comparison calls for on one tick."""
    if not seen:
        return RampCall.BLIND
    return rng.choices(_CALLS, _QUIET if quiet else _STORM)[0]


def news(record: ActionRecord, managed: Managed, called: RampCall) -> tuple[News, ...]:
    """Return what a change that is compared is told, as the shipped loop tells it."""
    state = replace(initial(managed), record=record)
    judgement = SimpleNamespace(because=(f"the comparison calls for {called}",), caveats=())
    comparison = SimpleNamespace(judgement=judgement)
    parts: Any = SimpleNamespace(compare=lambda *_: (comparison, called))
    evidence: Any = None  # what is drawn rests on none
    _, told = comparing.news(parts, state, evidence, TimeNs(0))
    return told


def wish(rng: Random, target: Target, *, wild: bool) -> Action:
    """Return a batch for some replicas first; a wild one for too many, or compared with nobody."""
    live, slots = int(target.levers[BATCH]), target.slots_of("a")
    size = rng.choice((live * 2, live // 2))
    most = len(slots) if wild else max(1, len(slots) // 2)
    tried = rng.sample(slots, rng.randrange(1, most + 1))
    own = ((names.lever_own(BATCH, slot), 0) for slot in tried)
    kind = ActionKind.BATCH_UP if size > live else ActionKind.BATCH_DOWN
    beside = rng.choice(("a", "a", "b", "")) if wild else "a"
    return _batch(kind, "pool:a", size, tuple(own), beside=beside)


def at_once(rng: Random, target: Target) -> Action:
    """Return a batch for all replicas at once, as where none can have it first."""
    live = int(target.levers[BATCH])
    size = rng.choice((live * 2, live // 2))
    return _batch(ActionKind.BATCH_UP if size > live else ActionKind.BATCH_DOWN, "pool:a", size)


def _batch(
    kind: ActionKind,
    subject: str,
    size: int,
    own: tuple[tuple[str, int], ...] = (),
    *,
    beside: str = "",
) -> Action:
    return Action(
        kind=kind, subject=subject, actuator=ACTUATOR, change=tuple(sorted(((BATCH, size), *own))),
        undo=UndoKind.EXACT, settle_ns=SETTLE_TICKS * TICK, replicas_touched=len(own),
        beside=beside,
    )  # fmt: skip
