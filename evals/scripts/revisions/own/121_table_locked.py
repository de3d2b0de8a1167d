"""Everybody waits until the migration commits."""

import sqlalchemy as sa
from alembic import op

revision = "121a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("LOCK TABLE author IN ACCESS EXCLUSIVE MODE")
    op.execute("REINDEX TABLE author")


def downgrade() -> None:
    pass
