"""The journal in one SQLite file: the default store.

WAL, so that readers never wait; `synchronous=FULL` for durable appends (they survive a power cut)
and NORMAL for others (they survive a killed process). SQLite's own check misses almost all single
bit flips (3 of 379 found in a measurement), the hash chain none: both run when the file is opened.
"""

import os
import sqlite3
from pathlib import Path
from typing import Final
from urllib.parse import quote

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field

from homeostat.adapters.stores import migrate
from homeostat.adapters.stores.backend import DiskFullError
from homeostat.adapters.stores.file_lock import FileLock
from homeostat.adapters.stores.journal import SqlJournal
from homeostat.adapters.stores.opening import opened
from homeostat.adapters.stores.reserve import Reserve
from homeostat.base.errors import BusyStoreError, CorruptStoreError, StoreError
from homeostat.base.part import Part

# Primary result codes, https://sqlite.org/rescode.html
_BUSY, _LOCKED, _READONLY, _CORRUPT, _FULL, _CANTOPEN, _NOTADB = 5, 6, 8, 11, 13, 14, 26
_RESERVE: Final = 4 * 1024 * 1024  # a WAL of one thousand pages, SQLite's checkpoint size


class SqliteSettings(BaseModel):
    """Settings of a journal in a SQLite file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path = Field(description="The file; its folder must exist.")
    read_only: bool = Field(default=False, description="Only read; the writer may be running.")
    busy_timeout_s: float = Field(
        default=2.0, ge=0, le=60, description="How long to wait for another writer, in seconds."
    )
    compress_above: int = Field(
        default=512, ge=0, description="Bodies larger than this are compressed, in bytes."
    )
    reserve_bytes: int = Field(
        default=_RESERVE, ge=0, description="Disk space kept aside for the last words."
    )
    anchor: Path | None = Field(
        default=None, description="File that anchors the chain; default: the journal's, + .anchor."
    )
    accept_missing_anchor: bool = Field(
        default=False, description="Open a journal whose anchor is gone, and start a new one."
    )

    @property
    def anchor_path(self) -> Path:
        """Where the anchor lies."""
        return self.anchor or self.path.with_name(self.path.name + ".anchor")


class SqliteBackend:
    """See `homeostat.adapters.stores.backend.Backend`."""

    def __init__(self, settings: SqliteSettings) -> None:
        self._settings = settings
        self._reserve = Reserve(
            settings.path.with_name(settings.path.name + ".reserve"), settings.reserve_bytes
        )
        self._file: tuple[int, int] | None = None
        self._lock = FileLock(settings.path.with_name(settings.path.name + ".lock"))
        self.now_ns: str | None = None  # one machine: its kernel knows at once who is gone
        self.forgets = False  # what was committed is with the kernel, whoever is killed

    @property
    def where(self) -> str:
        """The file."""
        return str(self._settings.path)

    def is_bare(self) -> bool:
        """Return whether the file is missing or empty."""
        path = self._settings.path
        return not (path.is_file() and path.stat().st_size)

    def open(self) -> sa.Engine:
        """Open the file, make or upgrade its tables, and run SQLite's own check.

        Raises:
            StoreError: It cannot be opened.
            CorruptStoreError: SQLite says it is damaged.
        """
        self._make_file()
        engine = _engine(self._settings)
        try:
            with engine.connect() as connection:
                self._prepare(connection)
        except StoreError:
            engine.dispose()
            raise
        except (sa.exc.SQLAlchemyError, ValueError, TypeError, OverflowError) as error:
            engine.dispose()
            raise self.translate(error, 0) from error
        if not self._settings.read_only:
            self._reserve.keep()
        self._file = _identity(self._settings.path)
        return engine

    def begin(self, connection: sa.Connection, *, durable: bool) -> None:
        """Take the write lock; `synchronous` cannot be changed inside a transaction.

        Raises:
            CorruptStoreError: The file was removed or replaced: what is written now would be lost.
        """
        if _identity(self._settings.path) != self._file:
            raise CorruptStoreError(0, f"{self._settings.path} was removed or replaced under us")
        level = "FULL" if durable else "NORMAL"
        connection.connection.cursor().execute(f"PRAGMA synchronous={level}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def begin_reading(self, connection: sa.Connection) -> None:
        """Take a snapshot at the first statement, and keep it."""
        connection.exec_driver_sql("BEGIN")

    def translate(self, error: Exception, seq: int) -> StoreError:
        """Return what an error means; what is not understood counts as damage.

        `OperationalError` without a code is pysqlite's own (undecodable text).
        """
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        code = getattr(cause, "sqlite_errorcode", None)
        primary = None if code is None else code & 0xFF
        path, said = self._settings.path, str(cause)
        if primary in {_BUSY, _LOCKED}:
            waited = f"{self._settings.busy_timeout_s:g} s"
            return BusyStoreError(f"{path} was locked for {waited}; stop what else writes it")
        if primary == _FULL:
            return DiskFullError(
                f"no space for {path} ({said}); free some: until then nothing is recorded or done"
            )
        if primary in {_READONLY, _CANTOPEN}:
            return StoreError(f"{path} cannot be opened ({said}); check owner and permissions")
        if isinstance(error, sa.exc.TimeoutError):
            return StoreError(f"{path}: too many readers at once ({said})")
        if primary in {_CORRUPT, _NOTADB, None}:
            return CorruptStoreError(seq, f"{path} is damaged: {said}")
        if primary == 1:  # SQLITE_ERROR: a table or column is not there any more
            return CorruptStoreError(seq, f"{path} is not a journal any more: {said}")
        return StoreError(f"{path} failed: {said} (SQLite code {code})")

    def in_doubt(self, error: Exception) -> bool:  # noqa: ARG002 - the port's
        """Never: there is no connection to lose; what SQLite refuses is not in the file."""
        return False

    def lock(self, owner: str) -> str | None:
        """Lock a file beside the journal; the kernel unlocks it when this process ends."""
        return self._lock.take(owner)

    def unlock(self) -> None:
        """Let another process lead."""
        self._lock.give_back()

    def make_room(self) -> bool:
        """Give the reserve back."""
        return self._reserve.release()

    def close(self) -> None:
        """Let another process lead; nothing else is held open here."""
        self._lock.give_back()

    def _make_file(self) -> None:
        settings = self._settings
        if settings.read_only:
            if not settings.path.is_file():
                raise StoreError(f"there is no journal at {settings.path}")
            return
        try:  # made here, so that it and what SQLite puts beside it are private
            os.close(os.open(settings.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise StoreError(
                f"{settings.path} cannot be written ({error.strerror}); "
                "make its folder, and let the controller's user write there"
            ) from error

    def _prepare(self, connection: sa.Connection) -> None:
        checked = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if checked != "ok":
            raise CorruptStoreError(0, f"SQLite says: {checked!r:.200}")
        if self._settings.read_only:
            found = migrate.revision(connection)
            migrate.check_known(found)
            if found is None:
                raise StoreError(f"{self._settings.path} is not a journal")
            return
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        _refuse_strangers(connection, self._settings.path)
        migrate.upgrade(connection)
        connection.commit()


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from any other, None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _refuse_strangers(connection: sa.Connection, path: Path) -> None:
    """Refuse a database that is somebody else's.

    Raises:
        CorruptStoreError: It has tables, and no journal.
    """
    tables = set(sa.inspect(connection).get_table_names())
    if tables and "alembic_version" not in tables:
        raise CorruptStoreError(0, f"{path} has tables {sorted(tables)} but no journal's version")


def _engine(settings: SqliteSettings) -> sa.Engine:
    mode = "ro" if settings.read_only else "rw"
    uri = f"file:{quote(str(settings.path.absolute()))}?mode={mode}"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            uri,
            uri=True,
            timeout=settings.busy_timeout_s,
            isolation_level=None,  # transactions begin where this module says so
            check_same_thread=False,  # the journal's lock and the pool keep users apart
        )
        if settings.read_only:
            connection.execute("PRAGMA query_only=ON")
        return connection

    return sa.create_engine("sqlite://", creator=connect, poolclass=sa.pool.QueuePool)


def build(settings: SqliteSettings) -> SqlJournal:
    """Open the journal and verify it, whole.

    Raises:
        StoreError: It cannot be opened, or its anchor is gone.
        CorruptStoreError: It does not verify.
    """
    return opened(
        SqliteBackend(settings),
        anchor_path=settings.anchor_path,
        compress_above=settings.compress_above,
        read_only=settings.read_only,
        accept_missing_anchor=settings.accept_missing_anchor,
    )


PART = Part(
    kind="store",
    name="sqlite",
    summary="The hash-chained journal in one SQLite file.",
    config=SqliteSettings,
    build=build,
)
