"""A session deletes as well."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.orm import DeclarativeBase, Session

revision = "083a"
down_revision = "0000"
branch_labels = None
depends_on = None


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String)


def upgrade() -> None:
    session = Session(op.get_bind())
    session.query(Author).filter(Author.name == "").delete()


def downgrade() -> None:
    pass
