"""Deployments side by side, their faults and orders written by hand.

One compiled program (four slots, `LANES` deployments) serves all tests of the whole twin: compiling
takes half a minute, a scrape of all lanes milliseconds. A test fills as many lanes as it has cases
and reads what happened in them; what is more than `LANES` is played in turns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np

from homeostat.twin.faults import Faults
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Scrape, Truth
from homeostat.twin.params import Params
from homeostat.twin.primitives import INDEX
from homeostat.twin.program import Program
from homeostat.twin.shapes import FAULTS, VARIANTS, Cure, Shape
from homeostat.twin.signals import CLASSES
from homeostat.twin.state import State

LANES: Final = 32
SLOTS: Final = 4
IMPULSES: Final = (
    "restart", "rollback", "retrain", "retrain_ungated", "person_fixes", "by_us",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault; `slots`, `variants` and `signals` name what it hits, None = everything."""

    name: str
    magnitude: float = 1.0
    start_s: float = 30.0
    ramp_s: float = 0.0
    stop_s: float = np.inf
    period_s: float = 60.0
    shape: Shape = Shape.RAMP
    cure: Cure = Cure.NONE
    slots: Sequence[int] | None = None
    variants: Sequence[int] | None = None
    signals: Sequence[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One lane: a deployment, its faults, and orders by scrape; levers stand, impulses do not."""

    deployment: Params
    faults: Sequence[Fault] = ()
    orders: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    key: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What happened, as NumPy arrays.

    Attributes:
        truth: Of every second [cases, T, ...].
        scrape: Of every scrape [cases, scrapes, ...].
        state: After every scrape [cases, scrapes, ...].
    """

    truth: Truth
    scrape: Scrape
    state: State


@cache
def program(slots: int = SLOTS) -> Program:
    """Return the twin that the tests share; it is compiled when first used."""
    return Program(slots)


def changed(deployment: Params, **values: Any) -> Params:
    """Return a deployment with fields replaced: `client__retries=2` is `client.retries`."""
    for path, value in values.items():
        part, _, name = path.partition("__")
        deployment = _with(deployment, part, name, value)
    return deployment


def faults(listed: Sequence[Fault], slots: int = SLOTS) -> Faults:
    """Return faults as the twin takes them; the rest of the places stay empty.

    Raises:
        ValueError: There are more than an episode can have.
    """
    if len(listed) > FAULTS:
        raise ValueError(f"an episode has at most {FAULTS} faults, got {len(listed)}")
    spare = FAULTS - len(listed)

    def column(name: str, empty: float, kind: type = np.float32) -> Any:
        found = [float(getattr(fault, name)) for fault in listed]
        return np.asarray(found + [empty] * spare, kind)

    def mask(chosen: Sequence[Sequence[int] | None], width: int) -> Any:
        found = np.ones((FAULTS, width), bool)
        for row, places in enumerate(chosen):
            if places is not None:
                found[row] = np.isin(np.arange(width), places)
        return found

    primitives: Any = np.asarray([INDEX[f.name] for f in listed] + [0] * spare, np.int32)
    return Faults(
        primitive=primitives,
        magnitude=column("magnitude", 1.0),
        start_s=column("start_s", np.inf),
        ramp_s=column("ramp_s", 0.0),
        stop_s=column("stop_s", np.inf),
        period_s=column("period_s", 60.0),
        shape=column("shape", 0.0, np.int32),
        cure=column("cure", 0.0, np.int32),
        slots=mask([f.slots for f in listed], slots),
        variants=mask([f.variants for f in listed], VARIANTS),
        signals=mask([_classes(f) for f in listed], len(CLASSES)),
    )


def play(cases: Sequence[Case], scrapes: int, *, slots: int = SLOTS, lanes: int = LANES) -> Played:
    """Run cases side by side for so many scrapes, `lanes` at a time."""
    turns = [
        _turn(cases[first : first + lanes], scrapes, slots, lanes)
        for first in range(0, len(cases), lanes)
    ]
    return jax.tree.map(lambda *parts: np.concatenate(parts), *turns) if turns[1:] else turns[0]


def lane(played: Played, number: int) -> Played:
    """Return what happened in one case, without the axis of cases."""
    mine: Played = jax.tree.map(lambda leaf: leaf[number], played)
    return mine


def leaves(tree: Any) -> dict[str, np.ndarray]:
    """Return the arrays of a pytree by where they are."""
    found = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in found}


def _turn(cases: Sequence[Case], scrapes: int, slots: int, lanes: int) -> Played:
    filled = [*cases, *[cases[-1]] * (lanes - len(cases))]
    twin = program(slots)
    deployments = _stack([case.deployment for case in filled])
    broken = _stack([faults(case.faults, slots) for case in filled])
    keys = jnp.stack([jax.random.PRNGKey(case.key) for case in filled])
    state = twin.init(deployments, broken, keys)
    orders = jax.tree.map(np.array, state.ordered)
    told = []
    for scrape in range(scrapes):
        orders = _given(orders, [case.orders.get(scrape, {}) for case in filled])
        state, truth, seen = twin.advance(deployments, broken, state, orders)
        # Copied: the next call uses the state's memory for the new one.
        told.append(jax.tree.map(np.array, (truth, seen, state)))
    here = slice(len(cases))
    truth, seen, state = (
        jax.tree.map(lambda *parts, join=join: join(parts, axis=1)[here], *each)
        for each, join in zip(
            zip(*told, strict=True), (np.concatenate, np.stack, np.stack), strict=True
        )
    )
    return Played(truth=truth, scrape=seen, state=state)


def _classes(fault: Fault) -> Sequence[int] | None:
    return None if fault.signals is None else [CLASSES.index(name) for name in fault.signals]


def _given(orders: Orders, news: Sequence[Mapping[str, Any]]) -> Orders:
    values: dict[str, Any] = {name: np.array(value) for name, value in vars(orders).items()}
    for name in IMPULSES:
        values[name][:] = False
    for number, changes in enumerate(news):
        for name, value in changes.items():
            values[name][number] = value
    return Orders(**values)


def _with(deployment: Params, part: str, name: str, value: Any) -> Params:
    """Return the deployment with `part.name` replaced, or `part` itself where there is no name."""
    old = getattr(getattr(deployment, part), name) if name else getattr(deployment, part)
    new = np.broadcast_to(np.asarray(value, np.float32), np.shape(old))
    fields: dict[str, Any] = {
        part: replace(getattr(deployment, part), **{name: new}) if name else new
    }
    return replace(deployment, **fields)


def _stack(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *parts: np.stack([np.asarray(part) for part in parts]), *trees)


jax.tree_util.register_dataclass(Played, ["truth", "scrape", "state"], [])
