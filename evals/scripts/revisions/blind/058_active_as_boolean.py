"""suppliers.active becomes a boolean

Only ever 0 or 1.

Revision ID: cb815391c46f
Revises: 01d6b743c653
Create Date: 2024-04-07 07:40:24.445570

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = 'cb815391c46f'
down_revision = '01d6b743c653'
branch_labels = None
depends_on = None


def upgrade():
    op.alter_column("suppliers", "active", existing_type=sa.SmallInteger(), server_default=None)
    op.alter_column(
        "suppliers",
        "active",
        existing_type=sa.SmallInteger(),
        type_=sa.Boolean(),
        postgresql_using="active = 1",
        existing_nullable=False,
    )
    op.alter_column("suppliers", "active", existing_type=sa.Boolean(), server_default=sa.true())


def downgrade():
    op.alter_column("suppliers", "active", existing_type=sa.Boolean(), server_default=None)
    op.alter_column(
        "suppliers",
        "active",
        existing_type=sa.Boolean(),
        type_=sa.SmallInteger(),
        postgresql_using="active::integer",
        existing_nullable=False,
    )
    op.alter_column("suppliers", "active", existing_type=sa.SmallInteger(), server_default="1")
