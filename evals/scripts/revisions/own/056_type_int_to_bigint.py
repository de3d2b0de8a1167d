"""The classic, and a rewrite."""

import sqlalchemy as sa
from alembic import op

revision = "056a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column(
        "author", "value", existing_type=sa.Integer(), type_=sa.BigInteger()
    )


def downgrade() -> None:
    op.alter_column(
        "author", "value", existing_type=sa.BigInteger(), type_=sa.Integer()
    )
