"""default currency for invoices

Revision ID: 48d63339e8e2
Revises: 2cd281b0c1a6
Create Date: 2022-08-12 00:38:22.599728

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = "48d63339e8e2"
down_revision: Union[str, None] = "2cd281b0c1a6"
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    op.alter_column(
        "invoices",
        "currency",
        existing_type=sa.CHAR(3),
        server_default="EUR",
        existing_nullable=True,
    )


def downgrade() -> None:
    op.alter_column(
        "invoices",
        "currency",
        existing_type=sa.CHAR(3),
        server_default=None,
        existing_nullable=True,
    )
