"""op.execute() returns None."""

import sqlalchemy as sa
from alembic import op

revision = "093a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for row in op.execute("SELECT id FROM author"):
        print(row)


def downgrade() -> None:
    pass
