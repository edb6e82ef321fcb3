"""The journal's tables, for SQLAlchemy Core; `migrations` makes them, nothing else does."""

from typing import Final

import sqlalchemy as sa

METADATA: Final = sa.MetaData()
# SQLite keeps a table in key order only when the key is spelt INTEGER PRIMARY KEY.
SEQ: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_DIGEST: Final = sa.String(64)

ENTRY: Final = sa.Table(
    "entry",
    METADATA,
    sa.Column("seq", SEQ, primary_key=True, autoincrement=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("deployment", sa.Text, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("packed", sa.SmallInteger, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("digest", _DIGEST, nullable=False),
)
GAP: Final = sa.Table(
    "gap",
    METADATA,
    sa.Column("first", SEQ, primary_key=True, autoincrement=False),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.Column("digest", _DIGEST, nullable=False),
    sa.Column("note", sa.BigInteger, nullable=False),
)
HEAD: Final = sa.Table(
    "head",
    METADATA,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("digest", _DIGEST, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
)
LEASE: Final = sa.Table(
    "lease",
    METADATA,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),
)
