"""A virtual column is computed when it is read."""

import sqlalchemy as sa
from alembic import op

revision = "015a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "author",
        sa.Column("short", sa.String(), sa.Computed("left(name, 3)", persisted=False)),
    )


def downgrade() -> None:
    op.drop_column("author", "short")
