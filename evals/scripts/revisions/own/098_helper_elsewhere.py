"""Another module gets hold of op."""

import sqlalchemy as sa
from alembic import op
from app.migrations import add_audit_columns

revision = "098a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_audit_columns(op, "author")


def downgrade() -> None:
    pass
