"""The journal over SQLAlchemy Core: the same statements for every database.

One writer at a time, kept out by the database and fenced by epochs; any number of readers, also
while it writes. Every read verifies the chain. What databases do differently is in their `Backend`.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final

import sqlalchemy as sa

from homeostat.adapters.stores import chain, statements
from homeostat.adapters.stores.anchor import AnchorWriter
from homeostat.adapters.stores.backend import Backend, DiskFullError
from homeostat.adapters.stores.chain import Gap, Head, Walker
from homeostat.adapters.stores.schema import ENTRY, GAP, HEAD
from homeostat.base.errors import CorruptStoreError, StoreError, SupersededError
from homeostat.base.ports import Entry
from homeostat.base.units import TimeNs

Rows = Sequence[tuple[TimeNs, str, str, bytes]]

_ERRORS: Final = (sa.exc.SQLAlchemyError, ValueError, TypeError, OverflowError)
_RESERVED: Final = (chain.CLAIMED, chain.DROPPED, chain.FULL)


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
        self._read_only = read_only
        self._anchored = anchored
        self._lock = threading.RLock()
        self._epoch = 0
        self._owner = ""
        self._seen: Head | None = None
        self._engine = backend.open()
        self._writer: sa.Connection | None = None

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
            DiskFullError: Nothing was written but a note that says so, out of the reserve.
        """
        for at, deployment, kind, body in entries:
            _check_row(at, deployment, kind, body)
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
            with self._reading(walker.seq + 1) as connection:
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
            with self._transaction(durable=True) as connection:
                head = statements.head(connection)
                epoch = head.epoch + 1
                body = chain.note(chain.CLAIMED, epoch=epoch, owner=owner)
                _, head = self._insert(
                    connection, head, [(now, "", "note", body)], epoch=epoch, owner=owner
                )
            self._epoch, self._owner, self._seen = epoch, owner, head
            self._anchor_at(head)
            return epoch

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
            with self._lock, self._transaction(durable=True) as connection:
                head = self._checked_head(connection)
                rows = statements.droppable(connection, before, kinds)
                if not rows:
                    return dropped
                gaps = statements.runs(rows, note=head.seq + 1)
                body = chain.note(chain.DROPPED, count=len(rows), gaps=chain.gaps_digest(gaps))
                statements.drop(connection, gaps)
                _, head = self._insert(connection, head, [(now, "", "note", body)])
            self._seen = head
            dropped += len(rows)

    def head(self) -> Head:
        """Return where the chain ends, without verifying it.

        Raises:
            StoreError: The database cannot be read.
        """
        with self._reading(0) as connection:
            return statements.head(connection)

    def close(self) -> None:
        """Release the connection; a second call does nothing."""
        with self._lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            if self._anchor is not None:
                self._anchor.close()
                self._anchor = None
            self._engine.dispose()
            self._backend.close()

    def _anchor_at(self, head: Head) -> None:
        if self._anchor is not None and head.seq:
            self._anchor.write(head.seq, head.digest)

    def _write(self, entries: Rows, *, durable: bool) -> tuple[tuple[Entry, ...], Head]:
        with self._transaction(durable=durable) as connection:
            head = self._checked_head(connection)
            written, head = self._insert(connection, head, entries)
        self._seen = head
        return written, head

    def _checked_head(self, connection: sa.Connection) -> Head:
        """Return the head, if it is still ours to write behind.

        Raises:
            SupersededError: A newer owner claimed the journal.
            CorruptStoreError: Somebody else wrote under our epoch.
        """
        head = statements.head(connection)
        if head.epoch > self._epoch:
            ours = f"epoch {self._epoch} of {self._owner!r}" if self._epoch else "no epoch at all"
            raise SupersededError(
                f"epoch {head.epoch} of {head.owner!r} supersedes {ours}; "
                "only the controller that claimed last may write"
            )
        if self._seen is not None and head != self._seen:
            raise CorruptStoreError(
                head.seq, f"the journal was changed behind its owner (expected {self._seen.seq})"
            )
        return head

    def _insert(
        self,
        connection: sa.Connection,
        head: Head,
        entries: Rows,
        *,
        epoch: int | None = None,
        owner: str | None = None,
    ) -> tuple[tuple[Entry, ...], Head]:
        seq, digest = head.seq, head.digest
        written, rows = [], []
        for at, deployment, kind, body in entries:
            seq += 1
            digest = chain.link(digest, seq, at, deployment, kind, body)
            above = chain.BODY_MAX if kind == "command" else self._compress_above
            packed, data = chain.pack(body, above)
            rows.append({
                "seq": seq, "at": at, "deployment": deployment, "kind": kind,
                "packed": int(packed), "body": data, "digest": digest,
            })  # fmt: skip
            written.append(
                Entry(seq=seq, at=at, deployment=deployment, kind=kind, body=body, digest=digest)
            )
        after = Head(
            seq=seq,
            digest=digest,
            epoch=head.epoch if epoch is None else epoch,
            owner=head.owner if owner is None else owner,
        )
        if rows:
            connection.execute(ENTRY.insert(), rows)
            connection.execute(
                HEAD.update().where(HEAD.c.id == 1),
                {"seq": seq, "digest": digest, "epoch": after.epoch, "owner": after.owner},
            )
        return tuple(written), after

    def _note_full(self, full: DiskFullError, *, at: TimeNs) -> None:
        """Use the reserve for one last durable note; the caller raises what went wrong."""
        if not self._backend.make_room():
            return
        body = chain.note(chain.FULL, said=str(full)[:500])
        with suppress(StoreError):
            self._write([(at, "", "note", body)], durable=True)

    @contextmanager
    def _transaction(self, *, durable: bool) -> Iterator[sa.Connection]:
        if self._read_only:
            raise StoreError(f"{self._backend.where} was opened for reading only")
        seq = 0 if self._seen is None else self._seen.seq + 1
        try:
            if self._writer is None:
                self._writer = self._engine.connect()
            self._backend.begin(self._writer, durable=durable)
            try:
                yield self._writer
                self._writer.commit()
            except BaseException:
                self._writer.rollback()
                raise
        except _ERRORS as error:
            self._drop_writer()
            raise self._backend.translate(error, seq) from error

    def _drop_writer(self) -> None:
        """Forget a connection that may be broken; the next write opens another."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.invalidate()
            writer.close()

    @contextmanager
    def _reading(self, seq: int) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect() as connection:
                self._backend.begin_reading(connection)
                yield connection
        except _ERRORS as error:
            raise self._backend.translate(error, seq) from error

    def _walker(self, after: int, anchors: Mapping[int, str] | None) -> Walker:
        if after == 0:
            return Walker(0, chain.GENESIS, anchors)
        with self._reading(after) as connection:
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


def _check_row(at: int, deployment: str, kind: str, body: bytes) -> None:
    """Refuse a row that could not be read back as it is.

    Raises:
        StoreError: The row is malformed.
    """
    if kind not in chain.KINDS:
        raise StoreError(f"entry kind {kind!r} is none of {', '.join(sorted(chain.KINDS))}")
    if len(body) > chain.BODY_MAX:
        raise StoreError(f"a {kind}'s body has {len(body)} bytes, at most {chain.BODY_MAX} fit")
    if not -(2**63) <= at < 2**63 or not deployment.isprintable():
        raise StoreError(f"a {kind} has time {at} and deployment {deployment!r}; one is no such")
    if kind == "note" and any(chain.read_note(body, fact) is not None for fact in _RESERVED):
        raise StoreError("notes called journal.* belong to the journal itself")
