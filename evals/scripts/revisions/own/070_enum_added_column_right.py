"""Created first, dropped in the downgrade."""

import sqlalchemy as sa
from alembic import op

revision = "070a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    kind = sa.Enum("a", "b", name="job_kind")
    kind.create(op.get_bind(), checkfirst=True)
    op.add_column("job", sa.Column("kind", kind))


def downgrade() -> None:
    op.drop_column("job", "kind")
    sa.Enum(name="job_kind").drop(op.get_bind(), checkfirst=True)
