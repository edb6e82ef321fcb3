"""Front ends on their way to one core: a request costs more of it than it did, and ever more.

Said only while all is well and nothing else is suspected, of a climb that `forecast_core` claims,
where it ends before a replica that is asked for now could help, and where neither demand nor the
device explains it. The subject is the model: that is how front ends that will run out differ from
those whose requests wait (`causes_common.frontend`, at the pool), and all that may be done about it
is one more replica (`policy.foreseen`).
"""

from typing import Final

from homeostat.base import names
from homeostat.base.evidence import Family, Suspicion
from homeostat.base.units import MINUTE, SECOND
from homeostat.detect.case import Case, median, suspicion

# Of what is usual, and of what more demand explains: a request costs a quarter more than it did.
_COSTS: Final = 1.25
# Full batches are a device that is behind: then the front end is not what is short.
_IDLE: Final = 0.5
_FLAT: Final = 1.3
_ALIKE: Final = 0.5
_CORE: Final = 0.9
_REACH_NS: Final = 5 * MINUTE


def running_out(case: Case) -> tuple[Suspicion, ...]:
    """All replicas' processors climb towards one core while demand and devices are as usual."""
    if case.slo_met is not True:
        return ()
    pool = names.pool(case.managed.stable_pool)
    left = next(
        (
            one.time_to_limit_ns
            for one in case.forecasts
            if (one.subject, one.signal) == (pool, names.CPU_SHARE)
        ),
        None,
    )
    reach = max(case.managed.guard.readiness_deadline_ns, _REACH_NS)
    if left is None or left > reach or not _costs_more(case, pool) or not _device_idles(case):
        return ()
    share = median(case.own(names.CPU_SHARE))
    return (
        suspicion(
            Family.FRONTEND,
            names.MODEL,
            0.6,
            f"forecast: servers take {share:.2f} of a core each, usually "
            f"{median(case.usually(names.CPU_SHARE)):.2f}, and at this rate all of it within "
            f"{left / SECOND:.0f} s",
            "demand and devices are as usual, so a request costs more than it did",
            f"a replica may take {case.managed.guard.readiness_deadline_ns / SECOND:.0f} s to help",
        ),
    )


def _costs_more(case: Case, pool: str) -> bool:
    """Return whether processors work more than usual, all of them, and more than demand asks."""
    cpu, usual = case.own(names.CPU_SHARE), case.usually(names.CPU_SHARE)
    rate, before = case.value(pool, names.ARRIVAL_RATE), case.usual.get((pool, names.ARRIVAL_RATE))
    if not cpu or not usual or rate is None or not before or before <= 0.0:
        return False
    now, was = median(cpu), median(usual)
    if was <= 0.0 or was >= _CORE or min(cpu) < _ALIKE * now:
        return False  # who usually takes more than a core is not held to one
    return now >= _COSTS * was * max(rate / before, 1.0)


def _device_idles(case: Case) -> bool:
    full, paces = case.own(names.BATCH_FULL_SHARE), case.own_paces()
    return bool(full) and bool(paces) and median(full) < _IDLE and max(paces) <= _FLAT
