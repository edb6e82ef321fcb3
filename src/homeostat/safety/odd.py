"""Of whom something unusual was read: what a suspicion of one replica must rest on to be acted on.

A ramp towards a limit is evidence of its own: no single reading of it is unusual. That a device is
busier or idler than usual is none: it follows the requests.
"""

from homeostat.base import names
from homeostat.base.evidence import Verdict
from homeostat.safety.sight import Sight


def odd_ones(sight: Sight) -> frozenset[str]:
    """Return the subjects of which something unusual was read, or whose process fills up."""
    unusual = {
        subject
        for (subject, signal), reading in sight.readings.items()
        if reading.verdict is Verdict.ANOMALOUS and signal != names.DEVICE_SHARE
    }
    return frozenset(unusual | _ramps(names.MEMORY_SHARE, sight))


def device_fills(sight: Sight) -> frozenset[str]:
    """Return the subjects with a device on its way to its end."""
    return frozenset(_ramps(names.DEVICE_MEMORY_SHARE, sight))


def _ramps(signal: str, sight: Sight) -> set[str]:
    """Return who is seen to be on the way to the limit of a share."""
    return {
        forecast.subject
        for forecast in sight.forecasts()
        if forecast.signal == signal
        and forecast.time_to_limit_ns is not None
        and sight.value(forecast.subject, signal) is not None
    }
