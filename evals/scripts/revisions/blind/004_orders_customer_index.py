"""index orders by customer and date

Revision ID: 801a617a7473
Revises: 4ea3a350aa65
Create Date: 2022-04-28 22:22:22.278712

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = "801a617a7473"
down_revision: Union[str, None] = "4ea3a350aa65"
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_orders_customer_id_placed_at",
            "orders",
            ["customer_id", sa.text("placed_at DESC")],
            unique=False,
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index(
            "ix_orders_customer_id_placed_at",
            table_name="orders",
            postgresql_concurrently=True,
            if_exists=True,
        )
