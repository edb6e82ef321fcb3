"""The simulated journal and lease: fenced by epoch, full at times, torn at times, never wrong."""

from dataclasses import dataclass, field

from homeostat.base.guard import PastAction
from homeostat.base.intent import ActionRecord, ActionState
from homeostat.base.units import TimeNs
from protocol_sim import invariants_first as some_first
from protocol_sim import invariants_journal as promised
from protocol_sim.chance import Chance
from protocol_sim.memory import Entry, Memory
from protocol_sim.options import LEASE_TICKS, TICK

PAST_KEPT = 12


class CrashedError(Exception):
    """The process died in the middle of an effect."""


@dataclass(slots=True, eq=False)
class Process:
    """One incarnation of a controller, as the world knows it."""

    seat: int
    incarnation: int
    skew: int = 0  # ticks that its clock is ahead
    steps: int = 0
    alive: bool = True
    observe_until: TimeNs | None = None


@dataclass(slots=True)
class Journal:
    """Records that are durable, the epoch that may write, and the lease."""

    chance: Chance
    memory: Memory
    fenced: bool = True
    durable: dict[str, ActionRecord] = field(default_factory=dict)
    past: dict[str, list[PastAction]] = field(default_factory=dict)
    epoch: int = 0
    last_at: int = 0
    holder: int = -1
    lease_until: int = 0
    lease_epoch: int = 0
    appended: int = 0
    ended: dict[str, tuple[ActionRecord, TimeNs]] = field(default_factory=dict)  # and when
    full_once: bool = False  # the next append finds no room
    taken_back: set[str] = field(default_factory=set)  # stops that were not taken down

    def acquire(self, process: Process, now: int) -> int | None:
        if now < self.lease_until and self.holder != process.seat:
            return None
        self.holder, self.lease_until = process.seat, now + LEASE_TICKS
        self.lease_epoch += 1
        return self.lease_epoch

    def renew(self, process: Process, epoch: int, now: int) -> bool:
        if self.holder != process.seat or self.lease_epoch != epoch:
            return False
        self.lease_until = now + LEASE_TICKS
        return True

    def open(self, process: Process, epoch: int, now: int) -> dict[str, ActionRecord] | None:
        """Fence older epochs and return each deployment's last record, through its bytes.

        A clock that is behind the journal is pushed on, as the controller's clock is.
        """
        if epoch < self.epoch and self.fenced:
            return None
        self.epoch = max(self.epoch, epoch)
        process.skew = max(process.skew, self.last_at // TICK + 1 - now)
        return {
            name: promised.i14_bytes(self.memory, record)
            for name, record in self.durable.items()
            if not record.state.is_terminal
        }

    def append(self, process: Process, epoch: int, entry: Entry) -> bool:
        """Make a step durable; False: it is not known to be, and the writer must read anew.

        Raises:
            CrashedError: The process died while it wrote; half a row is no row.
        """
        full, self.full_once = self.full_once or self.chance.hits("disk_full"), False
        if full or (epoch < self.epoch and self.fenced):
            self._not_taken_down(process, entry.after)
            return False
        if self.chance.hits("torn"):
            raise CrashedError
        if self.chance.hits("fsync_failed"):
            if self.chance.rng.random() < 0.5:
                self._commit(process, entry)
            else:
                self._not_taken_down(process, entry.after)
            return False
        self._commit(process, entry)
        return True

    def _not_taken_down(self, process: Process, record: ActionRecord) -> None:
        if (process.incarnation, record.id) in self.memory.aborted:
            self.memory.aborted.discard((process.incarnation, record.id))
            self.taken_back.add(record.id)  # the person asks again

    def _commit(self, process: Process, entry: Entry) -> None:
        memory, record = self.memory, entry.after
        promised.i2_single_flight(memory, record)
        promised.table(memory, record)
        promised.i9_abort_wins(memory, process.incarnation, record)
        promised.i17_bounded(memory, record)
        promised.i18_explained(memory, record)
        some_first.i20_all_or_none(memory, record)
        promised.note(memory, entry)
        self.durable[record.deployment] = record
        self.last_at = max(self.last_at, entry.now)
        self.appended += 1
        self._count(record, entry.now)
        if record.state in {ActionState.FOREIGN, ActionState.STUCK}:
            self.ended[record.deployment] = (record, entry.now)

    def _count(self, record: ActionRecord, now: TimeNs) -> None:
        """Keep what the guards count: an action counts from its first intent on."""
        past = self.past.setdefault(record.deployment, [])
        if record.intent is None or (past and past[-1].id == record.id):
            return
        kind, subject = record.action.kind, record.action.subject
        past.append(PastAction(id=record.id, kind=kind, subject=subject, at=now))
        del past[:-PAST_KEPT]
