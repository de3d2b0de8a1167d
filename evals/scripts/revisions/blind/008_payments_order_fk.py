"""payments.order_id foreign key, step 1

Revision ID: 5fbdd0134c60
Revises: 4886091fb0f2
Create Date: 2022-06-20 11:30:22.439220

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = '5fbdd0134c60'
down_revision = '4886091fb0f2'
branch_labels = None
depends_on = None


def upgrade():
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.create_foreign_key(
        "fk_payments_order_id_orders",
        "payments",
        "orders",
        ["order_id"],
        ["id"],
        ondelete="RESTRICT",
        postgresql_not_valid=True,
    )


def downgrade():
    op.drop_constraint("fk_payments_order_id_orders", "payments", type_="foreignkey")
