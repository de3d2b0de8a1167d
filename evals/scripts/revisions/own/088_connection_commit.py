"""The revision is not recorded."""

import sqlalchemy as sa
from alembic import op

revision = "088a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    bind = op.get_bind()
    bind.execute(sa.text("UPDATE author SET rank = 0 WHERE rank IS NULL"))
    bind.commit()


def downgrade() -> None:
    pass
