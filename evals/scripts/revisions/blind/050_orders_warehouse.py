"""link orders to warehouses

Revision ID: ff178bd620b8
Revises: c2edcb9a6527
Create Date: 2023-12-24 05:24:24.124554

"""

import sqlalchemy as sa
from alembic import op

revision = "ff178bd620b8"
down_revision = "c2edcb9a6527"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("SET LOCAL lock_timeout = '2s'")
    op.execute("ALTER TABLE orders ADD COLUMN warehouse_id bigint REFERENCES warehouses (id)")
    with op.get_context().autocommit_block():
        op.execute("CREATE INDEX CONCURRENTLY ix_orders_warehouse_id ON orders (warehouse_id)")


def downgrade():
    op.execute("ALTER TABLE orders DROP COLUMN warehouse_id")
