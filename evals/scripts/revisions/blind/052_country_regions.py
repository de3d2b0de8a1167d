"""regions of countries

Revision ID: df01d0a93ca0
Revises: 6a436e3de273
Create Date: 2024-01-19 11:58:24.204808

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = "df01d0a93ca0"
down_revision: Union[str, Sequence[str], None] = "6a436e3de273"
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None

T = "country_regions"


def upgrade() -> None:
    """Upgrade schema."""
    op.create_table(
        T,
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("country", sa.String(2), nullable=False),
        sa.Column("raw", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
    )
    op.execute(f"INSERT INTO {T} (country, raw) VALUES ('DE', ' Bavaria '), ('DE', ' Saxony '), ('FR', ' Brittany ')")
    op.execute(f"UPDATE {T} SET name = trim(raw)")
    op.drop_column(T, "raw")
    op.alter_column(T, "name", existing_type=sa.Text(), type_=sa.String(80), nullable=False)
    op.create_unique_constraint("uq_country_regions_country_name", T, ["country", "name"])
    op.create_index("ix_country_regions_name", T, ["name"])


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_table(T)
