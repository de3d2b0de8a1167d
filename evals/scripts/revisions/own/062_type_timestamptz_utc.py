"""In UTC the bytes stay."""

import sqlalchemy as sa
from alembic import op

revision = "062a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL timezone = 'UTC'")
    op.alter_column(
        "author", "value", existing_type=sa.DateTime(), type_=sa.DateTime(timezone=True)
    )


def downgrade() -> None:
    op.alter_column(
        "author", "value", existing_type=sa.DateTime(timezone=True), type_=sa.DateTime()
    )
