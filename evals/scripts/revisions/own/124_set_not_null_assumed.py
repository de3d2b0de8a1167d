"""Step four, as its revision alone shows it."""

import sqlalchemy as sa
from alembic import op

revision = "124a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("author", "name", existing_type=sa.String(80), nullable=False)
    op.drop_constraint("author_name_not_null", "author", type_="check")


def downgrade() -> None:
    op.alter_column("author", "name", existing_type=sa.String(80), nullable=True)
