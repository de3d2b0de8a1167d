"""A stored column is written for every row."""

import sqlalchemy as sa
from alembic import op

revision = "016a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "author",
        sa.Column("short", sa.String(), sa.Computed("left(name, 3)", persisted=True)),
    )


def downgrade() -> None:
    op.drop_column("author", "short")
