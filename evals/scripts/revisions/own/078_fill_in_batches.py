"""Resumable, and each batch commits."""

import sqlalchemy as sa
from alembic import op

revision = "078a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        bind = op.get_bind()
        last = 0
        while True:
            rows = (
                bind.execute(
                    sa.text(
                        "WITH b AS (SELECT id FROM author WHERE id > :last AND rank IS NULL ORDER BY id LIMIT 1000) "
                        "UPDATE author SET rank = 0 FROM b WHERE author.id = b.id RETURNING author.id"
                    ),
                    {"last": last},
                )
                .scalars()
                .all()
            )
            if not rows:
                break
            last = max(rows)


def downgrade() -> None:
    pass
