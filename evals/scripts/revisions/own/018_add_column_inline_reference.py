"""Inline, nullable, no default: no row is looked at."""

import sqlalchemy as sa
from alembic import op

revision = "018a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "book",
        sa.Column(
            "shop_id", sa.Integer(), sa.ForeignKey("shop.id", name="fk_book_shop")
        ),
        inline_references=True,
    )


def downgrade() -> None:
    op.drop_column("book", "shop_id")
