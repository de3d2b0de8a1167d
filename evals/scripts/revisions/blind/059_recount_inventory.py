"""recount inventory levels

Revision ID: e39640f5c018
Revises: cb815391c46f
Create Date: 2024-04-20 10:57:24.485697

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa
from shop.inventory.maintenance import rebuild_levels


# revision identifiers, used by Alembic.
revision: str = "e39640f5c018"
down_revision: Union[str, Sequence[str], None] = "cb815391c46f"
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.add_column("inventory_levels", sa.Column("counted_at", sa.DateTime(timezone=True), nullable=True))
    rebuild_levels(op.get_bind(), chunk=500)


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_column("inventory_levels", "counted_at")
