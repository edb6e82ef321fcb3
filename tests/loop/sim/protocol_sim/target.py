"""One simulated target: levers, revision, stamps, and requests that land when they land."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from homeostat.base import names
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


def formed(levers: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return the largest batch that each replica forms, of those that can have their own."""
    own = ((of[1], lever) for lever in levers if (of := names.own(lever)) is not None)
    return {slot: levers[lever] or levers[BATCH] for slot, lever in own}


@dataclass(slots=True)
class Target:
    """A deployment's live state; only `World` touches it.

    Where it is told so (`first`), each replica may have a largest batch of its own, as at the
    process host: writing that of all ends them, and a replica that is added has none.
    """

    name: str
    mode: Mode
    first: bool = False
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
    gone: dict[str, int] = field(default_factory=dict)  # replica -> until when it is not there
    deaths: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._fit()

    def slots_of(self, pool: str) -> list[str]:
        return [f"{pool}-{number + 1}" for number in range(int(self.levers[f"replicas.{pool}"]))]

    def missing(self, now: int) -> frozenset[str]:
        """Return the replicas that have died and were not replaced yet."""
        return frozenset(slot for slot, until in self.gone.items() if now < until)

    def die(self, slot: str, until: int) -> None:
        self.gone[slot] = until
        self.deaths[slot] = self.deaths.get(slot, 0) + 1

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
            replicas=self._replicas(slots(count, int(self.levers[INCARNATION])), now),
            releases=RELEASES,
            levers=tuple(sorted(self.levers.items()) if self.first else self.levers.items()),
            stamps=(stamp,),
            spares=1,
            changing=now < self.changing_until,
        )

    def refuses(self, intent: Intent) -> bool:
        """Return whether compare-and-set (or the epoch fence) turns the write away."""
        if self.mode is Mode.HOST and intent.epoch < self.epoch:
            return True
        return self.mode.has_cas and intent.token not in {None, str(self.revision)}

    def knows(self, change: Levers) -> bool:
        """Return whether every lever is there; a replica takes its own along when it goes."""
        return all(name in self.levers for name, _ in change)

    def changed_by(self, change: Levers) -> tuple[str, ...]:
        return tuple(name for name, value in change if self.levers[name] != value)

    def write(self, change: Levers, writer: str, *, intent: str | None, epoch: int) -> None:
        written = dict(change)
        ended = [lever for lever in self.levers if lever not in written and BATCH in written]
        change = (*change, *((lever, 0) for lever in ended if names.own(lever) is not None))
        for name, value in change:
            self.previous[name] = self.levers[name]
            self.levers[name] = value
            self.writers[name] = writer
            if name == INCARNATION:
                self.hung_until = 0
        self._fit()
        self.revision += 1
        self.last_intent = intent
        self.epoch = max(self.epoch, epoch)

    def claim(self, epoch: int) -> None:
        if self.mode is Mode.HOST and epoch < self.epoch:
            return
        self.revision += 1
        self.epoch = max(self.epoch, epoch)

    def _fit(self) -> None:
        """Give every replica that is there a lever of its own, and take those of others away."""
        if not self.first:
            return
        wanted = [names.lever_own(BATCH, slot) for pool in "ab" for slot in self.slots_of(pool)]
        for lever in [one for one in self.levers if names.own(one) and one not in wanted]:
            del self.levers[lever]
        for lever in wanted:
            self.levers.setdefault(lever, 0)

    def _replicas(self, there: tuple[Replica, ...], now: int) -> tuple[Replica, ...]:
        missing = self.missing(now)
        if not missing and not self.deaths:
            return there
        return tuple(
            replace(
                one,
                state=ReplicaState.GONE if one.name in missing else one.state,
                incarnation=one.incarnation + self.deaths.get(one.name, 0),
            )
            for one in there
        )
