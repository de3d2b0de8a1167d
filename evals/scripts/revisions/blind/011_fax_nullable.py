"""stop requiring fax_number

First of two releases: from this one on the application no longer writes
the column. It is dropped in the release after next.

Revision ID: 2cd281b0c1a6
Revises: fa4eca2321c4
Create Date: 2022-07-29 21:21:22.559601

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = '2cd281b0c1a6'
down_revision = 'fa4eca2321c4'
branch_labels = None
depends_on = None


def upgrade():
    op.alter_column("companies", "fax_number", existing_type=sa.String(30), nullable=True)


def downgrade():
    op.execute("UPDATE companies SET fax_number = '' WHERE fax_number IS NULL")
    op.alter_column("companies", "fax_number", existing_type=sa.String(30), nullable=False)
