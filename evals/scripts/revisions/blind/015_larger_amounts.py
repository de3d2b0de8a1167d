"""room for larger invoice totals

Revision ID: 0c7d96e93534
Revises: 685f8d027fd8
Create Date: 2022-09-20 10:29:22.720109

"""

import sqlalchemy as sa
from alembic import op

revision = "0c7d96e93534"
down_revision = "685f8d027fd8"
branch_labels = None
depends_on = None

COLUMNS = ("net_total", "tax_total", "gross_total")


def upgrade():
    for name in COLUMNS:
        op.alter_column(
            "invoices",
            name,
            existing_type=sa.Numeric(10, 2),
            type_=sa.Numeric(14, 2),
            existing_nullable=False,
        )


def downgrade():
    for name in COLUMNS:
        op.alter_column(
            "invoices",
            name,
            existing_type=sa.Numeric(14, 2),
            type_=sa.Numeric(10, 2),
            existing_nullable=False,
        )
