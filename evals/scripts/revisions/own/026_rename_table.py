"""The running release asks for the old name."""

import sqlalchemy as sa
from alembic import op

revision = "026a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.rename_table("author", "writer")


def downgrade() -> None:
    op.rename_table("writer", "author")
