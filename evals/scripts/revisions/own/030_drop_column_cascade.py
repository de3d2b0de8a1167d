"""CASCADE takes views and foreign keys along."""

import sqlalchemy as sa
from alembic import op

revision = "030a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE author DROP COLUMN bio CASCADE")


def downgrade() -> None:
    op.execute("ALTER TABLE author ADD COLUMN bio text")
