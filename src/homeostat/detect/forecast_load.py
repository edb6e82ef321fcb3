"""Load that is not there yet: demand on its way to what the pool can serve.

Said only while all is well and nothing else is suspected, only of demand, and only where the
capacity is known and agrees with what is usual. The subject is the pool, not the gateway: that is
how a load foreseen differs from one that is felt, and all that may be done about it is one more
replica (`policy.foreseen`).
"""

from typing import Final

from homeostat.base import names
from homeostat.base.evidence import Family, Forecast, Suspicion
from homeostat.base.units import SECOND
from homeostat.detect.case import Case, suspicion

# Chosen on made-up demand, two hours each: 400 steady ones, 200 with bumps of up to a half, 200
# that swing below capacity, and ramps and swings beyond it. See docs/explanation/detection.md.
LIKELY: Final = 0.6
# Demand whose usual level is nearer to its capacity than this has a capacity that is not what the
# device times say: it is served.
_BELIEVED: Final = 0.95


def foreseen(case: Case) -> tuple[Suspicion, ...]:
    """Demand will probably pass capacity before a replica that is asked for now could help."""
    if case.slo_met is not True:
        return ()
    pool = names.pool(case.managed.stable_pool)
    key = (pool, names.ARRIVAL_RATE)
    ahead = next((one for one in case.forecasts if (one.subject, one.signal) == key), None)
    rate, usual = case.value(*key), case.usual.get(key)
    if ahead is None or not ahead.horizons_ns or rate is None or usual is None:
        return ()
    if usual > _BELIEVED * ahead.limit:
        return ()
    reach = max(case.managed.guard.readiness_deadline_ns, ahead.horizons_ns[0])
    chance = chance_within(ahead, reach)
    if chance is None or chance < LIKELY:
        return ()
    likely = ahead.likely_ns
    if likely is None or likely > reach:
        return ()  # a probability that its own median does not bear out is a memory of worse times
    return (
        suspicion(
            Family.LOAD,
            pool,
            0.6,
            f"forecast: demand passes {ahead.limit:.0f} requests per second, what the pool can "
            f"serve in time, within {reach / SECOND:.0f} s with {chance:.0%}",
            f"{rate:.0f} requests arrive per second, usually {usual:.0f}",
            f"as likely as not in {likely / SECOND:.0f} s",
            f"a replica may take {case.managed.guard.readiness_deadline_ns / SECOND:.0f} s to help",
        ),
    )


def chance_within(ahead: Forecast, reach_ns: int) -> float | None:
    """Return the probability that the limit is passed by then, None where it is unknown.

    Between two horizons the rate at which it may happen is taken to be even; before the first one
    too, and beyond the last the last one holds.

    Args:
        ahead: With horizons.
        reach_ns: Time from now, nanoseconds.
    """
    before_ns, left = 0, 1.0
    for horizon, chance in zip(ahead.horizons_ns, ahead.chances, strict=True):
        if chance is None:
            return None
        if reach_ns <= horizon:
            share = (reach_ns - before_ns) / (horizon - before_ns)
            through = (1.0 - chance) / left if left > 0.0 else 0.0
            return 1.0 - left * float(min(max(through, 0.0), 1.0) ** share)
        before_ns, left = horizon, 1.0 - chance
    return 1.0 - left
