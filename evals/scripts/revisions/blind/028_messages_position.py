"""monotonic position for messages

Revision ID: b9738eabdd79
Revises: 1c651c4bac89
Create Date: 2023-03-10 05:10:23.241760

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = 'b9738eabdd79'
down_revision = '1c651c4bac89'
branch_labels = None
depends_on = None


def upgrade():
    op.add_column(
        "messages",
        sa.Column("position", sa.BigInteger(), sa.Identity(always=False, start=1, cache=50), nullable=False),
    )


def downgrade():
    op.drop_column("messages", "position")
