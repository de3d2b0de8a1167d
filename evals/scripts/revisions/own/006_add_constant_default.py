"""A constant default is kept in the catalogue."""

import sqlalchemy as sa
from alembic import op

revision = "006a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "author",
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
    )


def downgrade() -> None:
    op.drop_column("author", "active")
