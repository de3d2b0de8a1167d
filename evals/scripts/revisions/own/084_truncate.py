"""Faster, and as final."""

import sqlalchemy as sa
from alembic import op

revision = "084a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("TRUNCATE author RESTART IDENTITY")


def downgrade() -> None:
    pass
