"""trigram search on product names

Revision ID: 9034ac050935
Revises: ad274fa993c0
Create Date: 2022-10-16 17:03:22.800363

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = "9034ac050935"
down_revision: Union[str, None] = "ad274fa993c0"
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None

INDEX = "ix_products_name_trgm"


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    with op.get_context().autocommit_block():
        op.create_index(
            INDEX,
            "products",
            ["name"],
            schema="catalog",
            postgresql_using="gin",
            postgresql_ops={"name": "gin_trgm_ops"},
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index(INDEX, table_name="products", schema="catalog", postgresql_concurrently=True)
