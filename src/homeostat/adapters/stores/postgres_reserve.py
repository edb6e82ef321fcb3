"""Space kept aside in PostgreSQL, so that a full disk can still be written down.

A table of random bytes. Dropping it gives its pages back to the file system at once and needs none
itself, which is not so for deleting its rows or for TRUNCATE. Nothing of the journal is in it.
"""

import os

import sqlalchemy as sa

_CHUNK = 64 * 1024  # bytes a row


class TableReserve:
    """A table of a fixed size that is dropped when the disk is full.

    Args:
        size: Bytes; 0 keeps none.
    """

    def __init__(self, size: int) -> None:
        self._size = size

    def keep(self, engine: sa.Engine) -> bool:
        """Fill the table if it is not full; return whether the space is held now."""
        if self._size == 0:
            return False
        try:
            with engine.begin() as connection:
                self._fill(connection)
        except sa.exc.SQLAlchemyError:
            return False  # no room for a reserve: the transaction left nothing behind
        return True

    def release(self, engine: sa.Engine) -> bool:
        """Give the space back; return whether there was any."""
        try:
            with engine.begin() as connection:
                held = connection.scalar(sa.text("SELECT to_regclass('reserve') IS NOT NULL"))
                connection.exec_driver_sql("DROP TABLE IF EXISTS reserve")
        except sa.exc.SQLAlchemyError:
            return False
        return bool(held)

    def _fill(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS reserve (body bytea NOT NULL)")
        # Kept as it is: compressed or moved elsewhere, it would hold another size.
        connection.exec_driver_sql("ALTER TABLE reserve ALTER body SET STORAGE EXTERNAL")
        connection.exec_driver_sql("LOCK TABLE reserve IN SHARE ROW EXCLUSIVE MODE")
        held = connection.scalar(sa.text("SELECT count(*) FROM reserve")) or 0
        missing = -(-self._size // _CHUNK) - held
        if missing > 0:
            rows = [{"body": os.urandom(_CHUNK)} for _ in range(missing)]
            connection.execute(sa.text("INSERT INTO reserve (body) VALUES (:body)"), rows)
