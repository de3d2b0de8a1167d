"""A nullable column is a change of the catalogue."""

import sqlalchemy as sa
from alembic import op

revision = "005a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("author", sa.Column("bio", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("author", "bio")
