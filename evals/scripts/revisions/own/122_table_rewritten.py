"""Set unlogged, the table is written anew."""

import sqlalchemy as sa
from alembic import op

revision = "122a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE author SET UNLOGGED")


def downgrade() -> None:
    op.execute("ALTER TABLE author SET LOGGED")
