"""A NOT NULL constraint that is not valid yet."""

import sqlalchemy as sa
from alembic import op

revision = "052a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE author ADD CONSTRAINT author_name_nn NOT NULL name NOT VALID"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE author DROP CONSTRAINT author_name_nn")
