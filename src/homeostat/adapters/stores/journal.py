"""The journal over SQLAlchemy Core: the same statements for every database.

One writer at a time, kept out by the database and fenced by epochs; any number of readers, also
while it writes. Every read verifies the chain. What databases do differently is in their `Backend`.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, replace
from functools import partial

import sqlalchemy as sa

from homeostat.adapters.stores import chain, leases, migrate, rows, statements
from homeostat.adapters.stores.anchor import AnchorWriter
from homeostat.adapters.stores.backend import Backend, DiskFullError
from homeostat.adapters.stores.chain import Gap, Head, Walker
from homeostat.adapters.stores.connections import Connections
from homeostat.adapters.stores.rows import Rows
from homeostat.adapters.stores.schema import ENTRY, GAP, HEAD
from homeostat.base.errors import (
    CorruptStoreError,
    OutOfStepError,
    StoreError,
    SupersededError,
)
from homeostat.base.ports import Entry, Standing
from homeostat.base.units import TimeNs


class SqlJournal:
    """See `homeostat.base.ports.Journal`.

    Args:
        backend: The database.
        compress_above: Bodies of frames, events and states larger than this are compressed, bytes.
        read_only: Refuse to write.
        anchored: The last entry known from outside, None if nothing is.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        compress_above: int,
        read_only: bool = False,
        anchored: int | None = None,
    ) -> None:
        self._backend = backend
        self._compress_above = compress_above
        self._anchor: AnchorWriter | None = None
        self._anchored = anchored
        self._lock = threading.RLock()
        self._epoch = 0
        self._owner = ""
        self._seen: Head | None = None
        self._durable: Head | None = None
        self._database = Connections(backend, read_only=read_only)

    @property
    def anchored(self) -> int | None:
        """The last entry known from outside when it was opened; what was behind it may be cut."""
        return self._anchored

    def anchor_with(self, writer: AnchorWriter) -> None:
        """Anchor every durable append from now on; the writer is closed with the journal."""
        self._anchor = writer

    def append(self, entries: Rows, *, durable: bool) -> tuple[Entry, ...]:
        """Append rows in one transaction. See the port.

        Raises:
            StoreError: Nothing was written: wrong rows, a newer owner, a lock.
            UncertainStoreError: The database went away during the commit and does not say yet.
            OutOfStepError: What is in memory is not what is on record any more.
            DiskFullError: Nothing was written but a note that says so, out of the reserve.
        """
        rows.check(entries)
        with self._lock:
            try:
                written, head = self._write(entries, durable=durable)
            except DiskFullError as full:
                self._note_full(full, at=entries[-1][0])
                raise
            if durable:
                self._anchor_at(head)
            return written

    def read(
        self, *, after: int = 0, deployment: str | None = None, kinds: Sequence[str] = ()
    ) -> Iterator[Entry]:
        """Yield entries in order, verifying the chain. Dropped frames are stepped over.

        Raises:
            CorruptStoreError: An entry does not verify.
            StoreError: The database cannot be read.
        """
        for entry in self.walk(after=after):
            if (deployment is None or entry.deployment == deployment) and (
                not kinds or entry.kind in kinds
            ):
                yield entry

    def walk(self, *, after: int = 0, anchors: Mapping[int, str] | None = None) -> Iterator[Entry]:
        """Yield every entry, checking the chain, the gaps, the head, and anchors if given.

        Raises:
            CorruptStoreError: Something does not verify.
            StoreError: The database cannot be read.
        """
        walker = self._walker(after, anchors)
        while True:
            with self._database.reading(walker.seq + 1) as connection:
                rows, gaps, vouched = statements.batch(connection, walker.seq)
                head = statements.head(connection)
            if not rows:
                walker.finish(head, whole=after == 0)
                return
            for row in rows:
                while row[0] != walker.seq + 1 and (
                    gap := statements.covering(gaps, walker.seq + 1)
                ):
                    walker.skip(gap)
                yield walker.step(row, vouched.get(row[0], ()))

    def claim_epoch(self, owner: str, now: TimeNs) -> int:
        """Return an epoch higher than any before it; older owners can no longer append.

        Raises:
            StoreError: The claim could not be made durable.
        """
        with self._lock:
            with self._writing(durable=True, afresh=True) as connection:
                head = self._claim(connection, owner, now)
            return self._claimed(head)

    def newest_epoch(self) -> int:
        """Return the highest epoch ever claimed, 0 for none.

        Raises:
            StoreError: The database cannot be read.
        """
        return self.head().epoch

    def claim(self, owner: str, now: TimeNs, epoch: int) -> None:
        """Claim an epoch that is given from outside (`kubernetes_lease`).

        Raises:
            SupersededError: One as high or higher was claimed before.
            StoreError: The claim could not be made durable.
        """
        with self._lock:
            with self._writing(durable=True, afresh=True) as connection:
                newest = statements.head(connection)
                if epoch <= newest.epoch:
                    raise SupersededError(
                        f"epoch {newest.epoch} of {newest.owner!r} supersedes epoch {epoch}"
                    )
                head = self._claim(connection, owner, now, epoch)
            self._claimed(head)

    def acquire(self, owner: str, now: TimeNs, lease_ns: int) -> Standing:
        """Lead if nobody else does. See `homeostat.base.ports.Leasing`.

        Raises:
            StoreError: The store cannot be reached; nothing is claimed.
        """
        if (other := self._backend.lock(owner)) is not None:
            return Standing(epoch=0, holder=other)
        with self._lock:
            return self._take_lease(owner, now, lease_ns)

    def renew(self, lease_ns: int) -> None:
        """Lead on. See `homeostat.base.ports.Leasing`.

        Raises:
            SupersededError: Somebody else leads by now.
            StoreError: The store cannot be reached.
        """
        now_ns, epoch = self._backend.now_ns, self._epoch
        if now_ns is None:
            with self._database.reading(0) as connection:
                head = statements.head(connection)
                ours, other = head.epoch == epoch, head.owner
        else:
            with self._database.beside() as connection:
                ours = leases.extend(
                    connection, self._owner, epoch, lease_ns=lease_ns, now_ns=now_ns
                )
                other = leases.read(connection, now_ns).holder
        if not ours:
            raise SupersededError(
                f"{other or 'somebody else'!r} has taken the lease from epoch {epoch} of "
                f"{self._owner!r}; only the controller that claimed last may write"
            )

    def release(self) -> None:
        """Let another lead at once. See `homeostat.base.ports.Leasing`.

        Raises:
            StoreError: The store cannot be reached; the lease runs out by itself.
        """
        if self._epoch and self._backend.now_ns is not None:
            with self._database.beside() as connection:
                leases.give_up(connection, self._owner, self._epoch)
        self._backend.unlock()

    def prune(self, *, before: TimeNs, now: TimeNs, kinds: Sequence[str] = ("frame",)) -> int:
        """Drop old entries; the chain still verifies. Commands and notes are never dropped.

        Dropping events or states too makes replay of a deployment start at its newest snapshot from
        before that time, so nothing of it after that snapshot is dropped; of a deployment without
        such a snapshot nothing is.

        Args:
            before: Entries written before this time may go.
            now: For the note that vouches for the gaps.
            kinds: Any of frame, event, state.

        Returns:
            How many entries were dropped.

        Raises:
            StoreError: A kind must be kept for ever, or the database cannot be written.
        """
        if set(kinds) - {"frame", "event", "state"}:
            raise StoreError(f"only frames, events and states may be dropped, not {kinds}")
        dropped = 0
        while True:
            with self._lock, self._writing(durable=True) as connection:
                head = self._checked_head(connection)
                rows = statements.droppable(connection, before, kinds)
                if not rows:
                    return dropped
                gaps = statements.runs(rows, note=head.seq + 1)
                body = chain.note(chain.DROPPED, count=len(rows), gaps=chain.gaps_digest(gaps))
                statements.drop(connection, gaps)
                _, head = self._insert(connection, head, [(now, "", "note", body)])
            self._seen = self._durable = head
            dropped += len(rows)

    def downgrade(self, to: str) -> None:
        """Bring the tables back to an older shape; for who leads, and then closes it.

        Raises:
            StoreError: It is no older shape, somebody else leads, or nothing can be written.
        """
        with self._lock, self._writing(durable=True) as connection:
            self._checked_head(connection)
            migrate.downgrade(connection, to)

    def head(self) -> Head:
        """Return where the chain ends, without verifying it.

        Raises:
            StoreError: The database cannot be read.
        """
        with self._database.reading(0) as connection:
            return statements.head(connection)

    def close(self) -> None:
        """Release the connection; a second call does nothing."""
        with self._lock:
            if self._anchor is not None:
                self._anchor.close()
                self._anchor = None
            self._database.close()

    def _anchor_at(self, head: Head) -> None:
        if self._anchor is not None and head.seq:
            self._anchor.write(head.seq, head.digest)

    def _write(self, entries: Rows, *, durable: bool) -> tuple[tuple[Entry, ...], Head]:
        with self._writing(durable=durable) as connection:
            head = self._checked_head(connection)
            written, head = self._insert(connection, head, entries)
        self._seen = head
        if durable:
            self._durable = head
        return written, head

    def _checked_head(self, connection: sa.Connection) -> Head:
        """Return the head, if it is still ours to write behind.

        Raises:
            SupersededError: A newer owner claimed the journal.
            CorruptStoreError: Somebody else wrote under our epoch.
            OutOfStepError: The database lost rows that were not asked to be durable.
        """
        head = statements.head(connection)
        if head.epoch > self._epoch:
            ours = f"epoch {self._epoch} of {self._owner!r}" if self._epoch else "no epoch at all"
            raise SupersededError(
                f"epoch {head.epoch} of {head.owner!r} supersedes {ours}; "
                "only the controller that claimed last may write"
            )
        if self._seen is not None and head != self._seen:
            if self._forgot(connection, head):
                raise OutOfStepError(
                    f"{self._backend.where} lost entries {head.seq + 1} to {self._seen.seq}, which "
                    "were not durable yet; this controller starts again from what is there"
                )
            raise CorruptStoreError(
                head.seq, f"the journal was changed behind its owner (expected {self._seen.seq})"
            )
        return head

    def _forgot(self, connection: sa.Connection, head: Head) -> bool:
        """Return whether a shorter chain is what a crash of the database leaves behind."""
        kept, seen = self._durable, self._seen
        if not self._backend.forgets or kept is None or seen is None:
            return False
        return kept.seq <= head.seq < seen.seq and statements.holds(connection, kept)

    def _take_lease(self, owner: str, now: TimeNs, lease_ns: int) -> Standing:
        with self._writing(durable=True, afresh=True) as connection:
            before = statements.head(connection).epoch
            if (leader := self._leader(connection, owner)) is not None:
                return leader
            head = self._claim(connection, owner, now)
            if (now_ns := self._backend.now_ns) is not None:
                leases.hold(connection, owner, head.epoch, lease_ns=lease_ns, now_ns=now_ns)
        return Standing(epoch=self._claimed(head), holder=owner, before=before)

    def _leader(self, connection: sa.Connection, owner: str) -> Standing | None:
        """Return who else leads by the database's clock, None if nobody does."""
        if self._backend.now_ns is None:
            return None
        found = leases.read(connection, self._backend.now_ns)
        if found.holder in {"", owner} or found.left_ns <= 0:
            return None
        return Standing(epoch=0, holder=found.holder, left_ns=found.left_ns)

    def _claim(
        self, connection: sa.Connection, owner: str, now: TimeNs, epoch: int | None = None
    ) -> Head:
        head = statements.head(connection)
        number = head.epoch + 1 if epoch is None else epoch
        body = chain.note(chain.CLAIMED, epoch=number, owner=owner)
        claimed = replace(head, epoch=number, owner=owner)
        return self._insert(connection, claimed, [(now, "", "note", body)])[1]

    def _claimed(self, head: Head) -> int:
        """Take a claim that was kept for what it is; who claims starts from the journal anew."""
        self._epoch, self._owner = head.epoch, head.owner
        self._seen = self._durable = head
        self._anchor_at(head)
        return head.epoch

    def _insert(
        self, connection: sa.Connection, head: Head, entries: Rows
    ) -> tuple[tuple[Entry, ...], Head]:
        """Write rows and the head after them, with the head's epoch and owner as given."""
        written, stored, after = rows.linked(head, entries, compress_above=self._compress_above)
        if stored:
            connection.execute(ENTRY.insert(), stored)
            connection.execute(HEAD.update().where(HEAD.c.id == 1), asdict(after))
        self._database.kept = partial(statements.holds, wanted=after)
        return written, after

    def _writing(
        self, *, durable: bool, afresh: bool = False
    ) -> AbstractContextManager[sa.Connection]:
        seq = 0 if self._seen is None else self._seen.seq + 1
        return self._database.writing(durable=durable, seq=seq, afresh=afresh)

    def _note_full(self, full: DiskFullError, *, at: TimeNs) -> None:
        """Use the reserve for one last durable note; the caller raises what went wrong."""
        if not self._backend.make_room():
            return
        body = chain.note(chain.FULL, said=str(full)[:500])
        with suppress(StoreError):
            self._write([(at, "", "note", body)], durable=True)

    def _walker(self, after: int, anchors: Mapping[int, str] | None) -> Walker:
        if after == 0:
            return Walker(0, chain.GENESIS, anchors)
        with self._database.reading(after) as connection:
            digest = connection.scalar(sa.select(ENTRY.c.digest).where(ENTRY.c.seq == after))
            gap = connection.execute(
                sa.select(GAP).where(GAP.c.first <= after, GAP.c.last >= after)
            ).first()
            head = statements.head(connection)
        if digest is not None:
            return Walker(after, digest, anchors)
        if gap is not None:
            walker = Walker(gap.first - 1, "", anchors)
            walker.skip(Gap(first=gap.first, last=gap.last, digest=gap.digest, note=gap.note))
            return walker
        if after >= head.seq:
            return Walker(head.seq, head.digest, anchors)
        raise CorruptStoreError(after, "missing")
