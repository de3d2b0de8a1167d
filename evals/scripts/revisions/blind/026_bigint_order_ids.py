"""order ids to bigint

We are at 1.6 billion of 2.1.

Revision ID: 81b01b5301e0
Revises: 56828eca955f
Create Date: 2023-02-11 22:36:23.161506

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = '81b01b5301e0'
down_revision = '56828eca955f'
branch_labels = None
depends_on = None


def upgrade():
    op.alter_column(
        "orders",
        "id",
        existing_type=sa.INTEGER(),
        type_=sa.BigInteger(),
        existing_nullable=False,
        autoincrement=True,
    )
    op.alter_column(
        "order_lines",
        "order_id",
        existing_type=sa.INTEGER(),
        type_=sa.BigInteger(),
        existing_nullable=False,
    )
    op.execute("ALTER SEQUENCE orders_id_seq AS bigint")


def downgrade():
    raise NotImplementedError
