"""Autogenerate saw no difference."""

import sqlalchemy as sa
from alembic import op

revision = "108a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
