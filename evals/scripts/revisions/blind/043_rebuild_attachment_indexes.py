"""reindex attachments after collation update

Revision ID: e6428483ca83
Revises: 489165c01789
Create Date: 2023-09-23 06:25:23.843665

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = 'e6428483ca83'
down_revision = '489165c01789'
branch_labels = None
depends_on = None


def upgrade():
    op.execute("REINDEX TABLE attachments")
    op.execute("ALTER DATABASE shop REFRESH COLLATION VERSION")


def downgrade():
    pass
