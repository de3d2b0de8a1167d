"""IF NOT EXISTS may be run twice."""

import sqlalchemy as sa
from alembic import op

revision = "129a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    with op.get_context().autocommit_block():
        op.drop_index(
            "ix_author_name", "author", if_exists=True, postgresql_concurrently=True
        )
        op.create_index(
            "ix_author_name",
            "author",
            ["name"],
            postgresql_using="gin",
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.execute("DROP INDEX ix_author_name")
