"""A deployment to be made ill by hand, reading by reading, for tests of the diagnosis."""

from dataclasses import dataclass, field, replace

from homeostat.base import names
from homeostat.base.evidence import Family, Forecast, Quality, Reading, Suspicion, Verdict
from homeostat.base.policy import GuardPolicy, Managed, Mode, Objective
from homeostat.base.types import TimeNs
from homeostat.base.units import SECOND
from homeostat.base.world import Release, Replica, ReplicaState, Snapshot
from homeostat.detect.diagnose import diagnose
from homeostat.detect.slo import slo_met
from homeostat.detect.usual import Device

REPLICAS = ("a-0", "a-1", "a-2", "b-0")
STABLE = REPLICAS[:3]
USUAL_OF_REPLICA = {
    names.DEVICE_TIME: 35.0,
    names.BATCH_SIZE: 1.4,
    names.BATCH_FULL_SHARE: 0.0,
    names.BATCH_MAX: 8.0,
    names.QUEUE_LENGTH: 0.5,
    names.ERROR_RATIO: 0.0,
    names.PROBE_LATENCY: 45.0,
    names.PROBE_FAILURES: 0.0,
    names.PROCESS_UP: 1.0,
    names.MEMORY_SHARE: 0.4,
}
USUAL_OF_GATEWAY = {
    names.ARRIVAL_RATE: 100.0,
    names.LATENCY_P95: 75.0,
    names.ERROR_RATIO: 0.0,
    names.REFUSED_RATIO: 0.0,
}


def managed(*, evidence_rules: bool = True) -> Managed:
    return Managed(
        name="credit", mode=Mode.AUTO, scrape_ns=SECOND,
        objective=Objective(latency_p95_ms=250.0, error_ratio=0.01, accuracy=0.8),
        stable_pool="a", fallback_pool="b", scale_actuator="host", traffic_actuator=None,
        replica_usd_per_hour=1.0, guard=GuardPolicy(evidence_rules=evidence_rules),
        policy_digest="",
    )  # fmt: skip


def world() -> Snapshot:
    return Snapshot(
        deployment="credit",
        observed_at=TimeNs(5_000 * SECOND),
        replicas=tuple(
            Replica(name=name, pool=name[0], version="v1" if name[0] == "b" else "v2",
                    state=ReplicaState.READY, incarnation=1)
            for name in REPLICAS
        ),
        releases=(
            Release(pool="b", version="v1", since=TimeNs(0)),
            Release(pool="a", version="v2", since=TimeNs(1_000 * SECOND)),
        ),
        levers=(("replicas.a", 3), ("replicas.b", 1)),
        stamps=(),
    )  # fmt: skip


@dataclass
class Patient:
    """A healthy deployment to be made ill, reading by reading."""

    world: Snapshot | None = field(default_factory=world)
    readings: dict[tuple[str, str], Reading] = field(default_factory=dict)
    usual: dict[tuple[str, str], float] = field(default_factory=dict)
    learnt: float = 300.0
    pages: dict[str, Quality] = field(default_factory=dict)
    forecasts: list[Forecast] = field(default_factory=list)
    device: Device | None = field(default_factory=lambda: Device(size=1.4, time=35.0, slope=3.5))
    managed: Managed = field(default_factory=managed)

    def __post_init__(self) -> None:
        for name in REPLICAS:
            self.pages[names.replica(name)] = Quality.GOOD
            for signal, value in USUAL_OF_REPLICA.items():
                self.set(names.replica(name), signal, value)
        self.pages[names.GATEWAY] = Quality.GOOD
        for signal, value in USUAL_OF_GATEWAY.items():
            self.set(names.GATEWAY, signal, value)
        for pool, rate in (("pool:a", 90.0), ("pool:b", 10.0)):
            self.set(pool, names.ARRIVAL_RATE, rate)
            self.set(pool, names.PREDICTION_SHIFT, 0.03)
            self.set(pool, names.INVALID_SHARE, 0.0)
        self.set(names.MODEL, names.FEATURE_SHIFT, 0.03)
        self.set(names.MODEL, names.ACCURACY, 0.87)
        self.usual = {key: reading.value or 0.0 for key, reading in self.readings.items()}

    def set(
        self,
        subject: str,
        signal: str,
        value: float | None,
        verdict: Verdict = Verdict.HEALTHY,
        samples: float = 100.0,
    ) -> "Patient":
        self.readings[subject, signal] = Reading(
            subject=subject,
            signal=signal,
            value=value,
            verdict=Verdict.UNKNOWN if value is None else verdict,
            quality=Quality.STALE if value is None else Quality.GOOD,
            low=None,
            high=None,
            age_ns=0,
            samples=samples,
        )
        return self

    def stop(self, subject: str, signal: str) -> "Patient":
        """Take a series from its page, which goes on to come."""
        was = self.set(subject, signal, None).readings[subject, signal]
        self.readings[subject, signal] = replace(was, quality=Quality.MISSING)
        return self

    def all(self, replicas: tuple[str, ...], signal: str, value: float | None) -> "Patient":
        for name in replicas:
            self.set(names.replica(name), signal, value)
        return self

    def gateway(self, signal: str, value: float | None) -> "Patient":
        return self.set(names.GATEWAY, signal, value)

    def blind(self, *subjects: str, quality: Quality = Quality.UNREACHABLE) -> "Patient":
        for subject in subjects:
            self.pages[subject] = quality
        return self

    def with_replica(self, name: str, **changes: object) -> "Patient":
        assert self.world is not None
        self.world = replace(
            self.world,
            replicas=tuple(
                replace(one, **changes) if one.name == name else one  # type: ignore[arg-type]
                for one in self.world.replicas
            ),
        )
        return self

    def diagnosis(self) -> tuple[Suspicion, ...]:
        return diagnose(
            readings=self.readings,
            usual=self.usual,
            learnt=dict.fromkeys(self.usual, self.learnt),
            device=self.device,
            pages=list(self.pages.items()),
            forecasts=self.forecasts,
            slo_met=slo_met(self.readings, self.managed.objective),
            world=self.world,
            managed=self.managed,
        )

    def families(self) -> list[tuple[Family, str]]:
        return [(one.family, one.subject) for one in self.diagnosis()]
