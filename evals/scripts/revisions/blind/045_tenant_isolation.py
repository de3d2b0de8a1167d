"""row level security for tenants

The new release sets app.tenant_id at the start of each request.

Revision ID: a69f636972ae
Revises: 0f35caecdc83
Create Date: 2023-10-19 12:59:23.923919

"""

import sqlalchemy as sa
from alembic import op

revision = "a69f636972ae"
down_revision = "0f35caecdc83"
branch_labels = None
depends_on = None

TABLES = ("projects", "tasks", "attachments")


def upgrade():
    for t in TABLES:
        op.execute(f"ALTER TABLE {t} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {t} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant_only ON {t} "
            "USING (tenant_id = current_setting('app.tenant_id')::integer)"
        )


def downgrade():
    for t in reversed(TABLES):
        op.execute(f"DROP POLICY tenant_only ON {t}")
        op.execute(f"ALTER TABLE {t} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {t} DISABLE ROW LEVEL SECURITY")
