"""A table of this revision may be dropped again."""

import sqlalchemy as sa
from alembic import op

revision = "027a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("scratch", sa.Column("id", sa.Integer(), primary_key=True))
    op.execute("INSERT INTO scratch SELECT id FROM author")
    op.drop_table("scratch")


def downgrade() -> None:
    pass
