"""Only rows without a value: nothing is lost."""

import sqlalchemy as sa
from alembic import op

revision = "077a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE author SET rank = 0 WHERE rank IS NULL")


def downgrade() -> None:
    pass
