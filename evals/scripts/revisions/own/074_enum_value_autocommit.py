"""Committed before anybody uses it."""

import sqlalchemy as sa
from alembic import op

revision = "074a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("ALTER TYPE job_state ADD VALUE IF NOT EXISTS 'failed'")


def downgrade() -> None:
    pass
