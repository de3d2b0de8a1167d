"""So is a loop over a constant."""

import sqlalchemy as sa
from alembic import op

revision = "100a"
down_revision = "0000"
branch_labels = None
depends_on = None

TABLES = ["author", "book"]


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("deleted_at", sa.DateTime()))
        op.execute(f"DROP INDEX ix_{table}_old")


def downgrade() -> None:
    for table in TABLES:
        op.drop_column(table, "deleted_at")
