"""Checked for new rows only."""

import sqlalchemy as sa
from alembic import op

revision = "042a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_foreign_key(
        "fk_book_author",
        "book",
        "author",
        ["author_id"],
        ["id"],
        postgresql_not_valid=True,
    )


def downgrade() -> None:
    op.drop_constraint("fk_book_author", "book", type_="foreignkey")
