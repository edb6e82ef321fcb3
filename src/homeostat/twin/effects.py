"""What the faults in force come to: the magnitude of every primitive, combined over instances.

One `Effects` value holds for a few seconds (a block of ticks) and one deployment; the kernel asks
it by the primitive's name. Combination rules are those of `primitives.Combine`. Where a fault hits
is worked out in `cures`; when, in `envelope`.
"""

from collections.abc import Mapping
from typing import Final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from homeostat.twin.apart import apart
from homeostat.twin.cures import Hits
from homeostat.twin.faults import Faults
from homeostat.twin.primitives import INDEX, PRIMITIVES, Combine, Level
from homeostat.twin.shapes import FAULTS
from homeostat.twin.together import if_any

_NO_LIMIT: Final = 1e30


def _rows(level: Level, combine: Combine) -> Mapping[str, int]:
    names = [p.name for p in PRIMITIVES if p.level is level and p.combine is combine]
    return {name: row for row, name in enumerate(names)}


_ROWS: Final = {level: {combine: _rows(level, combine) for combine in Combine} for level in Level}


class Grid(eqx.Module):
    """The primitives of one level.

    Attributes:
        added: Those that add [rows, ...].
        times: Those that multiply [rows, ...].
        limit: Least limits [rows, ...].
        weight: How far values are replaced, 0..1 [rows, ...].
        mean: What they are replaced by [rows, ...].
    """

    added: Array
    times: Array
    limit: Array
    weight: Array
    mean: Array


class Effects(eqx.Module):
    """Effective magnitudes by level.

    Attributes:
        deployment: Trailing shape ().
        variant: Trailing shape [V].
        slot: Trailing shape [S].
        faulty: Bool: a fault is active.
    """

    deployment: Grid
    variant: Grid
    slot: Grid
    faulty: Array

    def of(self, name: str) -> Array:
        """Return the magnitude of a primitive that adds or multiplies."""
        if PRIMITIVES[INDEX[name]].multiplies:
            grid, row = self._find(name, Combine.MULTIPLY)
            return grid.times[row]
        grid, row = self._find(name, Combine.ADD)
        return grid.added[row]

    def share(self, name: str) -> Array:
        """Return the magnitude of one that is a probability or a share, cut to 0..1."""
        return jnp.clip(self.of(name), 0.0, 1.0)

    def limit(self, name: str, own: Array | float = jnp.inf) -> Array:
        """Return the least limit, the deployment's own included."""
        grid, row = self._find(name, Combine.LIMIT)
        return jnp.minimum(grid.limit[row], own)

    def replaced(self, name: str, own: Array | float) -> Array:
        """Return what is in force in place of the deployment's own value."""
        grid, row = self._find(name, Combine.REPLACE)
        weight = grid.weight[row]
        return own * (1.0 - weight) + grid.mean[row] * weight

    def replacing(self, name: str) -> Array:
        """Return how far the deployment's own value is replaced, 0..1."""
        grid, row = self._find(name, Combine.REPLACE)
        return grid.weight[row]

    def _find(self, name: str, kind: Combine) -> tuple[Grid, int]:
        level = PRIMITIVES[INDEX[name]].level
        grids = {
            Level.DEPLOYMENT: self.deployment,
            Level.VARIANT: self.variant,
            Level.SLOT: self.slot,
        }
        return grids[level], _ROWS[level][kind][name]


def effects(faults: Faults, hits: Hits) -> Effects:
    """Return what the faults in force come to.

    Args:
        faults: One episode's.
        hits: How hard each instance hits the deployment, its variants and its slots.
    """
    deployment, variant, slot = if_any(
        hits.strong,
        lambda: (
            _grid(faults, hits.deployment[:, None], Level.DEPLOYMENT),
            _grid(faults, hits.variants, Level.VARIANT),
            _grid(faults, hits.slots, Level.SLOT),
        ),
        lambda: (
            _neutral(Level.DEPLOYMENT, 1),
            _neutral(Level.VARIANT, hits.variants.shape[1]),
            _neutral(Level.SLOT, hits.slots.shape[1]),
        ),
    )
    alone: Grid = jax.tree.map(lambda leaf: leaf[:, 0], deployment)
    return Effects(deployment=alone, variant=variant, slot=slot, faulty=hits.faulty)


def signal_effects(faults: Faults, hit: Array) -> Mapping[str, Array]:
    """Return the telemetry primitives by name, each [CLASSES].

    Args:
        faults: One episode's.
        hit: How hard each instance hits each class of signals [F, CLASSES].
    """
    grid = if_any(
        (hit != 0.0).any(),
        lambda: _grid(faults, hit, Level.SIGNAL),
        lambda: _neutral(Level.SIGNAL, hit.shape[1]),
    )
    kinds = _ROWS[Level.SIGNAL]
    found = {name: grid.added[row] for name, row in kinds[Combine.ADD].items()}
    found |= {name: grid.times[row] for name, row in kinds[Combine.MULTIPLY].items()}
    return found | {name: grid.limit[row] for name, row in kinds[Combine.LIMIT].items()}


def _grid(faults: Faults, hit: Array, level: Level) -> Grid:
    """Return one level's primitives; `hit` [F, ...] is strength where it hits."""
    kinds = _ROWS[level]
    weight, mean = apart(lambda: _replaced(faults, hit, kinds[Combine.REPLACE]))
    return Grid(
        added=apart(lambda: _added(faults, hit, kinds[Combine.ADD])),
        times=apart(lambda: _times(faults, hit, kinds[Combine.MULTIPLY])),
        limit=apart(lambda: _limits(faults, hit, kinds[Combine.LIMIT])),
        weight=weight,
        mean=mean,
    )


def _neutral(level: Level, width: int) -> Grid:
    """Return what `_grid` comes to where nothing is hit."""
    rows = {combine: len(names) for combine, names in _ROWS[level].items()}
    none = jnp.zeros((rows[Combine.REPLACE], width), jnp.float32)
    own = jnp.asarray(_neutrals(_ROWS[level][Combine.ADD]))[:, None]
    return Grid(
        added=jnp.broadcast_to(own, (rows[Combine.ADD], width)),
        times=jnp.ones((rows[Combine.MULTIPLY], width), jnp.float32),
        limit=jnp.full((rows[Combine.LIMIT], width), jnp.inf, jnp.float32),
        weight=none,
        mean=none,
    )


def _neutrals(names: Mapping[str, int]) -> npt.NDArray[np.float32]:
    return np.asarray([PRIMITIVES[INDEX[name]].neutral for name in names], np.float32)


def _is(faults: Faults, names: Mapping[str, int]) -> Array:
    """Return which instance is which primitive, as 0 and 1 [rows, F]."""
    indices = np.asarray([INDEX[name] for name in names], np.int32)
    return (faults.primitive[None, :] == indices[:, None]).astype(jnp.float32)


def _added(faults: Faults, hit: Array, names: Mapping[str, int]) -> Array:
    neutral = jnp.asarray(_neutrals(names))[:, None]
    value = _is(faults, names) * (faults.magnitude[None, :] - neutral)
    return neutral + value @ hit


def _times(faults: Faults, hit: Array, names: Mapping[str, int]) -> Array:
    logs = jnp.log(jnp.maximum(faults.magnitude, 1e-9))
    return jnp.exp(jnp.clip((_is(faults, names) * logs) @ hit, -20.0, 20.0))


def _limits(faults: Faults, hit: Array, names: Mapping[str, int]) -> Array:
    if not names:
        return jnp.zeros((0, hit.shape[1]))
    is_it = _is(faults, names) > 0.0
    each = jnp.where(hit > 0.0, faults.magnitude[:, None] / jnp.maximum(hit, 1e-6), jnp.inf)
    least = jnp.full((len(names), hit.shape[1]), _NO_LIMIT)
    for f in range(FAULTS):
        least = jnp.minimum(least, jnp.where(is_it[:, f, None], each[f], _NO_LIMIT))
    return jnp.where(least < _NO_LIMIT, least, jnp.inf)


def _replaced(faults: Faults, hit: Array, names: Mapping[str, int]) -> tuple[Array, Array]:
    if not names:
        return (jnp.zeros((0, hit.shape[1])),) * 2
    is_it = _is(faults, names)
    most = jnp.zeros((len(names), hit.shape[1]))
    for f in range(FAULTS):
        most = jnp.maximum(most, is_it[:, f, None] * hit[f])
    both = is_it @ jnp.concatenate([hit, hit * faults.magnitude[:, None]], axis=1)
    total, worth = jnp.split(both, 2, axis=1)
    return most, worth / jnp.maximum(total, 1e-9)
