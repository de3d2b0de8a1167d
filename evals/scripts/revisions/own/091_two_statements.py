"""The async drivers take one."""

import sqlalchemy as sa
from alembic import op

revision = "091a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "INSERT INTO setting (name) VALUES ('a'); INSERT INTO setting (name) VALUES ('b')"
    )


def downgrade() -> None:
    pass
