"""The strong lock is held through the scan."""

import sqlalchemy as sa
from alembic import op

revision = "040a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_check_constraint(
        "ck_author_rank", "author", "rank > 0", postgresql_not_valid=True
    )
    op.execute("ALTER TABLE author VALIDATE CONSTRAINT ck_author_rank")


def downgrade() -> None:
    op.drop_constraint("ck_author_rank", "author", type_="check")
