"""Quantiles of Student's t against SciPy, near and far in the tail."""

import numpy as np
import pytest
from scipy import stats

from homeostat.stats.student import upper_quantiles


@pytest.mark.parametrize(
    ("degrees", "within"), [(range(1, 30), 1e-11), (range(900, 1100, 7), 1e-10), ([10**7], 1e-10)]
)
def test_the_quantile_is_scipys(degrees: list[int], within: float) -> None:
    for tail in (0.49, 0.1, 0.025, 1e-4, 1e-6, 1e-9):
        dof = np.array(degrees, dtype=float)
        found = upper_quantiles(np.full(len(dof), tail), dof)
        assert found == pytest.approx(stats.t.isf(tail, dof), rel=within)


@pytest.mark.parametrize(("tail", "dof"), [(0.0, 5.0), (0.5, 5.0), (0.1, 0.5), (np.nan, 5.0)])
def test_what_has_no_quantile_is_refused(tail: float, dof: float) -> None:
    with pytest.raises(ValueError, match="need 0 < tail"):
        upper_quantiles(np.array([tail]), np.array([dof]))
