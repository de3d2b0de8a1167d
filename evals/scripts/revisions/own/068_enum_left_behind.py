"""drop_table does not drop the type."""

import sqlalchemy as sa
from alembic import op

revision = "068a"
down_revision = "0000"
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
