"""How far apart two histograms are: population stability index and total variation.

Sizes, not tests: both are above zero for two samples of one distribution. PSI is the symmetrised
Kullback-Leibler divergence of the shares, sum (p - q) ln(p / q), by chance about
(K - 1) (1/n + 1/m) over K bins; the folklore calls 0.1 small and 0.25 large. Total variation is the
share of events that would have to move: 0 the same, 1 disjoint.

Source: Lin, "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory 37 (1991)
for the symmetric form; Yurdakul & Naranjo, Journal of Risk Model Validation 14 (2020) for its law.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from homeostat.stats.in_order import total

Floats = npt.NDArray[np.float64]
# Half an event in every bin keeps an empty one finite (Jeffreys' prior).
_HALF: Final = 0.5


def psi(now: Floats, then: Floats) -> Any:
    """Return the population stability index of counts, half an event added to every bin.

    Args:
        now: Counts `[bin, ...]`.
        then: Counts of the reference, of the same shape.

    Returns:
        0 or more, `[...]`; NaN where a histogram is empty.

    >>> round(float(psi(np.array([300.0, 700.0]), np.array([500.0, 500.0]))), 3)
    0.169
    """
    p, q = _shares(now + _HALF, now), _shares(then + _HALF, then)
    return total((p - q) * np.log(p / q))


def by_chance(bins: int, now: Any, then: Any) -> Any:
    """Return the index that two samples of one distribution have on average; see the module.

    Args:
        bins: How many there are.
        now: Events, above 0.
        then: Events of the reference, above 0.

    >>> by_chance(11, 1000.0, 4000.0)
    0.0125
    """
    return (bins - 1) * (1.0 / now + 1.0 / then)


def total_variation(now: Floats, then: Floats) -> Any:
    """Return the total variation between the shares of two histograms, in [0, 1].

    Args:
        now: Counts `[bin, ...]`.
        then: Counts of the reference, of the same shape.

    Returns:
        `[...]`; NaN where a histogram is empty.

    >>> float(total_variation(np.array([3.0, 1.0]), np.array([1.0, 1.0])))
    0.25
    """
    return 0.5 * total(np.abs(_shares(now, now) - _shares(then, then)))


def _shares(counts: Floats, events: Floats) -> Floats:
    """Return shares of counts, NaN where there are no events."""
    some = np.where(total(events) > 0.0, total(counts), np.nan)
    shares: Floats = counts / some
    return shares
