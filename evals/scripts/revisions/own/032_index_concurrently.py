"""Alone, restartable, outside the transaction."""

import sqlalchemy as sa
from alembic import op

revision = "032a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index(
            "ix_author_name", "author", if_exists=True, postgresql_concurrently=True
        )
        op.create_index(
            "ix_author_name", "author", ["name"], postgresql_concurrently=True
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index(
            "ix_author_name", "author", if_exists=True, postgresql_concurrently=True
        )
