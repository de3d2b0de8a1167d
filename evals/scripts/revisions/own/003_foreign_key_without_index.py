"""PostgreSQL does not index a foreign key by itself."""

import sqlalchemy as sa
from alembic import op

revision = "003a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "review",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("author_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["author_id"], ["author.id"], name="fk_review_author_id"
        ),
    )


def downgrade() -> None:
    op.drop_table("review")
