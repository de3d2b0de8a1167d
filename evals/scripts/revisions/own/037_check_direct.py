"""Every row is read under a lock."""

import sqlalchemy as sa
from alembic import op

revision = "037a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_check_constraint("ck_author_rank", "author", "rank > 0")


def downgrade() -> None:
    op.drop_constraint("ck_author_rank", "author", type_="check")
