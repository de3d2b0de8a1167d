"""parcels: tracking_no becomes tracking_code

Revision ID: e137d44ec031
Revises: e39640f5c018
Create Date: 2024-05-03 14:14:24.525824

"""

import sqlalchemy as sa
from alembic import op

revision = "e137d44ec031"
down_revision = "e39640f5c018"
branch_labels = None
depends_on = None

TABLE = "parcels"
OLD = "tracking_no"
NEW = "tracking_code"


def move(source, target):
    op.add_column(TABLE, sa.Column(target, sa.Text(), nullable=True))
    op.execute(f"UPDATE {TABLE} SET {target} = {source}")
    op.drop_column(TABLE, source)


def upgrade():
    move(OLD, NEW)


def downgrade():
    move(NEW, OLD)
