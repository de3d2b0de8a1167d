"""An identity column has a value in every row."""

import sqlalchemy as sa
from alembic import op

revision = "014a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("author", sa.Column("number", sa.Integer(), sa.Identity()))


def downgrade() -> None:
    op.drop_column("author", "number")
