"""The journal in PostgreSQL: for more than one controller, or a machine that may be lost.

The same tables, chain, anchor and fencing as in SQLite, in a schema of their own. Writers are put
in order by the lock on the one row of `head`; durable appends wait for `synchronous_commit`, others
do not. Passwords come from a file or from libpq's own places (PGPASSFILE, PGPASSWORD), never from
the URL, and are never printed.
"""

from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, field_validator

from homeostat.adapters.stores import migrate, postgres_errors
from homeostat.adapters.stores.journal import SqlJournal
from homeostat.adapters.stores.opening import opened
from homeostat.adapters.stores.postgres_reserve import TableReserve
from homeostat.base.errors import CorruptStoreError, StoreError
from homeostat.base.part import Part

_RESERVE: Final = 4 * 1024 * 1024  # as in SQLite
_CONNECT_S: Final = 3  # a database that does not answer holds up the whole loop for this long
_STATEMENT_MS: Final = 60_000
# A writer that is stopped in the middle of a transaction would keep the next leader out.
_IDLE_MS: Final = 5_000
_NOW_NS: Final = "(extract(epoch from clock_timestamp()) * 1000000000)::bigint"
_ISOLATED: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
_LOCK: Final = "SELECT 1 FROM head WHERE id = 1 FOR UPDATE"
_ONE_MIGRATES: Final = "SELECT pg_advisory_xact_lock(hashtext('homeostat journal'))"
_NAME: Final = r"[a-z_][a-z0-9_]{0,62}"


class PostgresSettings(BaseModel):
    """Settings of a journal in PostgreSQL."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(
        max_length=2000,
        description="postgresql://USER@HOST:PORT/DATABASE?sslmode=...; no password.",
    )
    password_file: Path | None = Field(
        default=None, description="Holds the password; default: libpq's own places."
    )
    schema_name: str = Field(
        default="homeostat", pattern=f"^{_NAME}$", description="Made if it is not there."
    )
    anchor: Path | None = Field(
        default=None, description="File on this machine that anchors the chain; needed to write."
    )
    read_only: bool = Field(default=False, description="Only read; the writer may be running.")
    busy_timeout_s: float = Field(
        default=2.0, gt=0, le=60, description="How long to wait for another writer, in seconds."
    )
    compress_above: int = Field(
        default=512, ge=0, description="Bodies larger than this are compressed, in bytes."
    )
    reserve_bytes: int = Field(
        default=_RESERVE, ge=0, description="Space kept in the database for the last words."
    )
    accept_missing_anchor: bool = Field(
        default=False, description="Open a journal whose anchor is gone, and start a new one."
    )

    @field_validator("url")
    @classmethod
    def _without_a_secret(cls, url: str) -> str:
        try:
            parsed = sa.make_url(url)
        except sa.exc.ArgumentError:
            parsed = None
        if parsed is None or parsed.get_backend_name() != "postgresql":
            raise ValueError("must be postgresql://USER@HOST:PORT/DATABASE")
        if parsed.password is not None or "password" in parsed.query:
            raise ValueError("must not hold a password: put it in a file (passwordFile)")
        return url


class PostgresBackend:
    """See `homeostat.adapters.stores.backend.Backend`."""

    now_ns: str | None = _NOW_NS
    forgets = True  # a crash of the server takes what was committed without waiting

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings
        self._url = sa.make_url(settings.url).set(drivername="postgresql+psycopg")
        self._engine: sa.Engine | None = None
        self._reserve = TableReserve(settings.reserve_bytes)

    @property
    def where(self) -> str:
        """Database, host and schema."""
        url = self._url
        host = url.host or unquote(str(url.query.get("host", "")))
        port = f":{url.port}" if url.port else ""
        return f"postgresql://{host}{port}/{url.database or ''} ({self._settings.schema_name})"

    def is_bare(self) -> bool:
        """Return whether the schema holds no journal.

        Raises:
            StoreError: The database cannot be reached.
        """
        engine = self._made()
        try:
            with engine.connect() as connection:
                return not self._tables(connection)
        except (sa.exc.SQLAlchemyError, ValueError) as error:
            raise self.translate(error, 0) from error
        finally:
            engine.dispose()

    def open(self) -> sa.Engine:
        """Connect, and make or upgrade the tables.

        Raises:
            StoreError: It cannot be used as it is.
        """
        engine = self._made()
        try:
            with engine.begin() as connection:
                if self._settings.read_only:
                    self._check_shape(connection)
                else:
                    self._prepare(connection)
        except StoreError:
            engine.dispose()
            raise
        except (sa.exc.SQLAlchemyError, ValueError, TypeError, OverflowError) as error:
            engine.dispose()
            raise self.translate(error, 0) from error
        self._engine = engine
        if not self._settings.read_only:
            self._reserve.keep(engine)
        return engine

    def begin(self, connection: sa.Connection, *, durable: bool) -> None:
        """Lock the head's row: whoever writes next waits, and then sees what was written."""
        level = "on" if durable else "off"
        connection.exec_driver_sql(f"SET LOCAL synchronous_commit = {level}")
        connection.exec_driver_sql(_LOCK)

    def begin_reading(self, connection: sa.Connection) -> None:
        """Take a snapshot for all that is read in this transaction."""
        connection.exec_driver_sql(_ISOLATED)

    def translate(self, error: Exception, seq: int) -> StoreError:
        """Return what an error means."""
        return postgres_errors.translate(error, seq, self.where, self._settings.busy_timeout_s)

    def in_doubt(self, error: Exception) -> bool:
        """Return whether the server went away instead of answering."""
        return postgres_errors.went_away(error)

    def lock(self, owner: str) -> str | None:  # noqa: ARG002 - the port's
        """Nothing to lock here: the lease's row says who leads."""
        return None

    def unlock(self) -> None:
        """Nothing was locked here."""

    def make_room(self) -> bool:
        """Give the reserve back."""
        return self._engine is not None and self._reserve.release(self._engine)

    def close(self) -> None:
        """Nothing is held open besides the engine."""

    def _made(self) -> sa.Engine:
        """Return an engine that has not connected yet.

        Raises:
            StoreError: psycopg is not installed, or the password's file cannot be read.
        """
        settings = self._settings
        url = self._url
        if settings.password_file is not None:
            try:
                url = url.set(password=settings.password_file.read_text("utf-8").strip())
            except (OSError, UnicodeDecodeError) as error:
                raise StoreError(f"the password file {settings.password_file}: {error}") from error
        try:
            return sa.create_engine(
                url,
                connect_args=self._options(),
                hide_parameters=True,
                pool_pre_ping=True,
                pool_timeout=settings.busy_timeout_s,
            )
        except ModuleNotFoundError as error:
            raise StoreError(
                "a journal in PostgreSQL needs psycopg: `pip install 'homeostat[postgres]'`"
            ) from error

    def _options(self) -> dict[str, Any]:
        settings = self._settings
        session = {
            "search_path": settings.schema_name,
            "lock_timeout": round(settings.busy_timeout_s * 1000),
            "idle_in_transaction_session_timeout": _IDLE_MS,
            "statement_timeout": _STATEMENT_MS,
            "default_transaction_read_only": "on" if settings.read_only else "off",
            "timezone": "UTC",
        }
        return {
            "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
            "application_name": "homeostat",
            "connect_timeout": _CONNECT_S,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
        }

    def _tables(self, connection: sa.Connection) -> set[str]:
        return set(sa.inspect(connection).get_table_names(schema=self._settings.schema_name))

    def _check_shape(self, connection: sa.Connection) -> None:
        """Refuse what is no journal of this version.

        Raises:
            StoreError: It is none, or a newer one.
        """
        found = migrate.revision(connection)
        migrate.check_known(found)
        if found is None:
            raise StoreError(f"there is no journal at {self.where}")

    def _prepare(self, connection: sa.Connection) -> None:
        """Make or upgrade the tables, one process at a time.

        Raises:
            StoreError: The server does not keep what it is asked to keep, or is a replica.
            CorruptStoreError: The schema is somebody else's.
        """
        self._refuse_forgetful(connection)
        connection.exec_driver_sql(_ONE_MIGRATES)
        connection.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS "{self._settings.schema_name}"')
        tables = self._tables(connection)
        if tables and "alembic_version" not in tables:
            raise CorruptStoreError(
                0, f"{self.where} has tables {sorted(tables)} but no journal's version"
            )
        migrate.upgrade(connection)

    def _refuse_forgetful(self, connection: sa.Connection) -> None:
        """Refuse a server that breaks the promise of durable appends before anything is written.

        Raises:
            StoreError: It is a read-only replica, runs without fsync, or is not in UTF-8.
        """

        def said(name: str) -> str:
            return str(connection.exec_driver_sql(f"SHOW {name}").scalar_one())

        if (
            said("transaction_read_only") == "on"
            or connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar_one()
        ):
            raise StoreError(f"{self.where} only reads (a replica?); name the primary server")
        if said("fsync") != "on" or said("full_page_writes") != "on":
            raise StoreError(
                f"{self.where} runs with fsync or full_page_writes off, so that a power cut may "
                "lose what it confirmed; switch them on"
            )
        if said("server_encoding") != "UTF8":
            raise StoreError(f"{self.where} is not in UTF8; make a database that is")


def build(settings: PostgresSettings) -> SqlJournal:
    """Open the journal and verify it, whole.

    Raises:
        StoreError: It cannot be opened, or its anchor is gone.
        CorruptStoreError: It does not verify.
    """
    if settings.anchor is None and not settings.read_only:
        raise StoreError("a journal in PostgreSQL needs a file on this machine for its anchor")
    return opened(
        PostgresBackend(settings),
        anchor_path=settings.anchor,
        compress_above=settings.compress_above,
        read_only=settings.read_only,
        accept_missing_anchor=settings.accept_missing_anchor,
    )


PART = Part(
    kind="store",
    name="postgres",
    summary="The hash-chained journal in PostgreSQL, for several controllers.",
    config=PostgresSettings,
    build=build,
)
