"""Another scale: rewritten."""

import sqlalchemy as sa
from alembic import op

revision = "058a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column(
        "author", "value", existing_type=sa.Numeric(10, 2), type_=sa.Numeric(12, 4)
    )


def downgrade() -> None:
    op.alter_column(
        "author", "value", existing_type=sa.Numeric(12, 4), type_=sa.Numeric(10, 2)
    )
