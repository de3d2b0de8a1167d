"""order activity tables on disk

Revision ID: 489165c01789
Revises: d11b7993a66a
Create Date: 2023-09-10 03:08:23.803538

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = "489165c01789"
down_revision: Union[str, Sequence[str], None] = "d11b7993a66a"
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None

SCHEMA = "audit"
TARGETS = [
    ("user_activity", "ix_user_activity_user_id"),
    ("team_activity", "ix_team_activity_team_id"),
]


def upgrade() -> None:
    """Upgrade schema."""
    for table, index in TARGETS:
        op.execute(f"CLUSTER {SCHEMA}.{table} USING {index}")
        op.execute(f"ANALYZE {SCHEMA}.{table}")


def downgrade() -> None:
    """Downgrade schema."""
    pass
