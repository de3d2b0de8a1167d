"""link orders to campaigns

Revision ID: c2edcb9a6527
Revises: c152b72a0285
Create Date: 2023-12-11 02:07:24.084427

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = "c2edcb9a6527"
down_revision: Union[str, Sequence[str], None] = "c152b72a0285"
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.add_column(
        "orders",
        sa.Column(
            "campaign_id",
            sa.Integer(),
            sa.ForeignKey("campaigns.id", name="fk_orders_campaign_id"),
            nullable=True,
            index=True,
        ),
    )


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_column("orders", "campaign_id")
