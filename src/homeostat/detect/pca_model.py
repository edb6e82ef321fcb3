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
# Rows are left out in steps of so many.
_STEP: Final = 64
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
        kept: Principal components, `[entity]`.
        looks: What a standardised row is multiplied with, `[entity, column, 3 * column]`: for each
            column its error after the components in standard deviations, its distance from what all
            others say, likewise, and the components, those that are kept, in theirs.
        precision: Inverse of the correlation matrix, `[entity, column, column]`.
        farthest: The largest deviation seen, `[entity, column]`.
        usual: Median of ln(1 + Q) and ln(1 + T^2), `[entity, 2]`.
        unrest: Their robust standard deviations, `[entity, 2]`.
    """

    level: Any
    spread: Any
    moves: Any
    centre: Any
    width: Any
    kept: Any
    looks: Any
    precision: Any
    farthest: Any
    usual: Any
    unrest: Any


class Scores(NamedTuple):
    """What a model says of rows.

    Attributes:
        distances: Q and T^2, NaN where too little is known, `[entity, row, 2]`.
        beyond: How far their logarithms are above usual, bounded, 0 or more, NaN where unknown,
            likewise.
        apart: Distance of each column from what all others say, in robust standard deviations, 0
            or more, 0 where unknown, `[entity, row, column]`.
        deviations: The larger of that and of its distance from its level, bounded, NaN where
            unknown, likewise.
        strange: As `apart`, but NaN where unknown, and of a column that never moved the deviations
            that it counts, likewise.
    """

    distances: Any
    beyond: Any
    apart: Any
    deviations: Any
    strange: Any


def init(entities: int, columns: int) -> Model:
    """Return models of entities of which nothing is known."""
    flat = np.zeros((entities, columns))
    square = np.zeros((entities, columns, columns)) + np.eye(columns)
    return Model(
        level=flat, spread=flat + 1.0, moves=flat > 0.0, centre=flat, width=flat + 1.0,
        kept=np.zeros(entities), looks=np.concatenate([square] * 3, axis=2), precision=square,
        farthest=flat, usual=np.zeros((entities, 2)), unrest=np.ones((entities, 2)),
    )  # fmt: skip


def bounded(sizes: Any) -> Any:
    """Return sizes (0 or more) that count by their logarithm beyond `_LINEAR`; smooth.

    >>> bounded(np.array([1.0, 3.0, 300.0])).round(1).tolist()
    [1.0, 3.0, 16.8]
    """
    return np.minimum(sizes, _LINEAR) + _LINEAR * np.log(np.maximum(sizes / _LINEAR, 1.0))


def deviations(model: Model, rows: Any) -> Any:
    """Return how far rows `[entity, row, column]` are from the levels, in spreads; NaN stays."""
    off = (rows - model.level[:, None]) / model.spread[:, None]
    return np.minimum(np.maximum(off, -_LARGEST), _LARGEST)


def clipped(model: Model, rows: Any) -> Any:
    """Return deviations as correlations learn from them: bounded, and no further than `_LINEAR`."""
    return np.clip(deviations(model, rows), -_LINEAR, _LINEAR)


def tamed(model: Model, rows: Any, most: float) -> Any:
    """Return rows `[row, entity, column]` no farther than `most` spreads from their levels.

    A column that never moved has no spread, and one of which nothing is known no level; they are
    left as they are.
    """
    bound = model.moves & np.isfinite(model.level)
    level = np.where(bound, model.level, 0.0)
    reach = np.where(bound, most * model.spread, np.inf)
    return np.clip(rows, level - reach, level + reach)


def without(model: Model, columns: Any) -> Model:
    """Return models to which some columns are missing, whatever comes; bool `[entity, column]`."""
    return model._replace(level=np.where(columns, np.nan, model.level))


def widened(model: Model, columns: int) -> Model:
    """Return models of so many columns, as many or more, to which the new ones are missing."""
    entities, before = model.level.shape
    wide = init(entities, columns)
    level, looks, precision = wide.level + np.nan, wide.looks.copy(), wide.precision.copy()
    for block in range(3):
        own = slice(block * columns, block * columns + before)
        looks[:, :before, own] = model.looks[:, :, block * before : (block + 1) * before]
    precision[:, :before, :before] = model.precision
    level[:, :before] = model.level

    def padded(new: Any, old: Any) -> Any:
        return np.concatenate([old, new[:, before:]], axis=1)

    return model._replace(
        level=level, looks=looks, precision=precision,
        spread=padded(wide.spread, model.spread), moves=padded(wide.moves, model.moves),
        centre=padded(wide.centre, model.centre), width=padded(wide.width, model.width),
        farthest=padded(wide.farthest, model.farthest),
    )  # fmt: skip


class _Looked(NamedTuple):
    """What a model sees in rows, before it is compared with what is usual.

    Attributes:
        known: Bool `[entity, row, column]`.
        sizes: How far values are from their levels, in spreads, 0 where unknown, likewise.
        apart: As in `Scores`.
        distances: Likewise.
    """

    known: Any
    sizes: Any
    apart: Any
    distances: Any


def score(model: Model, rows: Any) -> Scores:
    """Return what the models say of rows `[entity, row, column]`, NaN for unknown."""
    seen = _looked(model, rows)
    above = (np.log1p(seen.distances) - model.usual[:, None]) / model.unrest[:, None]
    # What never varied has no spread: a value farther off than any yet is all that it can say.
    fresh = np.where(seen.sizes > model.farthest[:, None], _LINEAR, 0.0)
    moves = model.moves[:, None]
    farther = np.where(moves, np.maximum(seen.sizes, seen.apart), fresh)
    return Scores(
        distances=seen.distances,
        beyond=bounded(np.maximum(above, 0.0)),
        apart=seen.apart,
        deviations=np.where(seen.known, bounded(farther), np.nan),
        strange=np.where(seen.known, np.where(moves, seen.apart, fresh), np.nan),
    )


def _looked(model: Model, rows: Any, left_out: int = 0) -> _Looked:
    """Look at rows; `left_out` is how many more of each entity there are that are all unknown."""
    off = deviations(model, rows)
    known = np.isfinite(off)
    moves = model.moves[:, None]
    here = known & moves
    sizes = np.abs(np.where(known, off, 0.0))
    unit = (np.copysign(bounded(sizes), off) - model.centre[:, None]) / model.width[:, None]
    unit = np.where(here, unit, 0.0)
    if not known.all() and (moves & ~known).any():
        unit = _filled(model, unit, moves & ~known, left_out)
    columns = rows.shape[2]
    seen = unit @ model.looks
    apart = np.where(here, np.abs(seen[:, :, columns : 2 * columns]), 0.0)
    seen *= seen
    error = np.where(here, seen[:, :, :columns], 0.0).sum(axis=2)
    distances = np.stack([error, seen[:, :, 2 * columns :].sum(axis=2)], axis=2)
    many = model.moves.sum(axis=1)[:, None]
    enough = (here.sum(axis=2) >= _LEAST_SHARE * many) & (many > 0)
    distances = np.where(enough[:, :, None], distances, np.nan)
    return _Looked(known, sizes, apart, distances)


def _filled(model: Model, unit: Any, lacking: Any, left_out: int) -> Any:
    """Return rows with what is lacking put where the rest says that it should be."""
    entity, row = np.nonzero(lacking.any(axis=2))
    some, gone = unit[entity, row], lacking[entity, row]
    alike, first, count = _alike(entity, gone)
    # Both ways differ in the last bit, so rows that were left out have their say in which is taken.
    if 2 * len(first) > len(entity) + left_out * np.count_nonzero(model.moves.any(axis=1)):
        filled = np.where(gone, _solved(model.precision[entity], some, gone), some)
    else:
        filled = some
        ends = np.cumsum(count)
        order = np.argsort(alike, kind="stable")
        # Rows of one entity that lack the same columns are filled by one matrix.
        ways = _ways(model.precision[entity[first]], gone[first])
        for way, begin, end in zip(ways, ends - count, ends, strict=True):
            these = order[begin:end]
            filled[these] += some[these] @ way.T
    out = unit.copy()
    out[entity, row] = filled
    return out


def _alike(entity: Any, gone: Any) -> tuple[Any, Any, Any]:
    """Return for rows with what they lack: their group, and of each the first row and the count."""
    # A row's entity and its bits as one string of bytes: what numpy can sort by.
    whose = entity.astype(np.int64)[:, None].view(np.uint8)
    key = np.ascontiguousarray(np.concatenate([whose, np.packbits(gone, axis=1)], axis=1))
    one = key.view(np.dtype((np.void, key.shape[1])))[:, 0]
    _, first, alike, count = np.unique(
        one, return_index=True, return_inverse=True, return_counts=True
    )
    return alike, first, count


def _solved(precision: Any, some: Any, gone: Any) -> Any:
    """Return the columns that are gone, each row by itself; the others mean nothing."""
    pull = (precision @ some[:, :, None])[:, :, 0]
    right = np.where(gone, -pull, 0.0)[:, :, None]
    return np.linalg.solve(_system(precision, gone), right)[:, :, 0]


def _ways(precision: Any, gone: Any) -> Any:
    """Return what gives the columns that are gone from a row in which they are 0."""
    right = np.where(gone[:, :, None], -precision, 0.0)
    return np.linalg.solve(_system(precision, gone), right)


def _system(precision: Any, gone: Any) -> Any:
    both = gone[:, :, None] & gone[:, None, :]
    return np.where(both, precision, np.eye(precision.shape[1]))


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
    ordered = _ordered(rows).astype(float)
    count = np.isfinite(ordered).sum(axis=2)
    last = np.maximum(count - 1, 0)

    def quantile(share: float) -> Any:
        place = np.rint(share * last).astype(np.int64)[:, :, None]
        return np.take_along_axis(ordered, place, axis=2)[:, :, 0]

    wide = [(quantile(high) - quantile(low)) / sigmas for low, high, sigmas in _RANGES]
    return quantile(0.5), np.max(wide, axis=0), count


def _ordered(rows: Any) -> Any:
    """Return rows `[entity, row, column]` as sorted columns, `[entity, column, row]`."""
    out = np.array(np.swapaxes(rows, 1, 2), order="C")  # sorting along memory is far cheaper
    out.sort(axis=2)
    return out


def fit(
    rows: Any,
    moments: covariance.Moments,
    held: Any,
    *,
    explained: float,
    scale: tuple[Any, Any, Any] | None = None,
    left_out: int = 0,
) -> Model:
    """Return the models that the rows of reservoirs and the correlations learnt give.

    Args:
        rows: Of the reservoirs, `[entity, row, column]`.
        moments: Of clipped deviations.
        held: Rows that each entity holds, `[entity]`.
        explained: See `covariance.components`.
        scale: What `scaled` says of the rows, if that is known.
        left_out: How many more rows each reservoir has, all of them unknown as is the last of
            `rows`; see `filled_rows`.
    """
    level, spread, moves = scaled(rows) if scale is None else scale
    basis = covariance.components(np, moments, moves, held, explained=explained)
    inverse = 1.0 / basis.variances
    rest = (basis.vectors**2 * np.where(basis.kept, 0.0, basis.variances)[:, None]).sum(axis=2)
    # Columns: what the components leave, each in its own standard deviation.
    kept = np.where(basis.kept[:, None], basis.vectors, 0.0)
    left = np.eye(rows.shape[2]) - kept @ np.swapaxes(kept, 1, 2)
    left /= np.sqrt(np.maximum(rest, basis.variances[:, -1:]))[:, None]
    precision = (basis.vectors * inverse[:, None]) @ np.swapaxes(basis.vectors, 1, 2)
    own = np.sqrt(np.diagonal(precision, axis1=1, axis2=2))[:, None]
    within = kept * np.sqrt(inverse)[:, None]
    model = init(len(rows), rows.shape[2])._replace(
        level=level, spread=spread, moves=moves, centre=basis.centre, width=basis.width,
        kept=basis.kept.sum(axis=1).astype(float),
        looks=np.concatenate([left, precision / own, within], axis=2),
        precision=precision,
    )  # fmt: skip
    return _calibrated(model, rows, left_out)


def filled_rows(held: Any, size: int) -> int:
    """Return how many rows of reservoirs must be looked at: the filled ones, and an empty one.

    In steps of 64, in which products of matrices come out the same to the last bit.

    Args:
        held: Rows that each entity holds, `[entity]`.
        size: Rows of a reservoir.
    """
    return int(min((int(held.max()) // _STEP + 1) * _STEP, size))


def _calibrated(model: Model, rows: Any, left_out: int) -> Model:
    """Return the model with what its scores of the reservoir's rows say is usual."""
    seen = _looked(model, rows, left_out)
    alone = np.maximum(_alone(seen.apart, left_out), 1.0)
    columns = rows.shape[2]
    looks = model.looks.copy()
    looks[:, :, columns : 2 * columns] /= alone[:, None]
    usual, unrest, _ = _robust(np.log1p(seen.distances))
    return model._replace(
        looks=looks,
        farthest=seen.sizes.max(axis=1),
        usual=np.where(np.isfinite(usual), usual, 0.0),
        unrest=np.where(unrest > _ROUNDING, unrest, 1.0),
    )


def _alone(apart: Any, left_out: int) -> Any:
    """Return the widest spread of what is apart, of 0 in rows left out, `[entity, column]`.

    Its sign is lost; as often above as below, it has the quantiles that `_RANGES` are about: those
    of all sizes with either sign, in which the smallest are in the middle.
    """
    ordered = _ordered(apart)
    size = ordered.shape[2] + left_out

    def quantile(share: float) -> Any:
        place = int(np.rint(share * (2 * size - 1))) - size
        from_least = (place if place >= 0 else -1 - place) - left_out
        found = ordered[:, :, from_least] if from_least >= 0 else np.zeros(ordered.shape[:2])
        return found if place >= 0 else -found

    wide = [(quantile(high) - quantile(low)) / sigmas for low, high, sigmas in _RANGES]
    return np.max(wide, axis=0)
