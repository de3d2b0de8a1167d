"""Irreversible, and it says so."""

import sqlalchemy as sa
from alembic import op

revision = "120a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("author", sa.Column("bio", sa.Text()))


def downgrade() -> None:
    raise RuntimeError("restore a backup")
