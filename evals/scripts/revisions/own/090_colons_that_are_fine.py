"""Casts, times and assignments are no parameters."""

import sqlalchemy as sa
from alembic import op

revision = "090a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("INSERT INTO setting (name, value) VALUES ('at', '12:30:00'::text)")
    op.execute(
        sa.text("INSERT INTO setting (name, value) VALUES ('a', :v)").bindparams(v="x")
    )


def downgrade() -> None:
    pass
