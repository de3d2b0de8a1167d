"""The first apostrophe ends the string."""

import sqlalchemy as sa
from alembic import op

revision = "092a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for row in op.get_bind().execute(sa.text("SELECT name FROM author")):
        op.execute(f"INSERT INTO setting (name) VALUES ('{row.name}')")


def downgrade() -> None:
    pass
