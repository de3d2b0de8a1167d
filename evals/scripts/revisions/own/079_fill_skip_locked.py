"""What somebody holds is never filled."""

import sqlalchemy as sa
from alembic import op

revision = "079a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "UPDATE author SET rank = 0 WHERE id IN (SELECT id FROM author WHERE rank IS NULL LIMIT 1000 FOR UPDATE SKIP LOCKED)"
    )


def downgrade() -> None:
    pass
