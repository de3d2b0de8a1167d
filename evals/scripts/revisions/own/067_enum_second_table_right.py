"""The type exists: create_type=False."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "067a"
down_revision = "en1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job_log",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column(
            "state", postgresql.ENUM("new", "done", name="job_state", create_type=False)
        ),
    )


def downgrade() -> None:
    op.drop_table("job_log")
