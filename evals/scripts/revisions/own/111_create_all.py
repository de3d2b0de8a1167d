"""Today's models, whatever day it is."""

import sqlalchemy as sa
from alembic import op
from app.models import Base

revision = "111a"
down_revision = "0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    Base.metadata.create_all(op.get_bind())


def downgrade() -> None:
    raise NotImplementedError
