"""now() is the same for the whole statement."""

import sqlalchemy as sa
from alembic import op

revision = "007a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "author",
        sa.Column(
            "seen",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            nullable=False,
        ),
    )


def downgrade() -> None:
    op.drop_column("author", "seen")
