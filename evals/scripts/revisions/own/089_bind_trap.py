"""A colon in a literal is a parameter."""

import sqlalchemy as sa
from alembic import op

revision = "089a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("INSERT INTO setting (name, value) VALUES ('job', '{\"state\" :done}')")


def downgrade() -> None:
    pass
