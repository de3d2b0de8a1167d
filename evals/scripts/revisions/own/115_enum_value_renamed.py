"""The running release still writes the old value."""

import sqlalchemy as sa
from alembic import op

revision = "115a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TYPE job_state RENAME VALUE 'done' TO 'ready'")


def downgrade() -> None:
    op.execute("ALTER TYPE job_state RENAME VALUE 'ready' TO 'done'")
