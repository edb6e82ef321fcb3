"""Cases for the guard that gives a setting to some replicas first (G2 one first)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.base.guard import GuardState
from homeostat.base.intent import ActionState, Proof
from homeostat.base.policy import CanaryPolicy
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_cases import Case, flying, known
from homeostat.testing.guard_lately import replaced

FIRST: Final = "G2 one first"
PLAIN: Final = g.act(ActionKind.BATCH_UP, names.pool("a"), batch_max=16)
WHOLE: Final = replace(
    PLAIN, change=((names.BATCH_MAX, 16), (names.lever_own(names.BATCH_MAX, "a-1"), 0)), beside="a"
)


def apart(state: GuardState) -> GuardState:
    """Return the state of a deployment whose replicas can have settings of their own."""
    world, evidence = known(state)
    own = {
        names.lever_own(lever, slot.name): 0 for lever in names.OF_EACH for slot in world.replicas
    }
    world = replace(world, levers=tuple(sorted({**dict(world.levers), **own}.items())))
    managed = replace(state.managed, canary=CanaryPolicy(pool="c"))
    return replace(state, managed=managed, world=world, evidence=replace(evidence, world=world))


def first_cases() -> Iterator[Case]:
    """Yield what a deployment whose replicas can be set alone allows, and what not."""
    scene = apart(g.scene())
    yield Case("to all at once", scene, PLAIN, "deny", FIRST)
    yield Case("to one first", scene, WHOLE)
    yield Case("back to what was before", scene, PLAIN, undo=True)
    yield Case("back to what served", replaced(scene, 16), PLAIN)
    yield Case("nobody asked for a canary", replace(scene, managed=g.managed()), PLAIN)
    world, _ = known(scene)
    lost = names.lever_own(names.BATCH_MAX, "a-2")
    kept = tuple(pair for pair in world.levers if pair[0] != lost)
    partly = replace(scene, world=replace(world, levers=kept))
    yield Case("to all at once, one replica's own value unread", partly, PLAIN, "deny", FIRST)
    own = {**dict(world.levers), lost: 4}
    strange = replace(scene, world=replace(world, levers=tuple(sorted(own.items()))))
    for what, one in (("served before", replaced(strange, 16)), ("is not compared", strange)):
        seen = one if what == "served before" else replace(one, managed=g.managed())
        yield Case(f"what {what}, beside another's own value", seen, PLAIN, "deny", FIRST)
    for proof, wanted in ((Proof.NONE, "deny"), (Proof.CERTIFIED, "allow")):
        yield Case(f"to all, {proof.value or 'nothing'}", _at_the_end(scene, proof), WHOLE, wanted,
                   FIRST if wanted == "deny" else "")  # fmt: skip


def _at_the_end(scene: GuardState, proof: Proof) -> GuardState:
    state = flying(scene, WHOLE, ActionState.INTENT)
    record = state.in_flight
    assert record is not None  # noqa: S101 - `flying` put it there
    return replace(state, in_flight=replace(record, stage=1, proof=proof))
