"""The windows' distance keeps what every histogram method must."""

import pytest
from shift_as_histogram import ShiftAsHistogram

from homeostat.testing.histogram import check_histogram


@pytest.mark.slow
def test_the_distance_of_windows_conforms() -> None:
    check_histogram("shift", ShiftAsHistogram)
