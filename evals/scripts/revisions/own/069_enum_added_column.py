"""add_column does not create the type."""

import sqlalchemy as sa
from alembic import op

revision = "069a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("kind", sa.Enum("a", "b", name="job_kind")))


def downgrade() -> None:
    op.drop_column("job", "kind")
