"""Two heads become one."""

import sqlalchemy as sa
from alembic import op

revision = "112a"
down_revision = ("a", "b")
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
