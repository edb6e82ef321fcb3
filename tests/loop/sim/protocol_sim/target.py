"""One simulated target: levers, revision, stamps, and requests that land when they land."""

from dataclasses import dataclass, field

from homeostat.base.intent import Intent
from homeostat.base.units import TimeNs
from homeostat.base.world import Levers, Scalar, Snapshot, Stamp
from protocol_sim.options import Mode

ACTUATOR = "target"
FOREIGN = "someone"


@dataclass(slots=True)
class Target:
    """A deployment's live state; only `World` touches it."""

    name: str
    mode: Mode
    levers: dict[str, Scalar]
    revision: int = 1
    epoch: int = 0
    last_intent: str | None = None
    writers: dict[str, str] = field(default_factory=dict)
    changing_until: int = 0
    landed: set[str] = field(default_factory=set)
    previous: dict[str, Scalar] = field(default_factory=dict)  # before its last change

    def snapshot(self, now: int) -> Snapshot:
        cas = self.mode.has_cas
        stamp = Stamp(
            actuator=ACTUATOR,
            token=str(self.revision) if cas else None,
            intent=self.last_intent if cas else None,
            epoch=self.epoch if self.mode is Mode.HOST else None,
        )
        return Snapshot(
            deployment=self.name,
            observed_at=TimeNs(now),
            replicas=(),
            releases=(),
            levers=tuple(self.levers.items()),
            stamps=(stamp,),
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
        self.revision += 1
        self.last_intent = intent
        self.epoch = max(self.epoch, epoch)

    def claim(self, epoch: int) -> None:
        if self.mode is Mode.HOST and epoch < self.epoch:
            return
        self.revision += 1
        self.epoch = max(self.epoch, epoch)
