"""Dropped and made again in the same transaction."""

import sqlalchemy as sa
from alembic import op

revision = "117a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP VIEW IF EXISTS author_name")
    op.execute("CREATE VIEW author_name AS SELECT id, name FROM author")


def downgrade() -> None:
    op.execute("DROP VIEW author_name")
