"""One deployment on one tick, as the rules of the diagnosis ask about it.

Every question has three answers. What cannot be believed answers None, and None explains nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from homeostat.base import names
from homeostat.base.evidence import Family, Forecast, Quality, Reading, Suspicion, Verdict
from homeostat.base.policy import Managed
from homeostat.base.world import Replica, ReplicaState, Snapshot
from homeostat.detect.usual import Device

Readings = Mapping[tuple[str, str], Reading]

# A page is the work of the process: a replica whose probes fail or whose process is gone is silent
# for a known reason.
_EXPLAINED_FAILURES: Final = 1.0
# Arrivals this far above usual are a rise; below it they are flat.
MORE_ARRIVALS: Final = 1.3
# A full batch of the usual size waits.
CROWD: Final = 8.0
# One request in a hundred is turned away.
REFUSED: Final = 0.01
# Nearly every batch reaches its maximum.
FULL: Final = 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is known of one deployment on one tick.

    Attributes:
        managed: Its configuration.
        world: It as last read back, None if it could not be read.
        readings: By (subject, signal).
        usual: Guarded means by (subject, signal), known ones only.
        learnt: Ticks that each of them was learnt from.
        device: How device time follows batch size, None before it is learnt.
        pages: Metrics pages: (subject, quality).
        forecasts: What is about to happen.
        slo_met: The objectives on this tick.
        broken: One sentence for each objective that is missed.
        believed: Believed values by signal, then by subject: rules ask one signal of all replicas.
        missing: Series that were not on their page.
        heard: Pages by subject.
        ratios: What `slow` found so far, by slot: every rule about peers asks it of all of them.
        told: What several rules ask for, once it was asked.
        replicas: Every slot, empty when the world could not be read.
        serving: Slots that should be serving.
        stable: Those of them in the stable pool.
        subjects: The subjects of the replicas, by slot.
    """

    managed: Managed
    world: Snapshot | None
    readings: Readings
    usual: Mapping[tuple[str, str], float]
    learnt: Mapping[tuple[str, str], float]
    device: Device | None
    pages: Sequence[tuple[str, Quality]]
    forecasts: Sequence[Forecast]
    slo_met: bool | None
    broken: tuple[str, ...]
    believed: Mapping[str, Mapping[str, float]] = field(init=False, compare=False, repr=False)
    missing: frozenset[tuple[str, str]] = field(init=False, compare=False, repr=False)
    heard: Mapping[str, Quality] = field(init=False, compare=False, repr=False)
    ratios: dict[str, float | None] = field(default_factory=dict, compare=False, repr=False)
    told: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    replicas: tuple[Replica, ...] = field(init=False, compare=False, repr=False)
    serving: tuple[Replica, ...] = field(init=False, compare=False, repr=False)
    stable: tuple[Replica, ...] = field(init=False, compare=False, repr=False)
    subjects: Mapping[str, str] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Find the slots, and sort what is believed: every rule asks for them."""
        replicas = () if self.world is None else self.world.replicas
        serves = ReplicaState.READY
        ready = tuple([r for r in replicas if r.state is serves])
        pool = self.managed.stable_pool
        believed: dict[str, dict[str, float]] = defaultdict(dict)
        missing = []
        good, gone = Quality.GOOD, Quality.MISSING  # looked up once: there are a hundred readings
        for key, reading in self.readings.items():
            quality = reading.quality
            if quality is good:
                if (value := reading.value) is not None:
                    subject, signal = key
                    believed[signal][subject] = value
            elif quality is gone:
                missing.append(key)
        found = {
            "believed": believed,
            "missing": frozenset(missing),
            "heard": dict(self.pages),
            "replicas": replicas,
            "serving": ready,
            "stable": tuple([r for r in ready if r.pool == pool]),
            "subjects": {r.name: names.replica(r.name) for r in replicas},
        }
        for name, value_of in found.items():
            object.__setattr__(self, name, value_of)

    def value(self, subject: str, signal: str) -> float | None:
        """Return a believed value, None for unknown."""
        # Not by index: rules must not leave empty entries behind for signals nobody sends.
        return self.believed.get(signal, {}).get(subject)

    def known(self, replicas: Iterable[Replica], signal: str) -> list[float]:
        """Return the believed values of a signal of these replicas, in their order."""
        values, subjects = self.believed.get(signal, {}), self.subjects
        return [value for one in replicas if (value := values.get(subjects[one.name])) is not None]

    def own(self, signal: str) -> list[float]:
        """Return the believed values of a signal of the stable pool's serving replicas."""
        return self.known(self.stable, signal)

    def usually(self, signal: str) -> list[float]:
        """Return what a signal of the stable pool's serving replicas usually is, where learnt."""
        keys = [(self.subjects[one.name], signal) for one in self.stable]
        return [value for key in keys if (value := self.usual.get(key)) is not None]

    def verdict(self, subject: str, signal: str) -> Verdict:
        """Return a verdict; a series that is not there is unknown."""
        reading = self.readings.get((subject, signal))
        return Verdict.UNKNOWN if reading is None else reading.verdict

    def samples(self, subject: str, signal: str) -> float:
        """Return how many events a reading summarises."""
        reading = self.readings.get((subject, signal))
        return 0.0 if reading is None else reading.samples

    def risen(self, subject: str, signal: str, factor: float, least: float) -> bool | None:
        """Return whether a value is both `factor` times and `least` above its usual level."""
        value, usual = self.value(subject, signal), self.usual.get((subject, signal))
        if value is None or usual is None:
            return None
        return value >= factor * usual and value - usual >= least

    def slow(self, replica: Replica) -> float | None:
        """Return a replica's device time over what its batch size explains, None for unknown."""
        if replica.name not in self.ratios:
            self.ratios[replica.name] = self._slow(replica)
        return self.ratios[replica.name]

    def fastest(self) -> float:
        """Return the smallest of what `slow` knows of those that serve, 0 where it knows none."""
        return min(self.paces(), default=0.0)

    def paces(self) -> list[float]:
        """Return what `slow` knows of those that serve, in their order."""
        if "paces" not in self.told:
            known = [ratio for one in self.serving if (ratio := self.slow(one)) is not None]
            self.told["paces"] = known
        paces: list[float] = self.told["paces"]
        return paces

    def own_paces(self) -> list[float]:
        """Return what `slow` knows of the stable pool's serving replicas."""
        return [ratio for one in self.stable if (ratio := self.slow(one)) is not None]

    def _slow(self, replica: Replica) -> float | None:
        subject = self.subjects[replica.name]
        time = self.value(subject, names.DEVICE_TIME)
        size = self.value(subject, names.BATCH_SIZE)
        if time is None or size is None or self.device is None:
            return None
        expected = self.device.expected(size)
        return time / expected if expected > 0.0 else None

    def failing(self, replica: Replica) -> bool:
        """Return whether the world or the probes prove that a replica does not serve."""
        failures = self.value(self.subjects[replica.name], names.PROBE_FAILURES)
        gone = replica.state is ReplicaState.GONE
        return gone or (failures is not None and failures >= self.managed.guard.failed_probes)

    def crowded(self, replica: Replica) -> bool:
        """Return whether requests are seen to wait in a replica: probes wait with them."""
        subject = self.subjects[replica.name]
        queue = self.value(subject, names.QUEUE_LENGTH)
        full = self.value(subject, names.BATCH_FULL_SHARE)
        refused = self.value(subject, names.REFUSED_RATIO)
        return (
            (queue is not None and queue >= CROWD)
            or (full is not None and full >= FULL)
            or (refused is not None and refused > REFUSED)
        )

    def serves(self, replica: Replica) -> bool:
        """Return whether a replica's page is believed and shows batches going through."""
        subject = self.subjects[replica.name]
        heard = self.heard.get(subject) is Quality.GOOD
        return heard and self.value(subject, names.DEVICE_TIME) is not None

    def silent_for_a_reason(self, subject: str) -> bool:
        """Return whether a page's silence is explained by its process."""
        replica = next((r for r in self.replicas if names.replica(r.name) == subject), None)
        if replica is None:
            # Pages of slots that are no more are nobody's silence; without a world all count.
            return self.world is not None and subject.startswith("replica:")
        if replica.state is not ReplicaState.READY:
            return True
        failures = self.value(subject, names.PROBE_FAILURES)
        return failures is not None and failures >= _EXPLAINED_FAILURES


Rule = Callable[[Case], tuple[Suspicion, ...]]


def median(values: Sequence[float]) -> float:
    """Return the lower median: one of the values, so that two peers do not blur each other.

    >>> median([3.0, 1.0, 2.0])
    2.0
    """
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2]


def suspicion(
    family: Family, subject: str, confidence: float, *because: str, urgent: bool = False
) -> Suspicion:
    """Return a suspicion; empty sentences are left out."""
    return Suspicion(
        family=family,
        subject=subject,
        confidence=confidence,
        because=tuple(sentence for sentence in because if sentence),
        urgent=urgent,
    )
