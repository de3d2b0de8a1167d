"""Builds its index under the strongest lock."""

import sqlalchemy as sa
from alembic import op

revision = "043a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_unique_constraint("uq_author_name", "author", ["name"])


def downgrade() -> None:
    op.drop_constraint("uq_author_name", "author", type_="unique")
