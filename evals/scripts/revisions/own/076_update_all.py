"""One statement locks every row to the end."""

import sqlalchemy as sa
from alembic import op

revision = "076a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE author SET name = upper(name)")


def downgrade() -> None:
    raise NotImplementedError("case is lost")
