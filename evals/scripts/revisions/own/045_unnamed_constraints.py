"""The downgrade has no name to drop."""

import sqlalchemy as sa
from alembic import op

revision = "045a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_unique_constraint(
        None,
        "author",
        ["name"],
    )


def downgrade() -> None:
    op.drop_constraint(None, "author", type_="unique")
