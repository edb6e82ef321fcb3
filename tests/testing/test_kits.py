"""Every detector that can be found keeps the promises of its port, without being named here."""

import pytest

from homeostat.plugins import parts
from homeostat.testing import check_detector


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(parts("detector")))
def test_every_detector_conforms(name: str) -> None:
    check_detector(parts("detector")[name])


def test_the_detectors_of_this_house_are_found() -> None:
    shipped = {"changepoint", "conformal", "ewma", "seasonal", "spot"}
    assert shipped <= set(parts("detector"))
