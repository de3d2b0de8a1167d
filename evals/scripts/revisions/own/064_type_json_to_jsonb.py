"""Parsed and written anew."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "064a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column(
        "author", "value", existing_type=sa.JSON(), type_=postgresql.JSONB()
    )


def downgrade() -> None:
    op.alter_column(
        "author", "value", existing_type=postgresql.JSONB(), type_=sa.JSON()
    )
