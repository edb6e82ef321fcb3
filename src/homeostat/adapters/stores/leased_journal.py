"""A journal that is led by whoever holds a Lease of Kubernetes, with the same promises as before.

Who leads is decided at the Lease; what keeps whoever led before from writing is still the epoch,
which every append and every target checks. `leaseTransitions` counts the leads, so the epoch is one
more; a journal that is ahead of it lifts it. So no number is used twice, also where the journal or
the Lease was lost, and a leader that slept between the two claims nothing: its number is too low.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Protocol

from homeostat.adapters.stores.kubernetes_lease import KubernetesLease
from homeostat.base.errors import BusyStoreError, StoreError, SupersededError
from homeostat.base.ports import Entry, Journal, Standing
from homeostat.base.units import TimeNs


class Numbered(Journal, Protocol):
    """A journal that can be claimed under a number that is given to it; old rows can be dropped."""

    @property
    def anchored(self) -> int | None:
        """See `homeostat.base.ports.Anchored`."""
        ...

    def newest_epoch(self) -> int:
        """Return the highest epoch ever claimed, 0 for none.

        Raises:
            StoreError: It cannot be read.
        """
        ...

    def claim(self, owner: str, now: TimeNs, epoch: int) -> None:
        """Claim exactly this epoch.

        Raises:
            SupersededError: One as high or higher was claimed before.
            StoreError: The claim could not be made durable.
        """
        ...

    def prune(self, *, before: TimeNs, now: TimeNs, kinds: Sequence[str] = ("frame",)) -> int:
        """See `homeostat.base.ports.Pruning`."""
        ...


class LeasedJournal:
    """A journal that is led by whoever holds a Lease; see `homeostat.base.ports.Leasing`.

    Args:
        journal: The record; its own way of electing is not used.
        lease: The Lease.
    """

    def __init__(self, journal: Numbered, lease: KubernetesLease) -> None:
        self._journal, self._lease = journal, lease
        self._owner, self._epoch = "", 0

    @property
    def anchored(self) -> int | None:
        """See `homeostat.base.ports.Anchored`."""
        return self._journal.anchored

    def append(
        self, entries: Sequence[tuple[TimeNs, str, str, bytes]], *, durable: bool
    ) -> tuple[Entry, ...]:
        """See `homeostat.base.ports.Journal`."""
        return self._journal.append(entries, durable=durable)

    def read(
        self, *, after: int = 0, deployment: str | None = None, kinds: Sequence[str] = ()
    ) -> Iterator[Entry]:
        """See `homeostat.base.ports.Journal`."""
        return self._journal.read(after=after, deployment=deployment, kinds=kinds)

    def claim_epoch(self, owner: str, now: TimeNs) -> int:
        """See `homeostat.base.ports.Journal`; whoever holds the Lease learns it when it renews."""
        return self._journal.claim_epoch(owner, now)

    def prune(self, *, before: TimeNs, now: TimeNs, kinds: Sequence[str] = ("frame",)) -> int:
        """See `homeostat.base.ports.Pruning`."""
        return self._journal.prune(before=before, now=now, kinds=kinds)

    def acquire(self, owner: str, now: TimeNs, lease_ns: int) -> Standing:
        """Take the Lease if nobody else holds it, and claim the journal under its number.

        Raises:
            BusyStoreError: Somebody was faster; nothing is claimed.
            StoreError: The API server or the journal cannot be used; nothing is claimed.
        """
        standing = self._lease.take(owner, lease_ns, self._journal.newest_epoch())
        if not standing.epoch:
            return standing
        try:
            self._journal.claim(owner, now, standing.epoch)
        except StoreError as error:
            with suppress(StoreError):  # nobody has to wait for a lead that came to nothing
                self._lease.give_up(owner, standing.epoch)
            if isinstance(error, SupersededError):  # we slept, and another led meanwhile
                raise BusyStoreError(f"the lead was lost before it began: {error}") from error
            raise
        self._owner, self._epoch = owner, standing.epoch
        return standing

    def renew(self, lease_ns: int) -> None:
        """Lead for another `lease_ns` from now.

        Raises:
            SupersededError: Somebody else holds the Lease, or has claimed the journal.
            StoreError: The API server or the journal cannot be reached; all stays as it was.
        """
        newest = self._journal.newest_epoch()
        if newest > self._epoch:
            raise SupersededError(
                f"epoch {newest} supersedes epoch {self._epoch} of {self._owner!r} in the journal; "
                "only the controller that claimed last may write"
            )
        self._lease.renew(self._owner, lease_ns, self._epoch)

    def release(self) -> None:
        """Let another lead at once; does nothing if we do not.

        Raises:
            StoreError: The API server cannot be reached; the Lease runs out by itself.
        """
        if self._epoch:
            self._lease.give_up(self._owner, self._epoch)

    def close(self) -> None:
        """Release the journal."""
        self._journal.close()
