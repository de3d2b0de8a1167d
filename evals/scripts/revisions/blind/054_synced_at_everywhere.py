"""synced_at on all synchronised tables

Revision ID: b3f1086cb0b1
Revises: 91fa837e3696
Create Date: 2024-02-14 18:32:24.285062

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = "b3f1086cb0b1"
down_revision: Union[str, Sequence[str], None] = "91fa837e3696"
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None

TABLES = ["contacts", "companies", "deals", "notes"]


def synced_at() -> sa.Column:
    return sa.Column(
        "synced_at",
        sa.DateTime(timezone=True),
        server_default=sa.func.now(),
        nullable=False,
    )


def upgrade() -> None:
    """Upgrade schema."""
    for table in TABLES:
        op.add_column(table, synced_at(), schema="crm")


def downgrade() -> None:
    """Downgrade schema."""
    for table in reversed(TABLES):
        op.drop_column(table, "synced_at", schema="crm")
