"""The values are gone."""

import sqlalchemy as sa
from alembic import op

revision = "019a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("author", "bio")


def downgrade() -> None:
    op.add_column("author", sa.Column("bio", sa.Text()))
