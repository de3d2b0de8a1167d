"""It queues behind every reader, and all queue behind it."""

import sqlalchemy as sa
from alembic import op

revision = "036a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_author_name", table_name="author")


def downgrade() -> None:
    op.create_index("ix_author_name", "author", ["name"])
