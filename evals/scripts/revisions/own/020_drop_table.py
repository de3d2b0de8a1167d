"""The rows are gone."""

import sqlalchemy as sa
from alembic import op

revision = "020a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table("author")


def downgrade() -> None:
    op.create_table("author", sa.Column("id", sa.Integer(), primary_key=True))
