"""Rename, create, cast, drop: the column is written anew."""

import sqlalchemy as sa
from alembic import op

revision = "114a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TYPE job_state RENAME TO job_state_old")
    op.execute("CREATE TYPE job_state AS ENUM ('new', 'done')")
    op.execute(
        "ALTER TABLE job ALTER COLUMN state TYPE job_state USING state::text::job_state"
    )
    op.execute("DROP TYPE job_state_old")


def downgrade() -> None:
    raise NotImplementedError
