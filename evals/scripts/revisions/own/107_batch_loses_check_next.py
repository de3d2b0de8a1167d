"""And this is where it happens."""

import sqlalchemy as sa
from alembic import op

revision = "107a"
down_revision = "ba1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("price") as batch_op:
        batch_op.alter_column(
            "n", existing_type=sa.Integer(), nullable=True, server_default="1"
        )


def downgrade() -> None:
    pass
