"""Code that sets no tenant sees no row."""

import sqlalchemy as sa
from alembic import op

revision = "127a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE author ENABLE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.execute("ALTER TABLE author DISABLE ROW LEVEL SECURITY")
