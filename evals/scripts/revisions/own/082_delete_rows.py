"""No downgrade brings them back."""

import sqlalchemy as sa
from alembic import op

revision = "082a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM author WHERE name = ''")


def downgrade() -> None:
    pass
