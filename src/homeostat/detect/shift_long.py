"""How far a window is from what was usual for hours: what changes too slowly to be seen at once.

The reference of `shift` follows healthy traffic over minutes, so that a step stands out. A release
that is rolled out in small steps, or a calibration that is lost over half an hour, is followed with
it. This one forgets over hours. Seasons are in it as well, so nothing is an anomaly for its
distance alone: `causes_model.quality` compares how far predictions and inputs are from the same
hours.
"""

from typing import Any, Final

import numpy as np

from homeostat.base.evidence import Quality
from homeostat.detect.shift_case import Floats, Window, total

# Scrapes over which a reference forgets: five hours at 15 s.
SCRAPES: Final = 1200.0


def learnt(before: Floats, fresh: Floats) -> Floats:
    """Return the reference after a scrape's fresh events, both by bucket.

    Args:
        before: Empty before anything was learnt.
        fresh: Events that count.
    """
    kept: Floats = fresh if not len(before) else before * (1.0 - 1.0 / SCRAPES) + fresh
    return kept


def away(window: Window | None, usual: Floats, *, least: float) -> float | None:
    """Return the total variation between a window and what was usual for hours.

    Args:
        window: Of now.
        usual: Events per bucket; of other buckets or too few of them, nothing is known.
        least: Events that a reference needs.

    >>> away(None, np.array([5.0, 5.0]), least=1.0) is None
    True
    """
    if window is None or window.quality is not Quality.GOOD or len(usual) != len(window.counts):
        return None
    seen: Any = total(usual)
    if seen < least or window.events <= 0.0:
        return None
    return 0.5 * total(np.abs(window.counts / window.events - usual / seen))
