"""ticket_state: remove unused value escalated

Revision ID: caf675248174
Revises: c62d22077311
Create Date: 2023-07-19 14:00:23.643030

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = 'caf675248174'
down_revision = 'c62d22077311'
branch_labels = None
depends_on = None

OLD = ("open", "pending", "escalated", "closed")
NEW = ("open", "pending", "closed")


def swap(values):
    listed = ", ".join(f"'{v}'" for v in values)
    op.execute("ALTER TYPE ticket_state RENAME TO ticket_state_old")
    op.execute(f"CREATE TYPE ticket_state AS ENUM ({listed})")
    op.execute("ALTER TABLE tickets ALTER COLUMN state DROP DEFAULT")
    op.execute(
        "ALTER TABLE tickets ALTER COLUMN state TYPE ticket_state "
        "USING state::text::ticket_state"
    )
    op.execute("ALTER TABLE tickets ALTER COLUMN state SET DEFAULT 'open'")
    op.execute("DROP TYPE ticket_state_old")


def upgrade():
    swap(NEW)


def downgrade():
    swap(OLD)
