"""A block of PL/pgSQL may do anything."""

import sqlalchemy as sa
from alembic import op

revision = "094a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DO $$ BEGIN PERFORM rebuild_everything(); END $$")


def downgrade() -> None:
    pass
