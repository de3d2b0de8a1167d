"""The time of day is gone."""

import sqlalchemy as sa
from alembic import op

revision = "060a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("author", "value", existing_type=sa.DateTime(), type_=sa.Date())


def downgrade() -> None:
    op.alter_column("author", "value", existing_type=sa.Date(), type_=sa.DateTime())
