"""The CHECK exists, but nobody validated it."""

import sqlalchemy as sa
from alembic import op

revision = "050a"
down_revision = "nn1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("author", "name", existing_type=sa.String(80), nullable=False)


def downgrade() -> None:
    op.alter_column("author", "name", existing_type=sa.String(80), nullable=True)
