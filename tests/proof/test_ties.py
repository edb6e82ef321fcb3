"""What the prover takes for granted of the facts is so of the real ones.

A tie that real facts break would let a proof leave out states that can occur.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import z3

from homeostat.base.actions import Action, ActionKind
from homeostat.base.guard import GuardState, PastAction
from homeostat.base.policy import LeverLimit
from homeostat.base.units import HOUR, SECOND, TimeNs
from homeostat.base.world import ReplicaState
from homeostat.proof.moment import Moment, Setting, fixed, moment
from homeostat.proof.smt import literal
from homeostat.safety.facts import facts
from homeostat.safety.fields import TYPES
from homeostat.safety.rules import RULES
from homeostat.safety.sight import look
from homeostat.testing import guard_scene as g

K = ActionKind
KINDS = (K.SCALE_UP, K.SCALE_DOWN, K.DRAIN_REPLICA, K.BATCH_UP, K.BATCH_DOWN, K.SHED_LOAD)
LEVERS = {
    K.SCALE_UP: ("replicas.", "replicas.a"),
    K.SCALE_DOWN: ("replicas.", "replicas.a"),
    K.BATCH_UP: ("batch_max", "batch_max"),
    K.BATCH_DOWN: ("batch_max", "batch_max"),
    K.SHED_LOAD: ("gateway_limit", "gateway_limit"),
}
Point = tuple[GuardState, Action, bool, LeverLimit | None, int, int]


def scenes(count: int, seed: int) -> Iterator[Point]:
    """Yield states, actions and undos, with the lever's value before and after in thousandths."""
    rng = random.Random(seed)
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        low = rng.randrange(1, 6)
        limit = LeverLimit(
            lever=LEVERS.get(kind, ("replicas.",))[0], low=low, high=low + rng.randrange(20),
            step_up=rng.choice((0.1, 0.5, 1.0)), step_down=rng.choice((0.1, 0.25, 1.0)),
        )  # fmt: skip
        budget = rng.choice((None, 7.0))
        policy = replace(g.POLICY, limits=(limit,), budget_usd_per_hour=budget)
        state = spoilt(g.scene(rng.randrange(2, 12), policy=policy, spares=rng.randrange(2)), rng)
        yield scene(state, kind, limit, rng)


def spoilt(state: GuardState, rng: random.Random) -> GuardState:
    if rng.random() < 0.4:
        state = g.hung(state, rng.choice(("a-1", "a-2")))
    if rng.random() < 0.3:
        state = g.with_slot(state, "a-1", rng.choice(list(ReplicaState)))
    if rng.random() < 0.2:
        state = g.missed(state)
    if rng.random() < 0.15:
        state = replace(state, evidence=None)
    ago = [rng.randrange(-10, 4000) for _ in range(rng.randrange(4))]
    past = tuple(
        PastAction(
            id=f"d-{n}", kind=rng.choice(KINDS), subject="pool:a",
            at=TimeNs(g.NOW - seconds * SECOND),
        )
        for n, seconds in enumerate(ago)
    )  # fmt: skip
    return replace(state, past=past, peak_replicas=rng.randrange(20), tries=rng.randrange(3))


def scene(state: GuardState, kind: ActionKind, limit: LeverLimit, rng: random.Random) -> Point:
    world = state.world
    assert world is not None
    if kind is K.DRAIN_REPLICA:
        slots = [slot for slot in world.replicas if slot.pool == "a"]
        ready = sum(slot.state is ReplicaState.READY for slot in slots)
        taken = facts(g.drain("a-1"), look(state, g.NOW))["taken"]
        assert isinstance(taken, int)
        return state, g.drain("a-1"), False, None, 1000 * ready, 1000 * (ready - taken)
    lever = LEVERS[kind][1]
    live, wanted = rng.randrange(0, 20), rng.randrange(0, 24)
    if kind in {K.SCALE_UP, K.SCALE_DOWN}:
        # The lever says how many serve; more than are shown may be asked of it.
        shown = sum(slot.pool == "a" for slot in world.replicas)
        live = shown
    state = g.with_levers(state, **{lever.replace(".", "__"): live})
    action = g.act(kind, "gateway" if kind is K.SHED_LOAD else "pool:a",
                   **{lever.replace(".", "__"): wanted})  # fmt: skip
    return state, action, rng.random() < 0.3, limit, 1000 * live, 1000 * wanted


def broken(point: Point, *more: Callable[[Moment], Any]) -> list[str]:
    """Return the ties that the real facts do not keep."""
    state, action, undo, limit, live, wanted = point
    guard = state.managed.guard
    setting = Setting(
        policy=guard, scrape_ns=state.managed.scrape_ns, price_milli=1000, rules=RULES
    )
    now = moment(setting, action.kind, "now", limit)
    record = facts(action, look(state, g.NOW), undo=undo)
    solver = z3.Solver()
    solver.add(now.live == live, now.wanted == wanted)
    wrong = []
    for name, cell in now.cells.items():
        value = record[name]
        if cell.plain is not None:
            if value is None or literal(value, setting.words).plain != cell.plain:
                wrong.append(f"{name} is fixed, and yet {value!r}")
            continue
        if name in fixed(setting):
            continue  # fixed to be unknown: there is no budget
        solver.add(cell.known == z3.BoolVal(value is not None))
        # What an unknown fact would be is anybody's guess, as for the prover.
        if value is not None and (TYPES[name] != "str" or value in setting.words.known):
            solver.add(cell.value == literal(value, setting.words).value)
    for number, tie in enumerate((*now.ties, *(one(now) for one in more))):
        solver.assert_and_track(tie, f"{number}: {tie}")
    if solver.check() != z3.sat:
        wrong.extend(str(one) for one in solver.unsat_core())
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_real_facts_keep_every_tie(seed: int) -> None:
    for point in scenes(len(KINDS), seed):
        state, action, undo, *_ = point
        assert broken(point) == [], (action.kind, action.change, undo, state.managed.guard.limits)


@pytest.mark.slow
def test_a_tie_that_is_not_so_is_seen() -> None:
    idle = [broken(point, lambda now: now.cells["hour"].value == 0) for point in scenes(12, seed=5)]
    assert any(idle)


def test_the_hour_of_the_prover_is_the_guards_hour() -> None:
    at = TimeNs(g.NOW - HOUR)
    old = PastAction(id="d-1", kind=K.SCALE_DOWN, subject="pool:a", at=at)
    young = replace(old, at=TimeNs(at + 1))
    for entry, counted in ((old, 0), (young, 1)):
        record = facts(g.scale(5), look(replace(g.scene(), past=(entry,)), g.NOW))
        assert (record["hour"], record["shrunk"]) == (counted, counted)
