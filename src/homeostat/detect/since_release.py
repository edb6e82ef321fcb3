"""A release without another version to compare it with: the same pool before and after it.

Side by side, two versions share their traffic, their hour and their neighbours, and what differs is
the release. Before and after, everything else that changed since differs as well, and one release
is one pair: nobody can say how often a harmless one looks as bad. So this demands more than a
comparison side by side, all of it known, and what it finds is only ever put to a person: the guards
ask while the older version is not seen to serve well (docs/explanation/signals.md).
"""

from collections.abc import Mapping, Sequence
from typing import Final

from homeostat.base import names
from homeostat.base.evidence import Verdict
from homeostat.base.world import Replica
from homeostat.detect.case import MORE_ARRIVALS, Case

# A release this fresh is still the first suspect.
FRESH_SCRAPES: Final = 120.0
# Twice the departure that a comparison side by side asks for: half of it may be the hour's.
TWICE: Final = 2.0
# Below a comparison side by side, and below a release with no other pool at all.
_CONFIDENCE: Final = 0.65


def age_ns(case: Case) -> int | None:
    """Return how long ago the last release was, None if that is unknown or too long ago."""
    if case.world is None or not case.world.releases:
        return None
    age = case.world.observed_at - max(one.since for one in case.world.releases)
    return age if 0 <= age <= FRESH_SCRAPES * case.managed.scrape_ns else None


def before_and_after(
    case: Case,
    members: Sequence[Replica],
    others: Sequence[Replica],
    departures: Mapping[str, float],
    signal: str,
) -> tuple[float, str] | None:
    """Return how sure the pool's own history makes us that its release is to blame.

    Args:
        case: The deployment.
        members: All replicas of the newest version.
        others: Those of the other versions, which are asked for nothing: they serve nobody.
        departures: By slot, how far each member is off, in multiples of what a comparison side by
            side demands.
        signal: What they are off in; what it usually was, from before, must be known of each.

    Returns:
        Confidence and why; None where anything of it is unknown or speaks against it.
    """
    age = age_ns(case)
    known = {names.replica(replica.name) for replica in members}
    if age is None or len(departures) < len(members) or min(departures.values()) < TWICE:
        return None
    if any((subject, signal) not in case.usual for subject in known):
        return None  # nothing is known of the time before
    if not _same_traffic(case) or not all(_idle(case, replica) for replica in others):
        return None
    versions = " and ".join(sorted({str(replica.version) for replica in others}))
    why = f"only since the release {age / 1e9:.0f} s ago, under the same traffic"
    return _CONFIDENCE, f"{why}; version {versions} serves nobody and cannot be compared with"


def _same_traffic(case: Case) -> bool:
    """Return whether arrivals and their mix are known to be what they were before."""
    now = case.value(names.GATEWAY, names.ARRIVAL_RATE)
    usual = case.usual.get((names.GATEWAY, names.ARRIVAL_RATE))
    if now is None or usual is None or usual <= 0.0:
        return False
    mix = case.verdict(names.MODEL, names.FEATURE_SHIFT)
    return usual / MORE_ARRIVALS < now < usual * MORE_ARRIVALS and mix is Verdict.HEALTHY


def _idle(case: Case, replica: Replica) -> bool:
    """Return whether a replica is seen to be up and its pool to get nothing: idle, not unseen."""
    passes = case.value(names.replica(replica.name), names.PROBE_FAILURES) == 0.0
    return passes and case.value(names.pool(replica.pool), names.ARRIVAL_RATE) == 0.0
