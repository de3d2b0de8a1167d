"""create_table makes the type; downgrade drops it."""

import sqlalchemy as sa
from alembic import op

revision = "en1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("state", sa.Enum("new", "done", name="job_state")),
    )


def downgrade() -> None:
    op.drop_table("job")
    sa.Enum(name="job_state").drop(op.get_bind(), checkfirst=True)
