"""one subscription per user and topic

Revision ID: fc359375c4d5
Revises: 50571d31989b
Create Date: 2023-06-23 07:26:23.562776

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = 'fc359375c4d5'
down_revision = '50571d31989b'
branch_labels = None
depends_on = None


def upgrade():
    op.execute(
        """
        DELETE FROM topic_subscriptions a
         USING topic_subscriptions b
         WHERE a.user_id = b.user_id
           AND a.topic_id = b.topic_id
           AND a.id < b.id
        """
    )
    op.create_unique_constraint(
        "uq_topic_subscriptions_user_topic", "topic_subscriptions", ["user_id", "topic_id"]
    )


def downgrade():
    op.drop_constraint("uq_topic_subscriptions_user_topic", "topic_subscriptions", type_="unique")
