"""The running release may read it."""

import sqlalchemy as sa
from alembic import op

revision = "118a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP VIEW author_name")


def downgrade() -> None:
    op.execute("CREATE VIEW author_name AS SELECT id, name FROM author")
