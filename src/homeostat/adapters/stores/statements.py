"""The statements of the journal, which are the same for every database."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa

from homeostat.adapters.stores.chain import Gap, Head
from homeostat.adapters.stores.schema import ENTRY, GAP, HEAD

_BATCH: Final = 200  # entries a reader holds at once; each batch is its own short transaction
_CHUNK: Final = 2000  # rows dropped in one transaction, so that no writer waits for long
# As stored: a damaged row may hold any type, and SQLAlchemy's own conversion of an integer to
# bytes would allocate that many.
_STORED: Final = tuple(sa.type_coerce(column, sa.types.NullType()) for column in ENTRY.c)
_HEAD: Final = sa.select(HEAD.c.seq, HEAD.c.digest, HEAD.c.epoch, HEAD.c.owner).where(
    HEAD.c.id == 1
)


def head(connection: sa.Connection) -> Head:
    """Return where the chain ends.

    Raises:
        ValueError: The row is damaged.
    """
    seq, digest, epoch, owner = connection.execute(_HEAD).one()
    _check_types("head", (seq, int), (epoch, int), (owner, str))
    return Head(seq=seq, digest=digest, epoch=epoch, owner=owner)


def holds(connection: sa.Connection, wanted: Head) -> bool:
    """Return whether the chain reached a head: each digest vouches for all before it."""
    found = connection.scalar(sa.select(ENTRY.c.digest).where(ENTRY.c.seq == wanted.seq))
    return bool(found == wanted.digest)


def batch(
    connection: sa.Connection, after: int
) -> tuple[Sequence[Sequence[Any]], list[Gap], dict[int, list[Gap]]]:
    """Return the next rows, the gaps up to the last of them, and gaps by the note among them.

    Raises:
        ValueError: A gap's row is damaged.
    """
    rows: Sequence[Any] = connection.execute(
        sa.select(*_STORED).where(ENTRY.c.seq > after).order_by(ENTRY.c.seq).limit(_BATCH)
    ).all()
    if not rows:
        return rows, [], {}
    between = sa.and_(GAP.c.last > after, GAP.c.first <= rows[-1][0])
    notes = GAP.c.note.in_([seq for seq, _, _, kind, *_ in rows if kind == "note"])
    found = connection.execute(sa.select(GAP).where(sa.or_(between, notes)).order_by(GAP.c.first))
    gaps = [_gap(*row) for row in found]
    vouched: dict[int, list[Gap]] = {}
    for gap in gaps:
        vouched.setdefault(gap.note, []).append(gap)
    return rows, gaps, vouched


def covering(gaps: Iterable[Gap], seq: int) -> Gap | None:
    """Return the gap that an entry fell into, None if it did not."""
    return next((gap for gap in gaps if gap.first <= seq <= gap.last), None)


def droppable(
    connection: sa.Connection, before: int, kinds: Sequence[str]
) -> Sequence[tuple[int, str]]:
    """Return (seq, digest) of entries that may go, oldest first, at most a chunk.

    Each deployment keeps its own newest snapshot from before that time and what came after: one
    that is not managed any more may be again, and takes up its numbers and its pauses where it was.
    """
    wanted = sa.select(ENTRY.c.seq, ENTRY.c.digest).where(
        ENTRY.c.kind.in_(kinds), ENTRY.c.at < before
    )
    if set(kinds) - {"frame"}:
        newest = (
            sa
            .select(ENTRY.c.deployment, sa.func.max(ENTRY.c.seq).label("seq"))
            .where(ENTRY.c.kind == "state", ENTRY.c.at <= before)
            .group_by(ENTRY.c.deployment)
            .subquery()
        )
        # A frame is the whole fleet's; snapshots of one moment stand side by side.
        last = sa.select(sa.func.max(newest.c.seq)).scalar_subquery()
        framed = sa.and_(ENTRY.c.kind == "frame", ENTRY.c.seq < last)
        wanted = wanted.outerjoin(newest, newest.c.deployment == ENTRY.c.deployment).where(
            sa.or_(framed, ENTRY.c.seq < newest.c.seq)
        )
    found = connection.execute(wanted.order_by(ENTRY.c.seq).limit(_CHUNK))
    return [(row.seq, row.digest) for row in found]


def runs(rows: Sequence[tuple[int, str]], *, note: int) -> list[Gap]:
    """Return runs of neighbouring entries as gaps."""
    gaps: list[Gap] = []
    for seq, digest in rows:
        first = gaps.pop().first if gaps and gaps[-1].last == seq - 1 else seq
        gaps.append(Gap(first=first, last=seq, digest=digest, note=note))
    return gaps


def drop(connection: sa.Connection, gaps: Sequence[Gap]) -> None:
    """Turn entries into gaps."""
    connection.execute(
        ENTRY.delete().where(ENTRY.c.seq.between(sa.bindparam("low"), sa.bindparam("high"))),
        [{"low": gap.first, "high": gap.last} for gap in gaps],
    )
    connection.execute(
        GAP.insert(),
        [{"first": g.first, "last": g.last, "digest": g.digest, "note": g.note} for g in gaps],
    )


def _gap(first: int, last: int, digest: str, note: int) -> Gap:
    _check_types("gap", (first, int), (last, int), (note, int))
    return Gap(first=first, last=last, digest=digest, note=note)


def _check_types(what: str, *pairs: tuple[object, type]) -> None:
    """Refuse what a damaged column may hold; SQLite keeps any type in any column.

    Raises:
        ValueError: A value has the wrong type.
    """
    for value, expected in pairs:
        if not isinstance(value, expected):
            raise ValueError(f"a {what} row is damaged: {value!r:.100}")  # noqa: TRY004 - one error
