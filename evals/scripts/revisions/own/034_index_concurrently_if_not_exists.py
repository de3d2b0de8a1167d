"""An INVALID index of that name is accepted."""

import sqlalchemy as sa
from alembic import op

revision = "034a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "uq_author_name",
            "author",
            ["name"],
            unique=True,
            if_not_exists=True,
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.execute("DROP INDEX uq_author_name")
