"""The running release loses its right."""

import sqlalchemy as sa
from alembic import op

revision = "123a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("REVOKE SELECT ON author FROM app")


def downgrade() -> None:
    op.execute("GRANT SELECT ON author TO app")
