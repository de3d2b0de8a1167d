"""lower-case usernames

Revision ID: c62d22077311
Revises: fc359375c4d5
Create Date: 2023-07-06 10:43:23.602903

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = "c62d22077311"
down_revision: Union[str, Sequence[str], None] = "fc359375c4d5"
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None

users = sa.table("users", sa.column("id", sa.Integer), sa.column("username", sa.String))


def upgrade() -> None:
    """Upgrade schema."""
    op.execute(users.update().values(username=sa.func.lower(sa.func.trim(users.c.username))))


def downgrade() -> None:
    """Downgrade schema."""
    pass
