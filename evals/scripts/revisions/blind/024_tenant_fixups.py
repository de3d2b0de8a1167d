"""apply pending tenant fixups

Revision ID: a839d901372b
Revises: 66b1d87d4546
Create Date: 2023-01-16 16:02:23.081252

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision: str = "a839d901372b"
down_revision: Union[str, None] = "66b1d87d4546"
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    op.execute(
        """
        DO $body$
        DECLARE
            job record;
        BEGIN
            FOR job IN
                SELECT statement FROM ops.pending_fixups WHERE applied_at IS NULL ORDER BY id
            LOOP
                EXECUTE job.statement;
            END LOOP;
        END
        $body$
        """
    )


def downgrade() -> None:
    raise NotImplementedError("fixups are not reversible")
