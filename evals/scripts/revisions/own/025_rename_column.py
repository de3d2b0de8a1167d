"""The running release asks for the old name."""

import sqlalchemy as sa
from alembic import op

revision = "025a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("author", "name", new_column_name="full_name")


def downgrade() -> None:
    op.alter_column("author", "full_name", new_column_name="name")
