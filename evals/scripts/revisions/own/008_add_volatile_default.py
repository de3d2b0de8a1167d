"""Each row gets a value of its own."""

import sqlalchemy as sa
from alembic import op

revision = "008a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "author",
        sa.Column(
            "token",
            sa.Uuid(),
            server_default=sa.text("gen_random_uuid()"),
            nullable=False,
        ),
    )


def downgrade() -> None:
    op.drop_column("author", "token")
