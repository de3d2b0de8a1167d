"""In the next revision."""

import sqlalchemy as sa
from alembic import op

revision = "039a"
down_revision = "ck1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE author VALIDATE CONSTRAINT ck_author_rank")


def downgrade() -> None:
    pass
