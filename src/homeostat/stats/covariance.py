"""Covariance that is learnt as rows come, with a fading memory, and what follows from it.

Products are summed over the pairs of columns that were known together, each with its own count, so
that a column with gaps does not look uncorrelated. The eigenvectors of the correlation matrix are
principal components (Jackson, "A User's Guide to Principal Components" (1991), chapters 1 and 4);
their sign is fixed, so that a refit does not turn them round. How many are more than noise: those
whose variance exceeds what independent columns would show by chance (Horn, Psychometrika 30 (1965);
the limit is that of Marchenko & Pastur, Math. USSR-Sbornik 1 (1967), 1 + sqrt(columns / rows)
squared, instead of simulated rows), up to a share of the whole variance.

Everything takes `xp` and is batched over entities. Not here: scaling, outliers, limits.
"""

from types import ModuleType
from typing import Any, Final, NamedTuple

_SMALLEST: Final = 1e-12


class Moments(NamedTuple):
    """Fading sums over rows.

    Attributes:
        pairs: Rows in which both columns were known, `[entity, column, column]`.
        sums: Sum of the first column over them, likewise.
        products: Sum of the product, likewise.
    """

    pairs: Any
    sums: Any
    products: Any


class Basis(NamedTuple):
    """Principal components of standardised columns.

    Attributes:
        centre: Mean of each column, `[entity, column]`.
        width: Standard deviation of each column, likewise.
        vectors: Components as columns, largest variance first, `[entity, column, component]`.
        variances: Their variances, `[entity, component]`.
        kept: Components that are more than noise, bool `[entity, component]`.
    """

    centre: Any
    width: Any
    vectors: Any
    variances: Any
    kept: Any


def init(xp: ModuleType, entities: int, columns: int) -> Moments:
    """Return sums over no rows."""
    return Moments(*(xp.zeros((entities, columns, columns)) for _ in Moments._fields))


def learn(xp: ModuleType, state: Moments, rows: Any, memory: float) -> Moments:
    """Add rows; the sums fade so that they never weigh more than `memory` rows.

    Args:
        xp: numpy or jax.numpy.
        state: From `init` or the last call.
        rows: Float `[row, entity, column]`; NaN for unknown. Clip outliers before.
        memory: Rows, more than are added at once.
    """
    table = xp.moveaxis(xp.asarray(rows, dtype=state.sums.dtype), 0, 1)
    known = xp.isfinite(table)
    filled, weight = xp.where(known, table, 0.0), xp.asarray(known, dtype=table.dtype)
    across = xp.swapaxes(filled, 1, 2)
    pairs = xp.swapaxes(weight, 1, 2) @ weight
    room = memory - xp.max(pairs, axis=(1, 2))
    fade = xp.minimum(1.0, room / xp.maximum(xp.max(state.pairs, axis=(1, 2)), 1.0))[:, None, None]
    return Moments(
        pairs=state.pairs * fade + pairs,
        sums=state.sums * fade + across @ weight,
        products=state.products * fade + across @ filled,
    )


def components(
    xp: ModuleType, state: Moments, usable: Any, rows: Any, *, explained: float
) -> Basis:
    """Return the principal components of the correlation matrix.

    Args:
        xp: numpy or jax.numpy.
        state: The sums.
        usable: Bool `[entity, column]`: columns that vary; the others have components of their
            own, of variance 1 and never kept.
        rows: Independent rows that the sums are worth, `[entity]`, for the limit of noise.
        explained: Share of the variance at which no further component is kept, in (0, 1].

    Returns:
        The basis. Correlations are shrunk towards 0 by columns / (columns + rows learnt), so that
        no variance is 0 and a young estimate claims little.
    """
    columns = state.pairs.shape[1]
    count = xp.maximum(state.pairs, 1.0)
    mean = state.sums / count
    covariance = state.products / count - mean * xp.swapaxes(mean, 1, 2)
    variance = xp.diagonal(covariance, axis1=1, axis2=2)
    usable = usable & (variance > _SMALLEST)
    width = xp.where(usable, xp.sqrt(xp.maximum(variance, _SMALLEST)), 1.0)
    both = usable[:, :, None] & usable[:, None, :]
    identity = xp.eye(columns)
    scaled = covariance / (width[:, :, None] * width[:, None, :])
    learnt = columns / (columns + xp.max(state.pairs, axis=(1, 2)))[:, None, None]
    correlation = xp.where(both, xp.clip(scaled, -1.0, 1.0) * (1.0 - learnt), 0.0)
    correlation = xp.where(identity > 0.0, 1.0, correlation)
    variances, vectors = xp.linalg.eigh(correlation)
    variances, vectors = variances[:, ::-1], _signed(xp, vectors[:, :, ::-1])
    # Pairs with gaps of their own may make a matrix that is no covariance.
    variances = xp.maximum(variances, xp.min(learnt, axis=(1, 2))[:, None] / 2.0)
    many = usable.sum(axis=1)
    limit = (1.0 + xp.sqrt(many / xp.maximum(rows, 1.0))) ** 2
    total = xp.maximum(many, 1.0)
    before = xp.cumsum(variances, axis=1) - variances
    kept = (variances > limit[:, None]) & (before < explained * total[:, None])
    centre = xp.where(usable, xp.diagonal(mean, axis1=1, axis2=2), 0.0)
    return Basis(centre, width, vectors, variances, kept)


def _signed(xp: ModuleType, vectors: Any) -> Any:
    """Return eigenvectors whose largest entry is positive."""
    largest = xp.argmax(xp.abs(vectors), axis=1)[:, None, :]
    return vectors * xp.where(xp.take_along_axis(vectors, largest, axis=1) < 0.0, -1.0, 1.0)
