"""The lease's one row: compare-and-set, by the database's own clock.

For liveness only. Whoever led before is kept from writing by the epoch in `head`, which every
append is fenced by; the lease keeps two healthy controllers from taking the journal in turns.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from homeostat.adapters.stores.schema import LEASE


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The lease as it stands.

    Attributes:
        holder: Who leads, empty for nobody.
        epoch: The holder's epoch.
        left_ns: How long it still runs; not positive once it ran out.
    """

    holder: str
    epoch: int
    left_ns: int


def read(connection: sa.Connection, now_ns: str) -> Row:
    """Return the lease, measured by the database's clock.

    Args:
        connection: Inside a transaction.
        now_ns: SQL for the database's time, whole nanoseconds.
    """
    holder, epoch, left = connection.execute(
        sa.select(LEASE.c.holder, LEASE.c.epoch, LEASE.c.until - sa.literal_column(now_ns)).where(
            LEASE.c.id == 1
        )
    ).one()
    return Row(holder=holder, epoch=epoch, left_ns=left)


def hold(connection: sa.Connection, holder: str, epoch: int, *, lease_ns: int, now_ns: str) -> None:
    """Write the lease; the caller holds the lock on `head`, so that nobody else is in between."""
    connection.execute(
        LEASE
        .update()
        .where(LEASE.c.id == 1)
        .values(holder=holder, epoch=epoch, until=_after(lease_ns, now_ns))
    )


def extend(
    connection: sa.Connection, holder: str, epoch: int, *, lease_ns: int, now_ns: str
) -> bool:
    """Run the lease on from now if it is still this holder's; return whether it is."""
    done = connection.execute(
        LEASE
        .update()
        .where(LEASE.c.id == 1, LEASE.c.holder == holder, LEASE.c.epoch == epoch)
        .values(until=_after(lease_ns, now_ns))
    )
    return done.rowcount == 1


def give_up(connection: sa.Connection, holder: str, epoch: int) -> None:
    """Clear the lease if it is still this holder's."""
    connection.execute(
        LEASE
        .update()
        .where(LEASE.c.id == 1, LEASE.c.holder == holder, LEASE.c.epoch == epoch)
        .values(holder="", until=0)
    )


def _after(lease_ns: int, now_ns: str) -> sa.ColumnElement[int]:
    return sa.literal_column(now_ns, sa.BigInteger) + lease_ns
