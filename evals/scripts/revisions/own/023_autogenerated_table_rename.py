"""What autogenerate makes of a renamed model."""

import sqlalchemy as sa
from alembic import op

revision = "023a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "writer",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(80)),
    )
    op.drop_table("author")


def downgrade() -> None:
    op.create_table(
        "author",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(80)),
    )
    op.drop_table("writer")
