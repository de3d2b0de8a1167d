"""No PostgreSQL has this syntax."""

import sqlalchemy as sa
from alembic import op

revision = "051a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE author ALTER COLUMN name SET NOT NULL NOT VALID")


def downgrade() -> None:
    op.execute("ALTER TABLE author ALTER COLUMN name DROP NOT NULL")
