"""A new table may have anything: nobody waits for it."""

import sqlalchemy as sa
from alembic import op

revision = "002a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("shop", sa.Column("id", sa.Integer(), primary_key=True))
    op.create_table(
        "sale",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("shop_id", sa.Integer(), sa.ForeignKey("shop.id"), nullable=False),
    )
    op.create_index(op.f("ix_sale_shop_id"), "sale", ["shop_id"])
    op.create_check_constraint("positive", "sale", "id > 0")
    op.add_column("sale", sa.Column("total", sa.Numeric(10, 2), nullable=False))
    op.alter_column("sale", "total", nullable=False, existing_type=sa.Numeric(10, 2))


def downgrade() -> None:
    op.drop_table("sale")
    op.drop_table("shop")
