"""Not even a function."""

import sqlalchemy as sa
from alembic import op

revision = "110a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("author", sa.Column("bio", sa.Text()))
