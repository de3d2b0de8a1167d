"""Not used in its transaction: fine."""

import sqlalchemy as sa
from alembic import op

revision = "071a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TYPE job_state ADD VALUE IF NOT EXISTS 'failed'")


def downgrade() -> None:
    pass
