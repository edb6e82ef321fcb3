"""What the controller's evidence says of the next ten minutes, as a probability.

What is broken now is taken to stay broken, a process whose memory limit is in credible reach to
get there, as certain as the product is of it: a finding. Before that the forecasts of the promise's
signals and of demand speak. How they go along nobody knows, so the probability that any of them
passes its limit is taken at its lower end, that of the most probable one.
"""

import math

from homeostat.base.evidence import Evidence
from homeostat.base.units import SECOND
from homeostat.detect.breach_any import any_breach
from homeostat.detect.forecast_load import chance_within
from homeostat.lab.thresholds import FROZEN


def breach_probability(evidence: Evidence | None) -> float:
    """Return the probability that the promise is broken within the horizon if nobody acts.

    Args:
        evidence: Of this tick; None = nothing was seen.

    Returns:
        0..1; NaN where it is unknown whether the promise is kept now.
    """
    if evidence is None or evidence.slo_met is None:
        return math.nan
    reach = round(FROZEN.breach_horizon_s * SECOND)
    memory = (one.time_to_limit_ns for one in evidence.forecasts if not one.horizons_ns)
    if not evidence.slo_met or any(left is not None and left <= reach for left in memory):
        return 1.0
    chances = {
        f"{one.subject} {one.signal}": chance_within(one, reach)
        for one in evidence.forecasts
        if one.horizons_ns
    }
    return any_breach(chances).low
