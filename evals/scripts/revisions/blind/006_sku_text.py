"""catalog: supplier_sku becomes text

Revision ID: b2ba3e967896
Revises: 94fd61a8804b
Create Date: 2022-05-25 04:56:22.358966

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = 'b2ba3e967896'
down_revision = '94fd61a8804b'
branch_labels = None
depends_on = None

SCHEMA = "catalog"


def upgrade():
    op.alter_column(
        "products",
        "supplier_sku",
        existing_type=sa.String(64),
        type_=sa.Text(),
        existing_nullable=True,
        postgresql_using="supplier_sku::text",
        schema=SCHEMA,
    )


def downgrade():
    # text is a superset, nothing to undo
    pass
