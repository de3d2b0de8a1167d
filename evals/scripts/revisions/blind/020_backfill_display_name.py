"""fill users.display_name

Revision ID: ad4ba65455ad
Revises: 74dabf501060
Create Date: 2022-11-25 02:54:22.920744

"""

import sqlalchemy as sa
from alembic import op

revision = "ad4ba65455ad"
down_revision = "74dabf501060"
branch_labels = None
depends_on = None

BATCH = 2000

FILL = sa.text(
    """
    UPDATE users
       SET display_name = username
     WHERE id IN (
           SELECT id FROM users
            WHERE display_name IS NULL
            ORDER BY id
            LIMIT :batch
            FOR UPDATE SKIP LOCKED
     )
    """
)


def upgrade():
    # display_name was added (nullable) in the previous release; username is NOT NULL
    with op.get_context().autocommit_block():
        bind = op.get_bind()
        while True:
            done = bind.execute(FILL, {"batch": BATCH})
            if done.rowcount == 0:
                break


def downgrade():
    pass
