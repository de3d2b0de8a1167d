"""The sequence is moved."""

import sqlalchemy as sa
from alembic import op

revision = "086a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    kind = op.create_table(
        "kind",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(20)),
    )
    op.bulk_insert(kind, [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}])
    op.execute("SELECT setval(pg_get_serial_sequence('kind', 'id'), 2)")


def downgrade() -> None:
    op.drop_table("kind")
