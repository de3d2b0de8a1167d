"""invoice numbers are unique per tenant

Numbers have come from a per-tenant counter from the beginning.

Revision ID: 74dabf501060
Revises: 5f0baa50c32d
Create Date: 2022-11-11 23:37:22.880617

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = "74dabf501060"
down_revision: Union[str, None] = "5f0baa50c32d"
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(
            "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS uq_invoices_tenant_number "
            "ON invoices (tenant_id, number)"
        )
    op.execute("SET LOCAL lock_timeout = '2s'")
    op.execute(
        "ALTER TABLE invoices ADD CONSTRAINT uq_invoices_tenant_number "
        "UNIQUE USING INDEX uq_invoices_tenant_number"
    )


def downgrade() -> None:
    op.drop_constraint("uq_invoices_tenant_number", "invoices", type_="unique")
