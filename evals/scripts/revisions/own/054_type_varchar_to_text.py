"""Text takes every string."""

import sqlalchemy as sa
from alembic import op

revision = "054a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column(
        "author", "value", existing_type=sa.String(length=50), type_=sa.Text()
    )


def downgrade() -> None:
    op.alter_column(
        "author", "value", existing_type=sa.Text(), type_=sa.String(length=50)
    )
