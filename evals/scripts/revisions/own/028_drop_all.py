"""The shortest way to lose everything."""

import sqlalchemy as sa
from alembic import op

revision = "028a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    sa.MetaData().drop_all(op.get_bind())


def downgrade() -> None:
    raise NotImplementedError("not reversible")
