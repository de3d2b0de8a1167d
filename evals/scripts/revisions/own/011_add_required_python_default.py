"""A Python default reaches no row of the database."""

import sqlalchemy as sa
from alembic import op

revision = "011a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("author", sa.Column("rank", sa.Integer(), default=0, nullable=False))


def downgrade() -> None:
    op.drop_column("author", "rank")
