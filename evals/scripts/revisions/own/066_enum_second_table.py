"""CREATE TYPE is sent again."""

import sqlalchemy as sa
from alembic import op

revision = "066a"
down_revision = "en1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job_log",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("state", sa.Enum("new", "done", name="job_state")),
    )


def downgrade() -> None:
    op.drop_table("job_log")
