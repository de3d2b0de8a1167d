"""CHECK (n IS NOT NULL), for new rows."""

import sqlalchemy as sa
from alembic import op

revision = "nn1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_check_constraint(
        "name_not_null", "author", "name IS NOT NULL", postgresql_not_valid=True
    )


def downgrade() -> None:
    op.drop_constraint("name_not_null", "author", type_="check")
