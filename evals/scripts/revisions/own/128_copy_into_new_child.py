"""The new foreign key locks the parent while rows are copied."""

import sqlalchemy as sa
from alembic import op

revision = "128a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "profile",
        sa.Column(
            "author_id", sa.Integer(), sa.ForeignKey("author.id"), primary_key=True
        ),
    )
    op.execute("INSERT INTO profile SELECT id FROM author")


def downgrade() -> None:
    op.drop_table("profile")
