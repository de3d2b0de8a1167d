"""SET NOT NULL believes the CHECK."""

import sqlalchemy as sa
from alembic import op

revision = "049a"
down_revision = "nn2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("author", "name", existing_type=sa.String(80), nullable=False)
    op.drop_constraint("name_not_null", "author", type_="check")


def downgrade() -> None:
    op.alter_column("author", "name", existing_type=sa.String(80), nullable=True)
