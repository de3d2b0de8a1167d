"""A varchar: there is no type to create."""

import sqlalchemy as sa
from alembic import op

revision = "116a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "job", sa.Column("kind", sa.Enum("a", "b", name="job_kind", native_enum=False))
    )


def downgrade() -> None:
    op.drop_column("job", "kind")
