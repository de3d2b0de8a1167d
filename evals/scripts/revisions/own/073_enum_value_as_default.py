"""A server default is a use as well."""

import sqlalchemy as sa
from alembic import op

revision = "073a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TYPE job_state ADD VALUE 'failed'")
    op.alter_column("job", "state", server_default="failed")


def downgrade() -> None:
    op.alter_column("job", "state", server_default=None)
