"""The trick of ten years ago."""

import sqlalchemy as sa
from alembic import op

revision = "125a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("COMMIT")
    op.execute("CREATE INDEX CONCURRENTLY ix_author_name ON author (name)")


def downgrade() -> None:
    op.execute("DROP INDEX ix_author_name")
