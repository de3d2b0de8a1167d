"""Used in the transaction that adds it."""

import sqlalchemy as sa
from alembic import op

revision = "072a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TYPE job_state ADD VALUE IF NOT EXISTS 'failed'")
    op.execute("UPDATE job SET state = 'failed' WHERE state = 'error'")


def downgrade() -> None:
    pass
