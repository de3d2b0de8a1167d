"""On SQLite the table is copied."""

import sqlalchemy as sa
from alembic import op

revision = "103a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("author") as batch_op:
        batch_op.alter_column("name", existing_type=sa.String(50), type_=sa.String(80))


def downgrade() -> None:
    with op.batch_alter_table("author") as batch_op:
        batch_op.alter_column("name", existing_type=sa.String(80), type_=sa.String(50))
