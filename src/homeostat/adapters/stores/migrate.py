"""Brings the tables to the shape that this version writes."""

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

_KNOWN: Final = frozenset({"0001", "0002"})


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
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, REVISION)


def check_known(found: str | None) -> None:
    """Refuse a shape from the future.

    Raises:
        StoreError: This version does not know it.
    """
    if found is not None and found not in _KNOWN:
        raise StoreError(
            f"the journal has shape {found!r}, this version knows {', '.join(sorted(_KNOWN))}; "
            "run the version that wrote it, or a newer one"
        )
