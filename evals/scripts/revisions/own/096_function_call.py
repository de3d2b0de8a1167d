"""create_hypertable() is somebody else's."""

import sqlalchemy as sa
from alembic import op

revision = "096a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SELECT create_hypertable('author', 'seen')")


def downgrade() -> None:
    pass
