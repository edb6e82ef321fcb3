"""What PCA knows of an entity between two refits, and what it says of a row.

Each column is measured from its median in a spread that heavy tails cannot make small: the widest
of four quantile ranges, each worth one standard deviation under a normal law. Beyond three spreads
a deviation counts by its logarithm, so that one wild column cannot be all there is. A column that
never moved has no spread; it is left out of the components, and a value farther off than any yet
counts three deviations, about what one value in some hundreds may say.

Two distances: T^2 within the principal components (Hotelling) and Q, the squared prediction error
outside of them (Jackson & Mudholkar, Technometrics 21 (1979)), each column's error in its own
standard deviation, so that two columns that always agree are heard when they part. Their laws are
not assumed: the rows of the reservoir, scored by the same model, say what is usual.

A missing column is put where the others say it should be (conditional mean: Nelson, Taylor &
MacGregor, Chemometrics 35 (1996)), and so adds nothing. What single columns contribute is the
reconstruction-based contribution of Alcala & Qin (Automatica 45 (2009), eq. 20) to the sum of all
squared scores, which does not smear a fault over its neighbours: the square of a column's distance
from what all others say. Where that distance is often large, it counts for less.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.stats import covariance

# Quantiles of a pair, and how many standard deviations of a normal law lie between them.
# The last pair takes in what a job does that runs every few hundred ticks.
_RANGES: Final = (
    (0.25, 0.75, 1.349),
    (0.05, 0.95, 3.290),
    (0.01, 0.99, 4.653),
    (0.002, 0.998, 5.756),
)
# Deviations count in full up to here: one normal value in 370 is beyond.
_LINEAR: Final = 3.0
# Smallest spread as a share of the level; covers rounding in single precision.
_ROUNDING: Final = 1e-6
_SMALLEST: Final = 1e-30
_LARGEST: Final = 1e15
# A column needs this many values, and a row this share of the columns that vary.
_LEAST_VALUES: Final = 32
_LEAST_SHARE: Final = 0.5


class Model(NamedTuple):
    """Of each entity; the first axis of all is the entity.

    Attributes:
        level: Median of each column, `[entity, column]`.
        spread: Robust standard deviation, or for a column that never moved the floor, likewise.
        moves: Columns that vary and are in the components, bool, likewise.
        centre: Mean of bounded deviations, likewise.
        width: Their standard deviation, likewise.
        vectors: Components, `[entity, column, component]`.
        hold: 1 / variance of kept components, 0 of others, `[entity, component]`.
        rest: 1 / standard deviation of what the kept components leave, `[entity, column]`.
        precision: Inverse of the correlation matrix, `[entity, column, column]`.
        alone: Robust standard deviation of a column's distance from what all others say, in that
            of normal columns, at least 1, `[entity, column]`.
        farthest: The largest deviation seen, `[entity, column]`.
    """

    level: Any
    spread: Any
    moves: Any
    centre: Any
    width: Any
    vectors: Any
    hold: Any
    rest: Any
    precision: Any
    alone: Any
    farthest: Any


class Scores(NamedTuple):
    """What a model says of rows.

    Attributes:
        distances: Q and T^2, NaN where too little is known, `[entity, row, 2]`.
        apart: Distance of each column from what all others say, in standard deviations of a
            normal law, 0 where unknown, `[entity, row, column]`.
        deviations: The larger of that and of its distance from its level, bounded, NaN where
            unknown, likewise.
    """

    distances: Any
    apart: Any
    deviations: Any


def init(entities: int, columns: int) -> Model:
    """Return models of entities of which nothing is known."""
    flat = np.zeros((entities, columns))
    square = np.zeros((entities, columns, columns)) + np.eye(columns)
    return Model(
        level=flat, spread=flat + 1.0, moves=flat > 0.0, centre=flat, width=flat + 1.0,
        vectors=square, hold=flat, rest=flat + 1.0, precision=square, alone=flat + 1.0,
        farthest=flat,
    )  # fmt: skip


def bounded(sizes: Any) -> Any:
    """Return deviations that count by their logarithm beyond `_LINEAR`; odd and smooth.

    >>> bounded(np.array([-1.0, 3.0, 300.0])).round(1).tolist()
    [-1.0, 3.0, 16.8]
    """
    far = np.maximum(np.abs(sizes), _LINEAR)
    return np.clip(sizes, -_LINEAR, _LINEAR) + np.sign(sizes) * _LINEAR * np.log(far / _LINEAR)


def deviations(model: Model, rows: Any) -> Any:
    """Return how far rows `[entity, row, column]` are from the levels, in spreads; NaN stays."""
    off = (rows - model.level[:, None]) / model.spread[:, None]
    return np.clip(off, -_LARGEST, _LARGEST)


def clipped(model: Model, rows: Any) -> Any:
    """Return deviations as correlations learn from them: bounded, and no further than `_LINEAR`."""
    return np.clip(deviations(model, rows), -_LINEAR, _LINEAR)


def score(model: Model, rows: Any) -> Scores:
    """Return what the models say of rows `[entity, row, column]`, NaN for unknown."""
    off = deviations(model, rows)
    known = np.isfinite(off)
    here = known & model.moves[:, None]
    unit = (bounded(np.where(here, off, 0.0)) - model.centre[:, None]) / model.width[:, None]
    unit = np.where(here, unit, 0.0)
    lacking = model.moves[:, None] & ~known
    if lacking.any():
        unit = _filled(model, unit, lacking)
    shares = unit @ model.vectors
    hotelling = (shares * shares * model.hold[:, None]).sum(axis=2)
    explained = (shares * (model.hold > 0.0)[:, None]) @ np.swapaxes(model.vectors, 1, 2)
    error = np.where(here, (unit - explained) * model.rest[:, None], 0.0)
    distances = np.stack([(error * error).sum(axis=2), hotelling], axis=2)
    many = model.moves.sum(axis=1)[:, None]
    enough = (here.sum(axis=2) >= _LEAST_SHARE * many) & (many > 0)
    own = np.sqrt(np.diagonal(model.precision, axis1=1, axis2=2))
    apart = np.where(here, unit @ model.precision / own[:, None], 0.0)
    return Scores(
        distances=np.where(enough[:, :, None], distances, np.nan),
        apart=apart,
        deviations=np.where(known, _deviations(model, np.abs(off), np.abs(apart)), np.nan),
    )


def _deviations(model: Model, sizes: Any, apart: Any) -> Any:
    """Return how far each column is from where it should be, by either look."""
    either = np.maximum(bounded(sizes), bounded(apart / model.alone[:, None]))
    fresh = np.where(sizes > model.farthest[:, None], _LINEAR, 0.0)
    return np.where(model.moves[:, None], either, fresh)


def _filled(model: Model, unit: Any, lacking: Any) -> Any:
    """Return rows with what is lacking put where the rest says that it should be."""
    entity, row = np.nonzero(lacking.any(axis=2))
    some, gone = unit[entity, row], lacking[entity, row]
    precision = model.precision[entity]
    pull = (precision @ some[:, :, None])[:, :, 0]
    both = gone[:, :, None] & gone[:, None, :]
    system = np.where(both, precision, np.eye(unit.shape[2]))
    found = np.linalg.solve(system, np.where(gone, -pull, 0.0)[:, :, None])[:, :, 0]
    out = unit.copy()
    out[entity, row] = np.where(gone, found, some)
    return out


def scaled(rows: Any) -> tuple[Any, Any, Any]:
    """Return level, spread and which columns move, from rows `[entity, row, column]` with NaN."""
    level, spread, count = _robust(rows)
    floor = np.maximum(_ROUNDING * np.abs(level), _SMALLEST)
    enough = count >= _LEAST_VALUES
    moves = enough & (spread > floor)
    level = np.where(enough, level, np.nan)
    return level, np.where(moves, spread, floor), moves


def _robust(rows: Any) -> tuple[Any, Any, Any]:
    """Return median, widest spread and count of values of rows `[entity, row, column]`."""
    ordered = np.sort(rows, axis=1).astype(float)
    count = np.isfinite(ordered).sum(axis=1)
    last = np.maximum(count - 1, 0)

    def quantile(share: float) -> Any:
        place = np.rint(share * last).astype(np.int64)[:, None]
        return np.take_along_axis(ordered, place, axis=1)[:, 0]

    wide = [(quantile(high) - quantile(low)) / sigmas for low, high, sigmas in _RANGES]
    return quantile(0.5), np.max(wide, axis=0), count


def fit(rows: Any, moments: covariance.Moments, held: Any, *, explained: float) -> Model:
    """Return the models that the rows of reservoirs and the correlations learnt give.

    Args:
        rows: Of the reservoirs, `[entity, row, column]`.
        moments: Of clipped deviations.
        held: Rows that each entity holds, `[entity]`.
        explained: See `covariance.components`.
    """
    level, spread, moves = scaled(rows)
    basis = covariance.components(np, moments, moves, held, explained=explained)
    inverse = 1.0 / basis.variances
    rest = (basis.vectors**2 * np.where(basis.kept, 0.0, basis.variances)[:, None]).sum(axis=2)
    model = Model(
        level=level, spread=spread, moves=moves, centre=basis.centre, width=basis.width,
        vectors=basis.vectors,
        hold=np.where(basis.kept, inverse, 0.0),
        rest=1.0 / np.sqrt(np.maximum(rest, basis.variances[:, -1:])),
        precision=(basis.vectors * inverse[:, None]) @ np.swapaxes(basis.vectors, 1, 2),
        alone=np.ones_like(level), farthest=np.zeros_like(level),
    )  # fmt: skip
    off = np.abs(deviations(model, rows))
    _, alone, _ = _robust(score(model, rows).apart)
    return model._replace(
        alone=np.maximum(alone, 1.0), farthest=np.where(np.isfinite(off), off, 0.0).max(axis=1)
    )
