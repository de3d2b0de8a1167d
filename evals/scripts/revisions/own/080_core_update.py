"""The same, in Core."""

import sqlalchemy as sa
from alembic import op

revision = "080a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    author = sa.table("author", sa.column("name", sa.String))
    op.execute(author.update().values(name=sa.func.lower(author.c.name)))


def downgrade() -> None:
    raise NotImplementedError("case is lost")
