"""Only where nothing is copied."""

import sqlalchemy as sa
from alembic import op

revision = "105a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        with op.batch_alter_table("author") as batch_op:
            batch_op.alter_column(
                "name", existing_type=sa.String(50), type_=sa.String(80)
            )


def downgrade() -> None:
    pass
