"""One goes, another comes; they have nothing in common."""

import sqlalchemy as sa
from alembic import op

revision = "024a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "invoice",
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("paid", sa.Boolean()),
    )
    op.drop_table("author")


def downgrade() -> None:
    op.create_table(
        "author",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(80)),
    )
    op.drop_table("invoice")
