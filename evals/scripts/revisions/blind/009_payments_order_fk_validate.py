"""payments.order_id foreign key, step 2

Revision ID: 0a1f8fb6ba5a
Revises: 5fbdd0134c60
Create Date: 2022-07-03 14:47:22.479347

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = "0a1f8fb6ba5a"
down_revision: Union[str, None] = "5fbdd0134c60"
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    op.execute(
        sa.text("ALTER TABLE payments VALIDATE CONSTRAINT fk_payments_order_id_orders")
    )


def downgrade() -> None:
    pass
