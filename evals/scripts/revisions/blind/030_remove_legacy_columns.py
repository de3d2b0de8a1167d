"""remove legacy columns

Revision ID: bfd5f88a7684
Revises: ca94dd7308bb
Create Date: 2023-04-05 11:44:23.322014

"""

import sqlalchemy as sa
from alembic import op

revision = "bfd5f88a7684"
down_revision = "ca94dd7308bb"
branch_labels = None
depends_on = None

LEGACY = {
    "users": ["old_password_hash", "signup_source"],
    "orders": ["erp_reference"],
    "addresses": ["geocode_raw", "geocode_score"],
}


def drop_all(table, names):
    with op.batch_alter_table(table) as batch_op:
        for name in names:
            batch_op.drop_column(name)


def upgrade():
    for table, names in LEGACY.items():
        drop_all(table, names)


def downgrade():
    for table, names in LEGACY.items():
        for name in names:
            op.add_column(table, sa.Column(name, sa.Text(), nullable=True))
