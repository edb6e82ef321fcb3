"""The lease: who leads, and until when by the database's own clock."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table with its one row: nobody leads."""
    lease = op.create_table(
        "lease",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(lease, [{"id": 1, "holder": "", "epoch": 0, "until": 0}])


def downgrade() -> None:
    """Drop the lease: nobody may lead meanwhile, which is `SqlJournal.downgrade`'s to see to."""
    op.drop_table("lease")
