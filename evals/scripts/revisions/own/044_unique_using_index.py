"""The index is there already."""

import sqlalchemy as sa
from alembic import op

revision = "044a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE author ADD CONSTRAINT uq_author_name UNIQUE USING INDEX uq_author_name_idx"
    )


def downgrade() -> None:
    op.drop_constraint("uq_author_name", "author", type_="unique")
