"""missing foreign keys on comments

Revision ID: 66b1d87d4546
Revises: 99a630fe034c
Create Date: 2023-01-03 12:45:23.041125

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = '66b1d87d4546'
down_revision = '99a630fe034c'
branch_labels = None
depends_on = None


def upgrade():
    op.create_foreign_key(
        "fk_comments_author_id_users",
        source_table="comments",
        referent_table="users",
        local_cols=["author_id"],
        remote_cols=["id"],
        ondelete="SET NULL",
    )
    op.create_foreign_key(None, "comments", "articles", ["article_id"], ["id"])


def downgrade():
    op.drop_constraint("fk_comments_author_id_users", "comments", type_="foreignkey")
