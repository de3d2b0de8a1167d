"""The copy leaves out an unnamed CHECK and a trigger."""

import sqlalchemy as sa
from alembic import op

revision = "ba1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "price",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("n", sa.Integer()),
        sa.CheckConstraint("n > 0"),
    )
    op.execute("CREATE TRIGGER price_log AFTER UPDATE ON price BEGIN SELECT 1; END")


def downgrade() -> None:
    op.drop_table("price")
