"""varchar is not cast to an enum by itself."""

import sqlalchemy as sa
from alembic import op

revision = "075a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    state = sa.Enum("new", "done", name="job_state")
    state.create(op.get_bind(), checkfirst=True)
    op.alter_column("job", "state", existing_type=sa.String(10), type_=state)


def downgrade() -> None:
    op.alter_column("job", "state", type_=sa.String(10))
    sa.Enum(name="job_state").drop(op.get_bind(), checkfirst=True)
