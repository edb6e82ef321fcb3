"""What is to be expected of a rehearsed candidate: means over the draws, not their middle."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from homeostat.base.actions import HOLD
from homeostat.twin.rehearse import expected, summed

DRAWS = 40


def each(*values: float) -> Any:
    """Numbers of five draws, eight times over [1, D]."""
    return np.tile(np.array([values]), (1, DRAWS // 5))


def sums(**changes: Any) -> Any:
    """One candidate over ten scrapes of 15 s; of five draws two lose every request."""
    plain = {
        "offered": each(100, 100, 100, 100, 100), "good": each(100, 100, 100, 0, 0),
        "attempts": each(100, 100, 100, 100, 100), "errors": each(0, 0, 0, 100, 100),
        "slow": each(8, 8, 8, 8, 8), "usd": each(1, 1, 1, 1, 6),
        "breached": each(0, 1, 4, 10, 10), "ended": each(0, 0, 0, 1, 1),
    }  # fmt: skip
    return SimpleNamespace(**(plain | changes))


def test_means_are_over_the_draws() -> None:
    found = expected(HOLD, summed(sums(), np.ones((1, DRAWS)), 150.0), 0)
    assert found.means is not None
    assert found.means.missed == pytest.approx(2.5 / 5)
    assert found.means.failed == pytest.approx(0.4)
    assert found.means.usd_per_hour == pytest.approx(2.0 * 3600 / 150)
    assert found.foreseen.error_ratio.p50 == 0.0
    assert found.holds == pytest.approx(0.6)


def test_a_mean_of_what_is_not_known_is_not_known() -> None:
    nobody = sums(attempts=each(100, 100, 0, 100, 100))
    found = expected(HOLD, summed(nobody, np.ones((1, DRAWS)), 150.0), 0)
    assert found.means is not None
    assert np.isnan(found.means.failed)
    assert found.means.missed == pytest.approx(0.5)
