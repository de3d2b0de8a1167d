"""New rows only."""

import sqlalchemy as sa
from alembic import op

revision = "ck1"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_check_constraint(
        "ck_author_rank", "author", "rank > 0", postgresql_not_valid=True
    )


def downgrade() -> None:
    op.drop_constraint("ck_author_rank", "author", type_="check")
