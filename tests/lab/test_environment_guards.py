"""The mask of training beside the product's guards, on the same scrapes: no wider than they are."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from controller_made import Made, episode

from homeostat.base import names
from homeostat.base.actions import HOLD, Action, ActionKind, SafeSet
from homeostat.base.policy import Managed
from homeostat.base.state import LoopState
from homeostat.base.units import TimeNs
from homeostat.lab import safe_set_actions as can
from homeostat.lab.controller import Controller
from homeostat.lab.controller_direct import Direct
from homeostat.lab.controller_names import slot_name, time_ns
from homeostat.lab.environment_actions import NAMES, Scene, next_rung, worst
from homeostat.lab.environment_facts import no_past, remembered
from homeostat.lab.environment_mask import Rules, mask
from homeostat.loop import memory
from homeostat.safety.permit import permit

pytestmark = pytest.mark.slow

WATCH = 12  # scrapes, in place of an hour: on both sides
GRANTED = frozenset({
    ActionKind.SCALE_UP, ActionKind.SCALE_DOWN, ActionKind.RESIZE_UP, ActionKind.RESIZE_DOWN,
    ActionKind.BATCH_UP, ActionKind.BATCH_DOWN, ActionKind.SHIFT_TRAFFIC, ActionKind.ROLLBACK,
    ActionKind.RESTART_REPLICA, ActionKind.DRAIN_REPLICA, ActionKind.SHED_LOAD,
})  # fmt: skip
RULES = Rules(granted=GRANTED, watch_scrapes=WATCH)
TROUBLED = 10  # scrapes, after the calm ones
UNASKED = frozenset({"hold", "escalate", "return_replicas", "admit_all"})  # undo has its own way


def granted(entry: Managed) -> Managed:
    guard = replace(entry.guard, auto_kinds=tuple(sorted(GRANTED)), watch_scrapes=float(WATCH))
    return replace(entry, guard=guard)


def still(state: LoopState, now: TimeNs) -> tuple[Action, SafeSet]:
    """Decide to hold."""
    return HOLD, permit((), memory.guard_state(state), now)


@cache
def masked() -> Callable[[Scene], Any]:
    return jax.jit(lambda scene: (mask(scene, RULES), worst(scene), next_rung(scene)))


@cache
def recall() -> Callable[..., Any]:
    return jax.jit(remembered)


def played(
    trouble: Callable[[Made], None], rate: float, calm: int
) -> Iterator[tuple[set[str], dict[str, str]]]:
    """Yield what the mask allows, and of what can be named why the guards refuse it."""
    made, one = Made(seed=3, rate=rate), episode()
    controller = Controller(
        "still", think=lambda _, entry, platform: Direct(entry, platform, still),
        configure=granted, person=False,
    )  # fmt: skip
    controller.start([one])
    past = no_past(one.slots)
    for number in range(calm + TROUBLED):
        if number == calm:
            trouble(made)
        batch = made.scrape()
        controller.act(made.now_s, batch)
        scrape, orders = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), (batch, made.orders))
        past = recall()(one.params, past, scrape, jnp.asarray(a=False), jnp.int32(0))
        found, target, rung = masked()(Scene(one.params, scrape, orders, past))
        may = {name for name, bit in zip(NAMES, np.asarray(found), strict=True) if bit}
        slot = int(np.argmax(target))
        mind: Any = controller.minds[0]
        yield may, refused(mind.state, time_ns(made.now_s), (slot, 100.0 * float(rung)), scrape)


def refused(state: LoopState, now: TimeNs, at: tuple[int, float], scrape: Any) -> dict[str, str]:
    """Return why the guards refuse what they do, of the whole menu."""
    seen, (slot, percent) = memory.guard_state(state), at
    if state.world is None or state.evidence is None:
        return dict.fromkeys(NAMES, "nothing is known yet")
    name = slot_name(int(scrape.slot_variant[slot]), slot)
    replica = next((one for one in state.world.replicas if one.name == name), None)
    found: dict[str, str] = {}
    for what, action in named(state, percent, replica):
        safe_set = permit([action] if action is not None else [], seen, now)
        if action is None:
            found[what] = "cannot be named"
        elif action not in safe_set.allowed:
            reasons = safe_set.refused[0].reasons if safe_set.refused else ("asks",)
            found[what] = "; ".join(reasons)
    return found


def named(state: LoopState, percent: float, replica: Any) -> Iterator[tuple[str, Action | None]]:
    """Yield the menu as the product names it."""
    world, evidence, entry = state.world, state.evidence, state.managed
    assert world is not None
    assert evidence is not None

    def live(lever: str) -> float:
        value = world.lever(lever)
        return float(value) if isinstance(value, int | float) else 0.0

    for pool in ("a", "b"):
        have = int(live(names.lever_replicas(pool)))
        yield f"scale_up_{pool}", can.scale(pool, have + 1, world, entry)
        yield f"scale_down_{pool}", can.scale(pool, have - 1, world, entry)
    for times, how in ((2.0, "up"), (0.5, "down")):
        yield f"batch_{how}", can.batch(times * live(names.BATCH_MAX), world, entry)
        yield f"resize_{how}", can.resize(times * live(names.CONCURRENCY), world, entry)
    yield "shift_to_b", can.shift("b", percent, world, entry)
    before = next(one.version for one in world.releases if one.pool == "a")
    yield "rollback", can.rollback("a", before, world, entry)
    yield "shed_load", can.shed(0.9, world, evidence, entry)
    if replica is not None:
        yield "restart_replica", can.restart(replica, entry)
        yield "drain_replica", can.drain(replica, entry)


def nothing(made: Made) -> None:
    """Let the calm go on."""


def late(made: Made) -> None:
    made.p95_ms = 900.0


def failing(made: Made) -> None:
    made.errors = 0.2


def hung(made: Made) -> None:
    made.hung = {2}


def dead(made: Made) -> None:
    made.dead = {1}


def silent(made: Made) -> None:
    made.silent = frozenset({"gateway"})


def stale(made: Made) -> None:
    made.age_s = 60.0


def crowded(made: Made) -> None:
    made.rate = 420.0


def mute(made: Made) -> None:
    made.silent = frozenset({"slot"})


# Half a batch is asked for beyond two fifths of utilisation, and taken freely below.
USUAL = frozenset({"rollback", "resize_up", "shift_to_b", "scale_up_a"})


@pytest.mark.parametrize(
    ("trouble", "rate", "calm", "met"),
    [
        (nothing, 300.0, 20, USUAL - {"shift_to_b"}),  # too much for B
        (nothing, 60.0, 42, USUAL | {"scale_down_a", "batch_down"}),  # calm for long, and idle
        (late, 200.0, 18, USUAL | {"shed_load"}),
        (failing, 200.0, 18, USUAL),
        (hung, 200.0, 18, USUAL | {"restart_replica", "drain_replica"}),
        (dead, 200.0, 18, USUAL),
        (silent, 200.0, 18, USUAL),
        (stale, 200.0, 18, USUAL),
        (crowded, 200.0, 18, USUAL),
        (mute, 200.0, 18, USUAL),
    ],
)
def test_the_mask_allows_nothing_that_the_guards_refuse_and_not_nothing(
    trouble: Callable[[Made], None], rate: float, calm: int, met: frozenset[str]
) -> None:
    course = list(played(trouble, rate, calm))
    wrong = [
        f"scrape {number}: {name}: {no[name]}"
        for number, (may, no) in enumerate(course)
        for name in sorted(may - UNASKED)
        if name in no
    ]
    assert wrong == []
    assert met <= set().union(*(may for may, _ in course))
