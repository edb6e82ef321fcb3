"""May a rehearsal be acted on? Reasons against it, one sentence each; none means yes.

A twin is believed where it was fitted and checked, and nowhere else: inside the region that was
seen, with a check that it passed, and not too long ago. Distrust forbids; trust permits nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from homeostat.base.rehearsal import Trust
from homeostat.base.units import HOUR, SECOND, TimeNs
from homeostat.twin.fit_region import Region
from homeostat.twin.fit_values import Fit
from homeostat.twin.fit_window import text
from homeostat.twin.rehearse_situation import Situation
from homeostat.twin.shapes import Phase, Variant

_DAY_NS = 24 * HOUR
_PROMISED = "latency_p95_s"  # what objectives are about, and what a rehearsal says of an action
_AHEAD_NS = 300 * SECOND  # two clocks may differ by as much; a recording has no other future


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of a fit besides itself.

    Attributes:
        made_at: When its file was written; stands for its date where the fit has none.
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
        reasons.append(
            "its check failed, is another fit's, or shows too little; `homeostat twin check` says "
            "which"
        )
    if _PROMISED not in found.spreads:
        reasons.append(
            f"it was never compared with {_PROMISED}; fit it to a recording that has it, with "
            "what says how service times vary (cv2)"
        )
    age_ns = age(found, standing, at)
    if age_ns > standing.oldest_ns:
        reasons.append(
            f"its data are {_long(age_ns)} old, the limit is {_long(standing.oldest_ns)}; "
            "fit it anew to a later recording"
        )
    if age_ns < -_AHEAD_NS:
        reasons.append(
            f"its data end {_long(-age_ns)} from now; set the clock, or fit to times in UTC"
        )
    return reasons


def age(found: Fit, standing: Standing, at: TimeNs) -> int:
    """Return how old a fit's data are, nanoseconds; by its file's time where it has no date."""
    if not found.window.is_dated:
        return at - standing.made_at
    return at - round(found.window.ends_s * SECOND)


def dated(found: Fit, standing: Standing, at: TimeNs) -> str:
    """Return a sentence that says what a twin was fitted to, and how old that is.

    Args:
        found: The fit.
        standing: What is known of it besides.
        at: The time.
    """
    since = _long(age(found, standing, at))
    first, *others = found.source.split(", ")
    source = f"{first} and {len(others)} more" if others else first
    if not found.window.is_dated:
        return (
            f"the twin was fitted to {source}, which has no date: its file is {since} old, "
            "its data are older"
        )
    begins, ends = (text(one) or "?" for one in (found.window.begins_s, found.window.ends_s))
    return f"the twin was fitted to {source}, {begins} to {ends}, {since} ago"


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


def _long(span_ns: int) -> str:
    """Return a length of time in the largest unit that says something of it."""
    if abs(span_ns) >= _DAY_NS:
        return f"{span_ns / _DAY_NS:.1f} days"
    if abs(span_ns) >= HOUR:
        return f"{span_ns / HOUR:.1f} hours"
    return f"{span_ns / (60 * SECOND):.0f} minutes"


def _share(value: float) -> str:
    return f"{value:.0%}" if math.isfinite(value) else "unknown"
