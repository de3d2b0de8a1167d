"""Nobody knows what next_code() does."""

import sqlalchemy as sa
from alembic import op

revision = "009a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "author", sa.Column("code", sa.String(8), server_default=sa.text("next_code()"))
    )


def downgrade() -> None:
    op.drop_column("author", "code")
