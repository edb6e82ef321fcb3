"""An accelerator's memory grows towards its end. A level of it is nobody's fault, however high.

Servers of language models set aside nine tenths of a device when they start (vLLM's
`gpu_memory_utilization`), TGI's all that there is, and allocators keep what they were once
given (PyTorch's caching allocator). So a full device says nothing. What does: that it fills while
its process serves, above what it usually holds, and will be full soon; or that it is newly full and
its requests fail, as those do that get no memory.
"""

from typing import Final

from homeostat.base import names
from homeostat.base.evidence import Family, Suspicion
from homeostat.base.units import seconds
from homeostat.detect.case import Case, suspicion
from homeostat.detect.causes_replica import HORIZON_SCRAPES

# As long as a forecast looks back (`detect.panel.HISTORY`): before that nobody knows what is usual.
_LEARNT: Final = 32.0
# Above the usual by what a forecast takes for a rise (`detect.forecast`), so a device that is as
# full as ever is on its way to nothing.
_ABOVE: Final = 0.03
# Within half of what such servers leave free: an allocation that fails leaves some memory free.
_FULL: Final = 0.95
# And fuller than usual by all that they leave free: no rounding, no single larger request.
_NEWLY: Final = 0.1


def memory(case: Case) -> tuple[Suspicion, ...]:
    """A replica fills its device, or has just filled it and fails."""
    shares = case.believed.get(names.DEVICE_MEMORY_SHARE, {})
    if not shares:
        return ()
    horizon = HORIZON_SCRAPES * case.managed.scrape_ns
    until = {
        forecast.subject: forecast.time_to_limit_ns
        for forecast in case.forecasts
        if forecast.signal == names.DEVICE_MEMORY_SHARE
    }
    out = []
    for replica in case.serving:
        subject = case.subjects[replica.name]
        share, above = shares.get(subject), _above(case, subject)
        if share is None or above is None or above < _ABOVE:
            continue
        left = until.get(subject)
        soon = left is not None and left <= horizon
        fails = share >= _FULL and above >= _NEWLY and _fails(case, subject)
        if soon or fails:
            said = (
                f"memory of a device of {replica.name} at {share:.0%}, usually {share - above:.0%}",
                f"at this rate it is full in {seconds(left):.0f} s" if left is not None else "",
                "its requests fail" if fails else "",
            )
            # Above the host's: who is told of both has one that fills and one that follows.
            out.append(suspicion(Family.DEVICE_MEMORY, subject, 0.925, *said))
    return tuple(out)


def _above(case: Case, subject: str) -> float | None:
    """Return by how much a device is fuller than usual, None where that is not known."""
    key = (subject, names.DEVICE_MEMORY_SHARE)
    usual, share = case.usual.get(key), case.value(*key)
    if usual is None or share is None or case.learnt.get(key, 0.0) < _LEARNT:
        return None
    return share - usual


def _fails(case: Case, subject: str) -> bool:
    """Return whether a replica's requests are known to fail more often than was promised."""
    errors = case.value(subject, names.ERROR_RATIO)
    return errors is not None and errors > case.managed.objective.error_ratio
