"""What is measured while the outcome of a pick is awaited: sums of what was known, tick by tick."""

import math
from dataclasses import replace
from typing import Final

from homeostat.base import names
from homeostat.base.evidence import Evidence, Quality
from homeostat.base.learning import Tally
from homeostat.base.policy import Managed
from homeostat.base.world import Snapshot

LAST: Final = 3
"""Ticks at the end by which it is said whether the objectives were met: one alone may be a blip."""


def counted(tally: Tally, evidence: Evidence, managed: Managed) -> Tally:
    """Return the sums with one tick more; what is not known on it is not added as zero."""
    return replace(
        tally,
        ticks=tally.ticks + 1,
        latency=_plus(tally.latency, believed(evidence, names.LATENCY_P95)),
        errors=_plus(tally.errors, believed(evidence, names.ERROR_RATIO)),
        spend=_plus(tally.spend, _usd_per_hour(evidence.world, managed)),
        missed=_plus(tally.missed, math.nan if evidence.slo_met is None else not evidence.slo_met),
        met=(*tally.met, evidence.slo_met)[-LAST:],
    )


def believed(evidence: Evidence, signal: str) -> float:
    """Return a reading of the gateway that is believed, NaN for any other."""
    for one in evidence.readings:
        if (one.subject, one.signal) == (names.GATEWAY, signal):
            value = one.value if one.quality is Quality.GOOD else None
            return math.nan if value is None else value
    return math.nan


def _plus(part: tuple[int, float], value: float) -> tuple[int, float]:
    known, total = part
    return (known + 1, total + value) if math.isfinite(value) else part


def _usd_per_hour(world: Snapshot | None, managed: Managed) -> float:
    """Return what runs costs an hour, NaN if the world or a price is not known."""
    if world is None:
        return math.nan
    if managed.money is None:
        return managed.replica_usd_per_hour * len(world.replicas)
    prices = [managed.money.price(slot.pool) for slot in world.replicas]
    known = [price for price in prices if price is not None]
    return sum(known) / 1000.0 if len(known) == len(prices) else math.nan
