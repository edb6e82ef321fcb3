"""May a rehearsal be acted on? Reasons against it, one sentence each; none means yes.

A twin is believed where it was fitted and checked, and nowhere else: inside the region that was
seen, with a check that it passed, and not too long ago. Distrust forbids; trust permits nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from homeostat.base.rehearsal import Trust
from homeostat.base.units import HOUR, TimeNs
from homeostat.twin.fit_region import Region
from homeostat.twin.fit_values import Fit
from homeostat.twin.rehearse_situation import Situation
from homeostat.twin.shapes import Phase, Variant

_DAY_NS = 24 * HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of a fit besides itself.

    Attributes:
        made_at: When it was written.
        good: Whether its check on a later recording held; None = it was never checked.
        oldest_ns: How old it may be.
    """

    made_at: TimeNs
    good: bool | None
    oldest_ns: int


def trust(
    found: Fit,
    standing: Standing,
    now: Situation,
    *,
    at: TimeNs,
    unplayed: Sequence[str] = (),
) -> Trust:
    """Return whether the twin may be believed here and now.

    Args:
        found: The fit.
        standing: What is known of it besides.
        now: The deployment as it stands.
        at: The time.
        unplayed: Why what is wrong cannot be played.
    """
    reasons = [*_of_fit(found, standing, at), *outside(found, now), *unplayed]
    return Trust(reasons=tuple(f"the twin is not trusted: {reason}" for reason in reasons))


def _of_fit(found: Fit, standing: Standing, at: TimeNs) -> list[str]:
    reasons = []
    if found.unit != "request":
        reasons.append(f"it was fitted to {found.unit}s, and plays requests")
    if standing.good is None:
        reasons.append("it was never checked; run `homeostat twin check` on a later recording")
    elif not standing.good:
        reasons.append("it failed its check; fit it anew with `homeostat twin fit`")
    age_ns = at - standing.made_at
    if age_ns > standing.oldest_ns:
        reasons.append(
            f"it is {age_ns / _DAY_NS:.1f} days old, the limit is "
            f"{standing.oldest_ns / _DAY_NS:.1f}; fit it anew"
        )
    return reasons


def outside(found: Fit, now: Situation) -> list[str]:
    """Return in which way the deployment stands where it was never seen."""
    if found.region is None:
        return ["the fit knows no region"]
    count = ready(now)
    load, batch = state_of(found, now, count)
    return said(found.region, load, batch, count)


def ready(now: Situation) -> int:
    """Return the replicas of the stable pool that serve."""
    return sum(s.variant == Variant.A and s.phase is Phase.READY for s in now.slots)


def said(region: Region, load: float, batch: float, replicas: int) -> list[str]:
    """Return a sentence if a state lies outside the region."""
    if region.trusts(load, batch, replicas):
        return []
    (low, high), (few, many) = region.rho, region.replicas
    there = f"{replicas} replicas at {_share(load)} of their capacity, batches of {batch:.3g}"
    seen = f"seen: {few} to {many} replicas at {_share(low)} to {_share(high)}"
    return [f"it never saw {there} ({seen})"]


def state_of(
    found: Fit, now: Situation, replicas: int, measured: Situation | None = None
) -> tuple[float, float]:
    """Return the stable pool's load and batch with so many replicas.

    The batch is the one that was measured, moved as the fitted law says that another load moves it;
    where nobody measured it, the law's own: work that waits is taken at once, up to the largest.

    Args:
        found: The fit.
        now: The deployment.
        replicas: Of the stable pool, ready.
        measured: The deployment when its batch was measured; None = as it stands.
    """
    if replicas < 1:
        return math.nan, math.nan
    tau0, alpha = float(found.theta[0]), float(found.theta[1])
    each = now.rate_rps * now.weights[Variant.A] / replicas
    batch = _batch(each, tau0, alpha, now.batch_max)
    if math.isfinite(now.mean_batch) and measured is None:
        batch = now.mean_batch
    elif math.isfinite(now.mean_batch) and measured is not None and ready(measured):
        before = measured.rate_rps * measured.weights[Variant.A] / ready(measured)
        batch *= now.mean_batch / _batch(before, tau0, alpha, measured.batch_max)
    return each * (tau0 / now.batch_max + alpha), min(max(batch, 1.0), now.batch_max)


def _batch(each: float, tau0: float, alpha: float, most: float) -> float:
    return min(max(each * tau0 / max(1.0 - each * alpha, 1e-3), 1.0), most)


def _share(value: float) -> str:
    return f"{value:.0%}" if math.isfinite(value) else "unknown"
