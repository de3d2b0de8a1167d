"""And this one says what it does."""

import sqlalchemy as sa
from alembic import op

revision = "095a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DO $$ BEGIN DELETE FROM author; END $$")


def downgrade() -> None:
    pass
