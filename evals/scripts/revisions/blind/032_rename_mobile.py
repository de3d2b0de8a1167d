"""users.mobile is really a phone number

Revision ID: 7df9c1ac88fa
Revises: 7080b6deb2db
Create Date: 2023-05-01 18:18:23.402268

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = "7df9c1ac88fa"
down_revision: Union[str, Sequence[str], None] = "7080b6deb2db"
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    """Upgrade schema."""
    op.alter_column(
        "users",
        "mobile",
        new_column_name="phone_number",
        existing_type=sa.String(32),
        existing_nullable=True,
    )


def downgrade() -> None:
    """Downgrade schema."""
    op.alter_column(
        "users",
        "phone_number",
        new_column_name="mobile",
        existing_type=sa.String(32),
        existing_nullable=True,
    )
