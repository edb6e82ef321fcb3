"""What no detector could tell from its neighbours is not believed."""

import math

import numpy as np
import pytest

from homeostat.signals.quality import MOST_COUNTED, MOST_JUDGED, absurd_values


@pytest.mark.parametrize(
    ("value", "absurd"),
    [
        (0.0, (False, False)),
        (-1.0, (False, True)),
        (MOST_JUDGED, (False, False)),
        (-MOST_JUDGED, (False, True)),
        (1.7e18, (True, True)),  # nanoseconds since 1970, or wei
        (-1.7e18, (True, True)),
        (2.0 * MOST_JUDGED, (True, False)),  # a counter of bytes may go there
        (MOST_COUNTED, (True, False)),
        (2.0 * MOST_COUNTED, (True, True)),
        (1e300, (True, True)),
        (math.nan, (True, True)),
        (math.inf, (True, True)),
        (-math.inf, (True, True)),
    ],
)
def test_a_value_is_absurd_by_its_kind(value: float, absurd: tuple[bool, bool]) -> None:
    got = absurd_values(np.array([value, value]), np.array([False, True]))
    assert tuple(got.tolist()) == absurd  # as a gauge, as a counter
