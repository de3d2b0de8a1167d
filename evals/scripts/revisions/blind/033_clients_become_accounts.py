"""rename clients to accounts

The view goes in the next release.

Revision ID: 7a482f3380af
Revises: 7df9c1ac88fa
Create Date: 2023-05-14 21:35:23.442395

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = '7a482f3380af'
down_revision = '7df9c1ac88fa'
branch_labels = None
depends_on = None


def upgrade():
    op.execute("SET LOCAL lock_timeout = '2s'")
    op.rename_table("clients", "accounts")
    # The release still running goes on through this view: one table, all columns,
    # no expressions, hence updatable in PostgreSQL.
    op.execute("CREATE VIEW clients AS SELECT * FROM accounts")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON clients TO shop_app")


def downgrade():
    op.execute("DROP VIEW clients")
    op.rename_table("accounts", "clients")
