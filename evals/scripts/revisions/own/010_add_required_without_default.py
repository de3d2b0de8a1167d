"""Rows that exist have no value for it."""

import sqlalchemy as sa
from alembic import op

revision = "010a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("author", sa.Column("email", sa.String(200), nullable=False))


def downgrade() -> None:
    op.drop_column("author", "email")
