"""The running release inserts without the column."""

import sqlalchemy as sa
from alembic import op

revision = "012a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "author", sa.Column("rank", sa.Integer(), server_default="0", nullable=False)
    )
    op.alter_column("author", "rank", server_default=None)


def downgrade() -> None:
    op.drop_column("author", "rank")
