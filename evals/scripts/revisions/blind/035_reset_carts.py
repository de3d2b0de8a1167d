"""new cart format

Revision ID: 50571d31989b
Revises: 6e3a298f9ce8
Create Date: 2023-06-10 04:09:23.522649

"""

import sqlalchemy as sa
from alembic import op

revision = "50571d31989b"
down_revision = "6e3a298f9ce8"
branch_labels = None
depends_on = None


def upgrade():
    # carts serialised by the old format cannot be read any more
    op.execute("TRUNCATE TABLE carts, cart_items RESTART IDENTITY")
    op.add_column("carts", sa.Column("format_version", sa.SmallInteger(), server_default="2", nullable=False))


def downgrade():
    op.drop_column("carts", "format_version")
