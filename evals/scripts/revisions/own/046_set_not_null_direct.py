"""Reads every row under the strongest lock."""

import sqlalchemy as sa
from alembic import op

revision = "046a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("author", "name", existing_type=sa.String(80), nullable=False)


def downgrade() -> None:
    op.alter_column("author", "name", existing_type=sa.String(80), nullable=True)
