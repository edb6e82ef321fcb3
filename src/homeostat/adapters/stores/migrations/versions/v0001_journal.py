"""The journal: entries, gaps and the head."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SEQ = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the three tables, and the head of an empty journal."""
    op.create_table(
        "entry",
        sa.Column("seq", _SEQ, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("deployment", sa.Text, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("packed", sa.SmallInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
    )
    op.create_table(
        "gap",
        sa.Column("first", _SEQ, primary_key=True, autoincrement=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("note", sa.BigInteger, nullable=False),
    )
    head = op.create_table(
        "head",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
    )
    # SHA-256 of "homeostat journal 1": the digest before the first entry (`chain.GENESIS`).
    genesis = "7fbd80caeac9ac7fd92325adb897f4a0054bbbbec62e75bbec83ed906b4ce8e8"
    op.bulk_insert(head, [{"id": 1, "seq": 0, "digest": genesis, "epoch": 0, "owner": ""}])


def downgrade() -> None:
    """Refuse: a journal is never thrown away by a tool.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError("move the journal file aside instead")
