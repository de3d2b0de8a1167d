"""Validated in a transaction of its own."""

import sqlalchemy as sa
from alembic import op

revision = "nn2"
down_revision = "nn1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE author VALIDATE CONSTRAINT name_not_null")


def downgrade() -> None:
    pass
