"""Brings the tables to the shape that this version writes, and back to an older one's."""

from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.util.exc import CommandError

from homeostat.base.errors import CorruptStoreError, StoreError

REVISION: Final = "0002"
"""The shape that this version reads and writes."""

_KNOWN: Final = ("0001", "0002")  # the oldest first


def revision(connection: sa.Connection) -> str | None:
    """Return the shape the tables have, None if there are none.

    Raises:
        CorruptStoreError: The table that says it is damaged.
    """
    try:
        return MigrationContext.configure(connection).get_current_revision()
    except CommandError as error:
        raise CorruptStoreError(0, f"the journal's version cannot be read: {error}") from error


def upgrade(connection: sa.Connection) -> None:
    """Upgrade inside the caller's transaction; does nothing when there is nothing to do.

    Raises:
        StoreError: The tables were made by a newer version.
    """
    found = revision(connection)
    if found == REVISION:
        return
    check_known(found)
    command.upgrade(_config(connection), REVISION)


def downgrade(connection: sa.Connection, to: str) -> None:
    """Bring the tables back to an older shape, inside the caller's transaction.

    Entries stay as they are; what only the newer shape has is dropped.

    Args:
        connection: Inside a transaction, with other writers kept out.
        to: The shape wanted.

    Raises:
        StoreError: It is no older shape, or the tables were made by a newer version.
    """
    found = revision(connection)
    check_known(found)
    check_older(to)
    if found is None or to >= found:
        raise StoreError(f"the journal has shape {found!r}, which is not newer than {to!r}")
    command.downgrade(_config(connection), to)


def check_older(shape: str) -> None:
    """Refuse what is no shape to go back to.

    Raises:
        StoreError: It is not known, or the newest.
    """
    if shape not in _KNOWN[:-1]:
        raise StoreError(
            f"{shape[:40]!r} is no older shape of a journal; there is {', '.join(_KNOWN[:-1])}, "
            f"and this version writes {REVISION}"
        )


def _config(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def check_known(found: str | None) -> None:
    """Refuse a shape from the future.

    Raises:
        StoreError: This version does not know it.
    """
    if found is not None and found not in _KNOWN:
        raise StoreError(
            f"the journal has shape {found!r}, this version knows {', '.join(_KNOWN)}; "
            "run the version that wrote it, or a newer one, or let that one bring it back "
            "(`homeostat audit downgrade`)"
        )
