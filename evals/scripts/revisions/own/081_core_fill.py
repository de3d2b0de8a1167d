"""The same, in Core, where there is nothing yet."""

import sqlalchemy as sa
from alembic import op

revision = "081a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    author = sa.table("author", sa.column("rank", sa.Integer))
    op.execute(author.update().where(author.c.rank.is_(None)).values(rank=0))


def downgrade() -> None:
    pass
