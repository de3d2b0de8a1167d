"""users.locale

Revision ID: c6d648bbda00
Revises: a69f636972ae
Create Date: 2023-11-01 16:16:23.964046

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = 'c6d648bbda00'
down_revision = 'a69f636972ae'
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("users", sa.Column("locale", sa.String(10), nullable=False, server_default="en"))
    # the default was only needed for the rows that exist
    op.alter_column("users", "locale", server_default=None)


def downgrade():
    op.drop_column("users", "locale")
