"""A project that the next two tasks begin with: async, its own Base, one revision."""

from __future__ import annotations

DATABASE = """\
import os

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    pass


def url():
    return make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+asyncpg")


def make():
    engine = create_async_engine(url())
    return engine, async_sessionmaker(engine, expire_on_commit=False)
"""

MODELS = """\
from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from .database import Base


class Customer(Base):
    __tablename__ = "customer"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    total: Mapped[int]
"""

SERVICE = """\
from sqlalchemy import select, update

from .models import Customer, Order


async def place(session, email, total):
    customer = await session.scalar(select(Customer).where(Customer.email == email))
    if customer is None:
        customer = Customer(email=email)
        session.add(customer)
        await session.flush()
    order = Order(customer_id=customer.id, total=total)
    session.add(order)
    await session.flush()
    return order


async def rename(session, customer_id, email):
    customer = await session.get_one(Customer, customer_id)
    customer.email = email
    await session.flush()


async def raise_all(session, by):
    await session.execute(update(Order).values(total=Order.total + by))
"""

ENV = """\
import asyncio

from alembic import context
from sqlalchemy.ext.asyncio import create_async_engine

from shop import models
from shop.database import url


def run(connection):
    context.configure(
        connection=connection,
        target_metadata=models.Base.metadata,
        compare_server_default=False,
    )
    with context.begin_transaction():
        context.run_migrations()


async def main():
    engine = create_async_engine(url())
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()


asyncio.run(main())
"""

REVISION = """\
\"\"\"first tables\"\"\"

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.create_table(
        "customer",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("email", sa.String(), nullable=False),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("customer_id", sa.Integer(), sa.ForeignKey("customer.id"),
                  nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
    )


def downgrade():
    op.drop_table("orders")
    op.drop_table("customer")
"""

MAKO = '''\
"""${message}"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade():
    ${upgrades if upgrades else "pass"}


def downgrade():
    ${downgrades if downgrades else "pass"}
'''

INI = """\
[alembic]
script_location = %(here)s/migrations
prepend_sys_path = .
path_separator = os
"""

FILES = {
    "shop/database.py": DATABASE,
    "shop/models.py": MODELS,
    "shop/service.py": SERVICE,
    "migrations/env.py": ENV,
    "migrations/script.py.mako": MAKO,
    "migrations/versions/0001_first_tables.py": REVISION,
    "alembic.ini": INI,
}
