"""The ports: what a plug-in must offer. Each has two to four methods.

Adapters implement `Source`, `Actuator`, `Notifier`, `Journal`; rooms offer `Detector`. Every
implementation is checked by its kit in `homeostat.testing` without being named there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol, TypeVar, runtime_checkable

from homeostat.base.decisions import Notice
from homeostat.base.evidence import Signals, SourceReport
from homeostat.base.intent import Intent, Receipt
from homeostat.base.training import TrainingOrder, TrainingSight, VersionMark
from homeostat.base.units import TimeNs
from homeostat.base.world import Snapshot

StateT = TypeVar("StateT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an actuator's target can do.

    Attributes:
        compare_and_set: A write against an out-of-date token is refused by the target itself.
        fencing: The target refuses writes of an older epoch.
        levers: Levers it can set, or prefixes ending in `.`.
        owner: Who else may write here, for people; empty for nobody.
        undo: Every lever can be set back to a value that it was read at.
        granularity: Levers, or prefixes ending in `.`, with the smallest step of each, in the
            lever's unit; a lever that is not named takes any value.
        one_first: Settings of every replica that it can also set on single ones: it reports and
            sets `SETTING.SLOT`, that replica's own value, 0 for none; writing the setting itself
            ends the own values that the same write does not name. Where replicas serve and no own
            value is reported of any, the setting counts as not read.
    """

    compare_and_set: bool
    fencing: bool
    levers: tuple[str, ...]
    owner: str = ""
    undo: bool = True
    granularity: tuple[tuple[str, float], ...] = ()
    one_first: tuple[str, ...] = ()


class Source(Protocol):
    """Reads one outside system. Never raises for expected trouble: it reports a quality."""

    @property
    def name(self) -> str:
        """The source's name in the configuration."""
        ...

    async def observe(self, now: TimeNs) -> SourceReport:
        """Read once, within the source's own deadline."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class Actuator(Protocol):
    """Changes one outside system; writes are absolute, idempotent by id and bounded in time."""

    @property
    def name(self) -> str:
        """The actuator's name in the configuration."""
        ...

    def capabilities(self) -> Capabilities:
        """Say what the target can do."""
        ...

    async def read(self, deployment: str, now: TimeNs) -> Snapshot:
        """Read the live state (this actuator's part of it).

        Raises:
            ActuatorError: It could not be read.
        """
        ...

    async def apply(self, intent: Intent, now: TimeNs) -> Receipt:
        """Carry out the intent; an empty `post` only claims the target for the intent's epoch.

        Returns a receipt for every outcome, a timeout included (UNKNOWN); never raises for
        expected trouble.
        """
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class Trainer(Protocol):
    """Has models trained, by somebody else and in its own time."""

    @property
    def name(self) -> str:
        """The trainer's name in the configuration."""
        ...

    async def ask(self, order: TrainingOrder, now: TimeNs) -> Receipt:
        """Ask for one training; the same key again asks for the same one, not for another.

        Returns a receipt (of `order.intent_id`) for every outcome, a timeout included (UNKNOWN):
        DONE only where the trainer was read back and has the order, NOT_APPLIED only where it
        cannot have it and will not get it. Never raises for expected trouble.
        """
        ...

    async def look(self, deployment: str, key: str, now: TimeNs) -> TrainingSight:
        """Say how an order stands, within the trainer's own deadline.

        A version that did not come of this order is never named.

        Raises:
            TrainerError: It could not be read, or what it said makes no sense.
        """
        ...

    async def mark(self, mark: VersionMark, now: TimeNs) -> Receipt:
        """Keep what became of a version; a receipt (of `mark.id`) as in `ask`.

        The serving alias is moved from `alias_from` only: one that names another version by now
        has been moved by somebody else and stays (NOT_APPLIED, `conflict`).
        """
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class Notifier(Protocol):
    """Tells people."""

    async def notify(self, notice: Notice) -> None:
        """Deliver or edit one notice; errors are raised and counted by the caller."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One journal entry.

    Attributes:
        seq: Position, from 1, without gaps.
        at: When it was written, by the controller's clock.
        deployment: The deployment it belongs to; empty for the fleet.
        kind: `event`, `command`, `frame`, `state` or `note`.
        body: Canonical JSON (`base.codec`), UTF-8.
        digest: SHA-256 over the previous digest and this entry, hex.
    """

    seq: int
    at: TimeNs
    deployment: str
    kind: str
    body: bytes
    digest: str


class Journal(Protocol):
    """The append-only record. No record, no action."""

    def append(
        self, entries: Sequence[tuple[TimeNs, str, str, bytes]], *, durable: bool
    ) -> tuple[Entry, ...]:
        """Append (at, deployment, kind, body) rows in one transaction.

        With `durable` the call returns only when they would survive a power cut.

        Raises:
            StoreError: Nothing was written.
        """
        ...

    def read(
        self, *, after: int = 0, deployment: str | None = None, kinds: Sequence[str] = ()
    ) -> Iterator[Entry]:
        """Yield entries in order, verifying the chain.

        Raises:
            CorruptStoreError: An entry does not verify.
        """
        ...

    def claim_epoch(self, owner: str, now: TimeNs) -> int:
        """Return an epoch higher than any before it; older owners can no longer append."""
        ...

    def close(self) -> None:
        """Release the file or connection."""
        ...


@runtime_checkable
class Pruning(Protocol):
    """A journal that can drop what is old, with its chain still whole; commands stay for ever."""

    def prune(self, *, before: TimeNs, now: TimeNs, kinds: Sequence[str] = ("frame",)) -> int:
        """Drop entries written before a time (frame, event, state) and return how many.

        Raises:
            StoreError: The journal cannot be written.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Who leads, as the journal's own store says it.

    Attributes:
        epoch: Ours, if we lead now; 0 if somebody else does.
        holder: Who leads.
        left_ns: How long the other's lease still runs by the store's clock; None where it ends with
            its holder's process and not before.
        before: The epoch that ours follows, 0 for the first.
    """

    epoch: int
    holder: str
    left_ns: int | None = None
    before: int = 0


@runtime_checkable
class Leasing(Protocol):
    """A journal that several controllers may open while one of them leads.

    A lease is for liveness only: it keeps two controllers from taking the journal from each other.
    That the one before writes nothing any more rests on the epoch that every append is fenced by.
    """

    def acquire(self, owner: str, now: TimeNs, lease_ns: int) -> Standing:
        """Lead if nobody else does: one compare-and-set that also claims a higher epoch.

        Args:
            owner: Our name, unique to this process.
            now: Our time, for the entry that says so.
            lease_ns: How long nobody else may lead without hearing from us.

        Raises:
            StoreError: The store cannot be reached; nothing is claimed.
        """
        ...

    def renew(self, lease_ns: int) -> None:
        """Lead for another `lease_ns` from now.

        Raises:
            SupersededError: Somebody else leads by now; this one must end.
            StoreError: The store cannot be reached; the lease runs on as it was.
        """
        ...

    def release(self) -> None:
        """Let another lead at once; does nothing if we do not."""
        ...


@runtime_checkable
class Anchored(Protocol):
    """A journal with digests kept outside it, so that a cut tail shows."""

    @property
    def anchored(self) -> int | None:
        """The last entry known from outside when it was opened, None if nothing was known."""
        ...


class Detector(Protocol[StateT]):
    """A batched, causal detector over `[series]`; `xp` is numpy or jax.numpy.

    `step` must not mutate; state passed in is consumed. NaN in means unknown out for that row.
    """

    def init(self, xp: ModuleType, series: int) -> StateT:
        """Return the state for this many rows."""
        ...

    def step(
        self, xp: ModuleType, state: StateT, values: Any, learn: Any
    ) -> tuple[StateT, "DetectorOutput"]:
        """Judge `values` float64 `[series]`, then learn from rows where `learn` is true."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorOutput:
    """What a detector says about one tick, one entry per row.

    Attributes:
        neg_log10_p: Evidence against healthy, NaN for unknown. Float `[series]`.
        low: Lower edge of the expected band, NaN when not known. Float `[series]`.
        high: Upper edge of the expected band, NaN when not known. Float `[series]`.
        alarm: True where the row is anomalous. Bool `[series]`.
    """

    neg_log10_p: Any
    low: Any
    high: Any
    alarm: Any


SignalsLike = Signals[Any]
