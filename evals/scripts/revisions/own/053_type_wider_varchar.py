"""The old bytes are valid as they are."""

import sqlalchemy as sa
from alembic import op

revision = "053a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column(
        "author", "value", existing_type=sa.String(50), type_=sa.String(100)
    )


def downgrade() -> None:
    op.alter_column(
        "author", "value", existing_type=sa.String(100), type_=sa.String(50)
    )
