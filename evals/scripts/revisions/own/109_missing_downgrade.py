"""The downgrade that nobody wrote."""

import sqlalchemy as sa
from alembic import op

revision = "109a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("author", sa.Column("bio", sa.Text()))


def downgrade() -> None:
    pass
