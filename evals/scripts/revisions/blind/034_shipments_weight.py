"""weights on shipments

Revision ID: 6e3a298f9ce8
Revises: 7a482f3380af
Create Date: 2023-05-28 00:52:23.482522

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = "6e3a298f9ce8"
down_revision: Union[str, Sequence[str], None] = "7a482f3380af"
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.add_column("shipments", sa.Column("weight_grams", sa.Integer(), default=0, nullable=False))
    op.add_column("shipments", sa.Column("fragile", sa.Boolean(), default=False, nullable=False))


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_column("shipments", "fragile")
    op.drop_column("shipments", "weight_grams")
