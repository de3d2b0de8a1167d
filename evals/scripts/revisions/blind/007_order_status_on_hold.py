"""order_status: add on_hold

Revision ID: 4886091fb0f2
Revises: b2ba3e967896
Create Date: 2022-06-07 08:13:22.399093

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = "4886091fb0f2"
down_revision: Union[str, None] = "b2ba3e967896"
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("ALTER TYPE order_status ADD VALUE IF NOT EXISTS 'on_hold' AFTER 'paid'")


def downgrade() -> None:
    # PostgreSQL cannot drop a value from an enum; an unused one does no harm.
    pass
