"""order line quantities are positive

Revision ID: 714c7adc4410
Revises: c6d648bbda00
Create Date: 2023-11-14 19:33:24.004173

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = "714c7adc4410"
down_revision: Union[str, Sequence[str], None] = "c6d648bbda00"
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.create_check_constraint(
        "ck_order_lines_quantity",
        "order_lines",
        "quantity > 0",
        postgresql_not_valid=True,
    )
    op.execute("ALTER TABLE order_lines VALIDATE CONSTRAINT ck_order_lines_quantity")


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_constraint("ck_order_lines_quantity", "order_lines", type_="check")
