"""One simulated target: levers, revision, stamps, and requests that land when they land."""

from dataclasses import dataclass, field
from functools import lru_cache

from homeostat.base.intent import Intent
from homeostat.base.units import TimeNs
from homeostat.base.world import Levers, Release, Replica, ReplicaState, Scalar, Snapshot, Stamp
from protocol_sim.options import (
    BATCH,
    BATCH_WAIT,
    FALLBACK_REPLICAS,
    INCARNATION,
    REPLICAS,
    WEIGHT,
    Mode,
)

ACTUATOR = "target"
FOREIGN = "someone"
START: dict[str, Scalar] = {
    BATCH: 8, BATCH_WAIT: 5, INCARNATION: 1, REPLICAS: 4, "replicas.b": FALLBACK_REPLICAS,
    "version.a": "v2", "version.b": "v1", WEIGHT: 5,
}  # fmt: skip
RELEASES = (
    Release(pool="a", version="v1", since=TimeNs(1)),
    Release(pool="a", version="v2", since=TimeNs(2)),
    Release(pool="b", version="v1", since=TimeNs(1)),
)


@lru_cache(maxsize=256)
def slots(count: int, incarnation: int) -> tuple[Replica, ...]:
    """Return the replicas of both pools."""
    wanted = [("a", number, "v2") for number in range(1, count + 1)]
    wanted += [("b", number, "v1") for number in range(1, FALLBACK_REPLICAS + 1)]
    return tuple(
        Replica(
            name=f"{pool}-{number}",
            pool=pool,
            version=version,
            state=ReplicaState.READY,
            incarnation=incarnation if (pool, number) == ("a", 1) else 1,
        )
        for pool, number, version in wanted
    )


@dataclass(slots=True)
class Target:
    """A deployment's live state; only `World` touches it."""

    name: str
    mode: Mode
    levers: dict[str, Scalar] = field(default_factory=lambda: dict(START))
    revision: int = 1
    epoch: int = 0
    last_intent: str | None = None
    writers: dict[str, str] = field(default_factory=dict)
    changing_until: int = 0
    hung_until: int = 0  # replica a-1 answers nothing
    missed_until: int = 0  # the objectives are missed
    landed: set[str] = field(default_factory=set)
    previous: dict[str, Scalar] = field(default_factory=dict)  # before its last change

    def snapshot(self, now: int, at: TimeNs) -> Snapshot:
        cas = self.mode.has_cas
        stamp = Stamp(
            actuator=ACTUATOR,
            token=str(self.revision) if cas else None,
            intent=self.last_intent if cas else None,
            epoch=self.epoch if self.mode is Mode.HOST else None,
        )
        count = int(self.levers[REPLICAS])
        return Snapshot(
            deployment=self.name,
            observed_at=at,
            replicas=slots(count, int(self.levers[INCARNATION])),
            releases=RELEASES,
            levers=tuple(self.levers.items()),
            stamps=(stamp,),
            spares=1,
            changing=now < self.changing_until,
        )

    def refuses(self, intent: Intent) -> bool:
        """Return whether compare-and-set (or the epoch fence) turns the write away."""
        if self.mode is Mode.HOST and intent.epoch < self.epoch:
            return True
        return self.mode.has_cas and intent.token not in {None, str(self.revision)}

    def changed_by(self, change: Levers) -> tuple[str, ...]:
        return tuple(name for name, value in change if self.levers[name] != value)

    def write(self, change: Levers, writer: str, *, intent: str | None, epoch: int) -> None:
        for name, value in change:
            self.previous[name] = self.levers[name]
            self.levers[name] = value
            self.writers[name] = writer
            if name == INCARNATION:
                self.hung_until = 0
        self.revision += 1
        self.last_intent = intent
        self.epoch = max(self.epoch, epoch)

    def claim(self, epoch: int) -> None:
        if self.mode is Mode.HOST and epoch < self.epoch:
            return
        self.revision += 1
        self.epoch = max(self.epoch, epoch)
