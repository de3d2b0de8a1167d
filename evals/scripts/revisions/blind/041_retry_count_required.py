"""jobs.retry_count not null

Each release since 5.3 writes the column; only older rows are empty.

Revision ID: d11b7993a66a
Revises: dad1c6ee4a4c
Create Date: 2023-08-27 23:51:23.763411

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = 'd11b7993a66a'
down_revision = 'dad1c6ee4a4c'
branch_labels = None
depends_on = None


def upgrade():
    op.alter_column("jobs", "retry_count", existing_type=sa.Integer(), server_default="0")
    op.execute("UPDATE jobs SET retry_count = 0 WHERE retry_count IS NULL")
    op.alter_column("jobs", "retry_count", existing_type=sa.Integer(), nullable=False)


def downgrade():
    op.alter_column("jobs", "retry_count", existing_type=sa.Integer(), nullable=True, server_default=None)
