"""Everything in it goes."""

import sqlalchemy as sa
from alembic import op

revision = "029a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP SCHEMA legacy CASCADE")


def downgrade() -> None:
    raise NotImplementedError("not reversible")
