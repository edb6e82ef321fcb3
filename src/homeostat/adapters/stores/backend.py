"""What differs between databases: opening, durability, and what their errors mean.

`journal.SqlJournal` holds the statements, which are the same for all.
"""

from typing import Protocol

import sqlalchemy as sa

from homeostat.base.errors import StoreError


class DiskFullError(StoreError):
    """The disk, or what the database may use of it, is full."""


class Backend(Protocol):
    """One kind of database."""

    @property
    def where(self) -> str:
        """What people call the place, without secrets."""
        ...

    @property
    def now_ns(self) -> str | None:
        """SQL for the database's own time in whole nanoseconds, by which leases run out.

        None where a lock of the operating system tells who leads (`lock`).
        """
        ...

    @property
    def forgets(self) -> bool:
        """Whether rows that were not asked to be durable may go while this process lives."""
        ...

    def is_bare(self) -> bool:
        """Return whether there is nothing of a journal yet, without making anything.

        Raises:
            StoreError: That cannot be found out.
        """
        ...

    def open(self) -> sa.Engine:
        """Connect, bring the tables into shape, and check the file.

        Raises:
            StoreError: It cannot be used as it is.
        """
        ...

    def begin(self, connection: sa.Connection, *, durable: bool) -> None:
        """Prepare a writing transaction and keep other writers out until it ends."""
        ...

    def begin_reading(self, connection: sa.Connection) -> None:
        """Begin a reading transaction: all its statements see one state."""
        ...

    def translate(self, error: Exception, seq: int) -> StoreError:
        """Return what a database error means for the journal.

        Args:
            error: As raised.
            seq: The entry that was being read or written.
        """
        ...

    def in_doubt(self, error: Exception) -> bool:
        """Return whether a commit that failed with this may have been kept all the same."""
        ...

    def lock(self, owner: str) -> str | None:
        """Keep other processes from leading until `close`; return who does, None if we do now."""
        ...

    def unlock(self) -> None:
        """Give up what `lock` took, if anything."""
        ...

    def make_room(self) -> bool:
        """Give back reserved space; return whether there was any."""
        ...

    def close(self) -> None:
        """Release what `open` took, the engine excepted."""
        ...
