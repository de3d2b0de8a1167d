"""tidy column order of click_log

A plain log: no primary key, no constraints, nothing refers to it.

Revision ID: 755c1960f027
Revises: b3f1086cb0b1
Create Date: 2024-02-27 21:49:24.325189

"""

import sqlalchemy as sa
from alembic import op

revision = "755c1960f027"
down_revision = "b3f1086cb0b1"
branch_labels = None
depends_on = None


def upgrade():
    # no write may slip in between the copy and the swap
    op.execute("LOCK TABLE click_log IN ACCESS EXCLUSIVE MODE")
    with op.batch_alter_table("click_log", recreate="always") as batch_op:
        batch_op.add_column(
            sa.Column("hits", sa.Integer(), server_default="0", nullable=False),
            insert_after="path",
        )


def downgrade():
    with op.batch_alter_table("click_log") as batch_op:
        batch_op.drop_column("hits")
