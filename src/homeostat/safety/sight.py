"""What can be seen right now: readings that are fresh, replicas proven failing or seen healthy.

Worked out once per state, shared by every candidate. Only what is positively known counts:
a replica is healthy when a fresh probe result says so, and taking any reading away can only turn
"healthy" and "failing" into "unknown" (invariant: doubt never allows more).
"""

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from homeostat.base import names
from homeostat.base.evidence import Evidence, Family, Forecast, Quality, Reading, Verdict
from homeostat.base.guard import GuardState
from homeostat.base.policy import Managed
from homeostat.base.units import MILLISECOND, TimeNs
from homeostat.base.world import Replica, ReplicaState, Snapshot

# The two signals that say how users of a pool are served; both must be known to call it healthy.
_SERVICE = (names.ERROR_RATIO, names.LATENCY_P95)
_GATEWAY = (names.ARRIVAL_RATE, names.ERROR_RATIO, names.LATENCY_P95)
# What the host says of a process: it does not make the replica itself heard.
_OF_THE_HOST = frozenset({
    names.PROCESS_UP, names.MEMORY_SHARE, names.DEVICE_MEMORY_SHARE, names.DEVICE_SHARE,
})  # fmt: skip
_ANSWERED = frozenset({Quality.GOOD, Quality.FEW})
_NOT_BELIEVED = frozenset({Quality.UNREACHABLE, Quality.STALE, Quality.ABSURD})


def milli(value: object) -> int | None:
    """Return a number in thousandths, None for what is no finite number.

    >>> milli(0.25), milli(math.nan), milli("x")
    (250, None, None)
    """
    if type(value) is not float:  # asked some thirty times a candidate: the usual kind comes first
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        if isinstance(value, int):
            return value * 1000
    return round(value * 1000) if math.isfinite(value) and abs(value) < _HUGE else None


_T = TypeVar("_T")
_HUGE = 1e300  # times a thousand it would no longer be finite


def scrapes_ms(managed: Managed, scrapes: float) -> int | None:
    """Return a duration that the policy states in scrape intervals, in milliseconds."""
    times = milli(scrapes)
    return None if times is None else times * managed.scrape_ns // (1000 * MILLISECOND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What one guard state lets us know.

    Attributes:
        state: The state.
        now: The time.
        world: The deployment as last read back, however old.
        evidence_age_ms: Age of the latest tick, None if there is none.
        world_age_ms: Age of the snapshot, None if there is none.
        fresh_ms: Age above which anything is stale.
        readings: Fresh, believable readings with a finite value, by subject and signal.
        gateway_fresh: Whether the gateway's counters can be believed.
        heard: Names of replicas with any fresh reading of their own (pages or probes).
        probed: Names of replicas with a fresh probe result.
        failing: Names of replicas proven failing.
        gone: Names of replicas whose process is not there.
        healthy: Names of ready replicas whose fresh probe result is good.
        suspects: Subjects that are suspected of anything, with the families.
        kept: What `once` worked out.
    """

    state: GuardState
    now: TimeNs
    world: Snapshot | None
    evidence_age_ms: int | None
    world_age_ms: int | None
    fresh_ms: int | None
    readings: dict[tuple[str, str], Reading]
    gateway_fresh: bool | None
    heard: frozenset[str]
    probed: frozenset[str]
    failing: frozenset[str]
    gone: frozenset[str]
    healthy: frozenset[str]
    suspects: frozenset[tuple[str, Family]]
    kept: dict[tuple[Hashable, ...], Any] = field(default_factory=dict, compare=False, repr=False)

    def once(self, of: Callable[..., _T], *given: str) -> _T:
        """Return `of(self, *given)`, worked out at the first asking and shared by all candidates.

        Args:
            of: A pure function of a sight; what it returns is never changed by anybody.
            given: What else it depends on. Text alone: numbers that are equal need not mean the
                same (1 and True).
        """
        key = (of, *given)
        try:
            return self.kept[key]  # type: ignore[no-any-return]
        except KeyError:
            found = self.kept[key] = of(self, *given)
            return found

    def value(self, subject: str, signal: str) -> float | None:
        """Return a fresh reading's value, None if there is none."""
        reading = self.readings.get((subject, signal))
        return None if reading is None else reading.value

    def anomalous(self, subject: str, signal: str) -> bool:
        """Return whether a fresh reading is judged anomalous."""
        reading = self.readings.get((subject, signal))
        return reading is not None and reading.verdict is Verdict.ANOMALOUS

    def replicas(self, pool: str | None = None) -> tuple[Replica, ...]:
        """Return the slots of one pool or of all; empty when the world is not known."""
        if pool is not None:
            return self.once(_inside, pool)
        return () if self.world is None else tuple(self.world.replicas)

    def forecasts(self) -> tuple[Forecast, ...]:
        """Return the latest tick's forecasts; none when it is stale."""
        age_ms, evidence = self.evidence_age_ms, self.state.evidence
        if evidence is None or age_ms is None or self.fresh_ms is None:
            return ()
        return evidence.forecasts if 0 <= age_ms <= self.fresh_ms else ()

    def clean(self, pool: str) -> bool | None:
        """Return whether a pool serves well and nothing in it is suspected.

        True needs both service signals fresh and within the objectives, HEALTHY or not yet
        judged against a baseline (users were promised the objective, not the baseline); False a
        fresh ANOMALOUS one or a suspicion; anything else is unknown.
        """
        return self.once(_clean, pool)


def _inside(sight: Sight, pool: str) -> tuple[Replica, ...]:
    return tuple(slot for slot in sight.replicas() if slot.pool == pool)


def _clean(sight: Sight, pool: str) -> bool | None:
    inside = {names.pool(pool), *(names.replica(slot.name) for slot in sight.replicas(pool))}
    if any(subject in inside for subject, _ in sight.suspects):
        return False
    found = [sight.readings.get((names.pool(pool), signal)) for signal in _SERVICE]
    if any(reading is not None and reading.verdict is Verdict.ANOMALOUS for reading in found):
        return False
    objective = sight.state.managed.objective
    promised = (objective.error_ratio, objective.latency_p95_ms)
    values = [None if reading is None else reading.value for reading in found]
    kept = [
        value is not None and value <= limit for value, limit in zip(values, promised, strict=True)
    ]
    return True if all(kept) else None


def look(state: GuardState, now: TimeNs) -> Sight:
    """Return what the state lets us know at `now`."""
    managed, evidence, world = state.managed, state.evidence, state.world
    fresh_ms = scrapes_ms(managed, managed.guard.fresh_scrapes)
    evidence_age_ms = None if evidence is None else (now - evidence.at) // MILLISECOND
    readings = _fresh(evidence, evidence_age_ms, fresh_ms)
    slots = () if world is None else world.replicas
    heard = {
        names.bare(subject)
        for subject, signal in readings
        if subject.startswith("replica:") and signal not in _OF_THE_HOST
    }
    failures = {slot.name: _failures(readings, slot.name) for slot in slots}
    gone = frozenset(
        slot.name
        for slot in slots
        if slot.state is ReplicaState.GONE
        or _value(readings, names.replica(slot.name), names.PROCESS_UP) == 0.0
    )
    proof = managed.guard.failed_probes
    failing = gone | {
        name for name, count in failures.items() if count is not None and count >= proof
    }
    up = {slot.name for slot in slots if slot.state is ReplicaState.READY}
    passed = {name for name, count in failures.items() if count is not None and count < proof}
    # With the evidence rules off (a paired run) a ready replica needs no probe to count.
    healthy = up & passed if managed.guard.evidence_rules else up - failing
    return Sight(
        state=state,
        now=now,
        world=world,
        evidence_age_ms=evidence_age_ms,
        world_age_ms=None if world is None else (now - world.observed_at) // MILLISECOND,
        fresh_ms=fresh_ms,
        readings=readings,
        gateway_fresh=_gateway_fresh(evidence, evidence_age_ms, fresh_ms),
        heard=frozenset(heard),
        probed=frozenset(name for name, count in failures.items() if count is not None),
        failing=frozenset(failing),
        gone=gone,
        healthy=frozenset(healthy),
        suspects=_suspects(evidence),
    )


def _fresh(
    evidence: Evidence | None, age_ms: int | None, fresh_ms: int | None
) -> dict[tuple[str, str], Reading]:
    """Return the readings that may be believed: good (or few), finite and young enough."""
    if evidence is None or age_ms is None or fresh_ms is None or age_ms < 0:
        return {}
    oldest_ns = (fresh_ms - age_ms) * MILLISECOND
    return {
        (reading.subject, reading.signal): reading
        for reading in evidence.readings
        if reading.quality is Quality.GOOD
        and reading.value is not None
        and math.isfinite(reading.value)
        and 0 <= reading.age_ns <= oldest_ns
    }


def _value(readings: dict[tuple[str, str], Reading], subject: str, signal: str) -> float | None:
    reading = readings.get((subject, signal))
    return None if reading is None else reading.value


def _failures(readings: dict[tuple[str, str], Reading], slot: str) -> float | None:
    """Return a replica's consecutive failed probe rounds; a negative count is no count."""
    count = _value(readings, names.replica(slot), names.PROBE_FAILURES)
    return None if count is None or count < 0 else count


def _gateway_fresh(
    evidence: Evidence | None, age_ms: int | None, fresh_ms: int | None
) -> bool | None:
    """Return whether all three gateway counters are there, young and believable.

    Too few requests to judge (FEW) is an answer; an unreachable, frozen or absurd page is not.
    """
    if evidence is None or age_ms is None or fresh_ms is None or age_ms < 0:
        return None
    oldest_ns = (fresh_ms - age_ms) * MILLISECOND
    core = {
        reading.signal: reading
        for reading in evidence.readings
        if reading.subject == names.GATEWAY and reading.signal in _GATEWAY
    }
    if any(reading.quality in _NOT_BELIEVED for reading in core.values()):
        return False
    young = sum(
        reading.quality in _ANSWERED and 0 <= reading.age_ns <= oldest_ns
        for reading in core.values()
    )
    return True if young == len(_GATEWAY) else None


def _suspects(evidence: Evidence | None) -> frozenset[tuple[str, Family]]:
    if evidence is None:
        return frozenset()
    return frozenset((suspicion.subject, suspicion.family) for suspicion in evidence.suspicions)
