"""move to pricing v2

Revision ID: d3249867ec21
Revises: caf675248174
Create Date: 2023-08-01 17:17:23.683157

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = "d3249867ec21"
down_revision: Union[str, Sequence[str], None] = "caf675248174"
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.execute("SELECT billing.migrate_pricing_to_v2()")
    op.execute("CALL billing.finish_pricing_v2(true)")


def downgrade() -> None:
    """Downgrade schema."""
    op.execute("SELECT billing.migrate_pricing_to_v1()")
