"""full text search on articles

Revision ID: ca94dd7308bb
Revises: b9738eabdd79
Create Date: 2023-03-23 08:27:23.281887

"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql


# revision identifiers, used by Alembic.
revision: str = "ca94dd7308bb"
down_revision: Union[str, None] = "b9738eabdd79"
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    op.add_column(
        "articles",
        sa.Column(
            "search",
            postgresql.TSVECTOR(),
            sa.Computed(
                "to_tsvector('english', coalesce(title, '') || ' ' || coalesce(body, ''))",
                persisted=True,
            ),
            nullable=True,
        ),
    )
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_articles_search",
            "articles",
            ["search"],
            postgresql_using="gin",
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.drop_index("ix_articles_search", table_name="articles")
    op.drop_column("articles", "search")
