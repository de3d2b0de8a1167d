"""Adding a column copies nothing."""

import sqlalchemy as sa
from alembic import op

revision = "104a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("author") as batch_op:
        batch_op.add_column(sa.Column("bio", sa.Text()))


def downgrade() -> None:
    with op.batch_alter_table("author") as batch_op:
        batch_op.drop_column("bio")
