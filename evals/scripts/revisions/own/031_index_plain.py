"""Writers wait for the whole build."""

import sqlalchemy as sa
from alembic import op

revision = "031a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_author_name", "author", ["name"])


def downgrade() -> None:
    op.drop_index("ix_author_name", "author")
