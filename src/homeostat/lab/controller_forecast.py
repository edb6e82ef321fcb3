"""What the controller's evidence says of the next ten minutes, as a probability.

The product forecasts one thing so far: when a process reaches its memory limit. So what it says is
certain either way: the promise is broken now, or a limit is in credible reach within the horizon,
or it is neither. A forecast of 0 or 1 is still a forecast, and the Brier score judges it as one.
"""

import math

from homeostat.base.evidence import Evidence
from homeostat.base.units import SECOND
from homeostat.lab.thresholds import FROZEN


def breach_probability(evidence: Evidence | None) -> float:
    """Return the probability that the promise is broken within the horizon if nobody acts.

    Args:
        evidence: Of this tick; None = nothing was seen.

    Returns:
        0 or 1; NaN where it is unknown whether the promise is kept now.
    """
    if evidence is None or evidence.slo_met is None:
        return math.nan
    reach = FROZEN.breach_horizon_s * SECOND
    ahead = (one.time_to_limit_ns for one in evidence.forecasts)
    near = any(time is not None and time <= reach for time in ahead)
    return float(not evidence.slo_met or near)
