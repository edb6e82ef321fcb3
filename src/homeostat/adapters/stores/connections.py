"""The journal's connections: one that writes, others that read, and commits that nobody answered.

Knows nothing of what is written. A connection that is lost before a commit loses the transaction
and nothing else; one that is lost during a commit leaves its fate to be asked for.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa

from homeostat.adapters.stores.backend import Backend
from homeostat.base.errors import OutOfStepError, StoreError, UncertainStoreError

_ERRORS: Final = (sa.exc.SQLAlchemyError, ValueError, TypeError, OverflowError)

Kept = Callable[[sa.Connection], bool]


class Connections:
    """Opens the database, hands out transactions, and says what their errors mean.

    Args:
        backend: The database.
        read_only: Refuse to write.
    """

    def __init__(self, backend: Backend, *, read_only: bool) -> None:
        self._backend = backend
        self._read_only = read_only
        self._doubt: Kept | None = None
        self._engine = backend.open()
        self._writer: sa.Connection | None = None
        self.kept: Kept | None = None
        """Set inside a transaction: tells a later one whether this one was kept."""

    @contextmanager
    def writing(self, *, durable: bool, seq: int, afresh: bool = False) -> Iterator[sa.Connection]:
        """Write in one transaction, with other writers kept out until it ends.

        Args:
            durable: It shall survive a power cut once this returns.
            seq: The entry about to be written, for what an error says.
            afresh: What was in doubt before does not matter any more.

        Raises:
            StoreError: Nothing was written.
            UncertainStoreError: The database went away during the commit and does not say yet.
            OutOfStepError: What was in doubt till now had been kept.
        """
        self._check_writable()
        try:
            writer = self._begun(durable=durable)
            try:
                self._settle_doubt(writer, afresh=afresh)
                yield writer
            except BaseException:
                writer.rollback()
                raise
            self._commit(writer, seq)
        except _ERRORS as error:
            self._drop_writer()
            raise self._backend.translate(error, seq) from error

    @contextmanager
    def beside(self) -> Iterator[sa.Connection]:
        """Write beside the chain, on a connection of its own; losing it loses nothing.

        Raises:
            StoreError: Nothing was written.
        """
        self._check_writable()
        try:
            with self._engine.begin() as connection:
                yield connection
        except _ERRORS as error:
            raise self._backend.translate(error, 0) from error

    @contextmanager
    def reading(self, seq: int) -> Iterator[sa.Connection]:
        """Read one state of the database.

        Args:
            seq: The entry wanted, for what an error says.

        Raises:
            StoreError: It cannot be read.
        """
        try:
            with self._engine.connect() as connection:
                self._backend.begin_reading(connection)
                yield connection
        except _ERRORS as error:
            raise self._backend.translate(error, seq) from error

    def close(self) -> None:
        """Release every connection; a second call does nothing."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._engine.dispose()
        self._backend.close()

    def _check_writable(self) -> None:
        """Refuse to write where that was not asked for.

        Raises:
            StoreError: It was opened for reading only.
        """
        if self._read_only:
            raise StoreError(f"{self._backend.where} was opened for reading only")

    def _begun(self, *, durable: bool) -> sa.Connection:
        """Return the writer in a new transaction; a connection that broke at rest is made anew.

        Raises:
            DBAPIError: The database refuses.
        """
        self.kept = None
        if self._writer is not None:
            try:
                self._backend.begin(self._writer, durable=durable)
            except sa.exc.DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                self._drop_writer()
            else:
                return self._writer
        self._writer = self._engine.connect()
        self._backend.begin(self._writer, durable=durable)
        return self._writer

    def _settle_doubt(self, writer: sa.Connection, *, afresh: bool) -> None:
        """Find out about a commit in doubt before anything is written behind it.

        Raises:
            OutOfStepError: It had been kept, and this controller went on without it.
        """
        kept = self._doubt is not None and not afresh and self._doubt(writer)
        self._doubt = None
        if kept:
            raise OutOfStepError(
                "the last append, whose fate was not known, had been kept: what this controller "
                "holds is older than its journal; it starts again from there"
            )

    def _commit(self, writer: sa.Connection, seq: int) -> None:
        """Commit; when the connection is lost meanwhile, ask the database whether it was kept.

        Raises:
            DBAPIError: It was not kept, for sure.
            UncertainStoreError: The database does not say.
        """
        try:
            writer.commit()
        except sa.exc.DBAPIError as error:
            self._drop_writer()
            if self.kept is None or not self._backend.in_doubt(error):
                raise
            self._doubt = self.kept
            if not self._found_kept(error, seq):
                raise

    def _found_kept(self, error: Exception, seq: int) -> bool:
        """Return whether a commit in doubt was kept; a "no" is final.

        Keeping other writers out waits for the transaction in doubt, if it is still under way.

        Raises:
            UncertainStoreError: The database cannot be asked.
        """
        doubt = self._doubt
        if doubt is None:
            return False
        try:
            connection = self._begun(durable=True)
            kept = doubt(connection)
            connection.rollback()
        except _ERRORS as again:
            self._drop_writer()
            said = self._backend.translate(again, seq)
            raise UncertainStoreError(
                f"{self._backend.where} went away during a commit, so that nobody knows whether "
                f"what begins with entry {seq} was kept ({said}); nothing is done until it says so"
            ) from error
        self._doubt = None
        return kept

    def _drop_writer(self) -> None:
        """Forget a connection that may be broken; the next write opens another."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.invalidate()
            writer.close()
