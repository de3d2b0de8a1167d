"""New, but not empty: bulk_insert came first."""

import sqlalchemy as sa
from alembic import op

revision = "013a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    kind = op.create_table("kind", sa.Column("name", sa.String(20), primary_key=True))
    op.bulk_insert(kind, [{"name": "a"}, {"name": "b"}])
    op.add_column("kind", sa.Column("rank", sa.Integer(), nullable=False))


def downgrade() -> None:
    op.drop_table("kind")
