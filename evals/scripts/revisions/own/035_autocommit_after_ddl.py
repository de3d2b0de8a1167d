"""The block commits the column, and the revision is not recorded."""

import sqlalchemy as sa
from alembic import op

revision = "035a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("author", sa.Column("slug", sa.String(80)))
    with op.get_context().autocommit_block():
        op.drop_index(
            "ix_author_slug", "author", if_exists=True, postgresql_concurrently=True
        )
        op.create_index(
            "ix_author_slug", "author", ["slug"], postgresql_concurrently=True
        )


def downgrade() -> None:
    op.drop_column("author", "slug")
