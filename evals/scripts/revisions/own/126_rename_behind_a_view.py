"""The old name goes on as a view."""

import sqlalchemy as sa
from alembic import op

revision = "126a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.rename_table("author", "writer")
    op.execute("CREATE VIEW author AS SELECT * FROM writer")


def downgrade() -> None:
    op.execute("DROP VIEW author")
    op.rename_table("writer", "author")
