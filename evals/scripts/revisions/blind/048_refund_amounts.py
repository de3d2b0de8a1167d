"""refunds are never negative

Revision ID: c152b72a0285
Revises: 714c7adc4410
Create Date: 2023-11-27 22:50:24.044300

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = 'c152b72a0285'
down_revision = '714c7adc4410'
branch_labels = None
depends_on = None

TABLE = "refunds"
NAME = "ck_refunds_amount_minor"


def upgrade():
    op.execute(f"ALTER TABLE {TABLE} ADD CONSTRAINT {NAME} CHECK (amount_minor >= 0) NOT VALID")
    # entering the block commits what came before, so the strong lock is gone
    with op.get_context().autocommit_block():
        op.execute(f"ALTER TABLE {TABLE} VALIDATE CONSTRAINT {NAME}")


def downgrade():
    op.drop_constraint(NAME, TABLE, type_="check")
