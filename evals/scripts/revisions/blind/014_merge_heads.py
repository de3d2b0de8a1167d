"""merge ledger comments and invoice defaults

Revision ID: 685f8d027fd8
Revises: 48d63339e8e2, 0486658a61cc
Create Date: 2022-09-07 07:12:22.679982

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = "685f8d027fd8"
down_revision: Union[str, Sequence[str], None] = ("48d63339e8e2", "0486658a61cc")
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
