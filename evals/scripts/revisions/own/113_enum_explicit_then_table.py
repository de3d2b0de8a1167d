"""create() first, and create_table() sends CREATE TYPE again."""

import sqlalchemy as sa
from alembic import op

revision = "113a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    state = sa.Enum("new", "done", name="task_state")
    state.create(op.get_bind(), checkfirst=True)
    op.create_table(
        "task",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("state", state),
    )


def downgrade() -> None:
    op.drop_table("task")
    sa.Enum(name="task_state").drop(op.get_bind(), checkfirst=True)
