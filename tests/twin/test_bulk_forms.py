"""The batch queue by roots: against chains, closed forms, and what it refuses."""

import math

import numpy as np
import pytest

from homeostat.twin import bulk_forms as bulk
from homeostat.twin import closed_forms
from homeostat.twin.closed_forms import UnstableQueueError


@pytest.mark.parametrize("cv2", [0.25, 1.0])
@pytest.mark.parametrize(("batch", "load"), [(1, 0.9), (8, 0.05), (8, 0.8), (32, 0.5), (32, 0.7)])
def test_with_gamma_times_it_is_the_chain_state_by_state(
    batch: int, load: float, cv2: float
) -> None:
    rate = load * batch / (0.02 + 0.002 * batch)
    exact = closed_forms.batch_queue(rate, 0.02, 0.002, batch, cv2).jobs
    found = bulk.jobs(load, 0.02, 0.002, batch, bulk.gamma(cv2))
    assert found == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("cv2", [0.0625, 0.25, 1.0, 4.0])
@pytest.mark.parametrize("load", [0.1, 0.7, 0.98])
def test_one_by_one_only_two_moments_count(cv2: float, load: float) -> None:
    jobs = bulk.jobs(load, 1.0, 0.5, 1, bulk.lognormal(cv2))
    assert jobs == pytest.approx(load + load**2 * (1 + cv2) / (2 * (1 - load)), rel=1e-6)


@pytest.mark.parametrize(("cv2", "short"), [(0.25, 0.004), (0.5, 0.01), (1.0, 0.015), (4.0, 0.15)])
def test_the_law_has_a_lognormals_moments(cv2: float, short: float) -> None:
    law = bulk.lognormal(cv2)
    m = law.stages
    assert law.weights @ law.means == pytest.approx(1.0)
    assert (law.weights @ law.means**2) * (1 + 1 / m) == pytest.approx(1 + cv2, rel=3e-3)
    third = (law.weights @ law.means**3) * (1 + 1 / m) * (1 + 2 / m)
    assert 1 - short <= third / (1 + cv2) ** 3 <= 1.0


def test_full_load_is_the_heavy_traffic_limit_of_large_batches() -> None:
    # The chain state by state would need 60,000 of them.
    jobs = bulk.jobs(0.999, 0.02, 0.002, 32, bulk.lognormal(1.0))
    assert jobs == pytest.approx(32 * 1.0 / (2 * 0.001), rel=0.05)


def test_the_transform_is_a_transform() -> None:
    law = bulk.lognormal(1.0)
    assert law.transform(np.zeros(1, complex))[0] == pytest.approx(1.0)
    s = np.array([0.3 + 0.7j, 5.0 - 9.0j])
    np.testing.assert_allclose(np.exp(law.log_transform(s)), law.transform(s), rtol=1e-12)


def test_what_cannot_be_said_is_refused() -> None:
    with pytest.raises(UnstableQueueError):
        bulk.jobs(1.0, 0.02, 0.002, 8, bulk.gamma(1.0))
    for cv2 in (0.0, -1.0, 1 / 33, math.nan):
        with pytest.raises(ValueError, match="at least 1/32"):
            bulk.lognormal(cv2)
