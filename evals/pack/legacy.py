"""A project as they are found: Poetry, `src/`, its own Base, psycopg2, `get_db`."""

from __future__ import annotations

FILES = {
    "pyproject.toml": """\
[tool.poetry]
name = "shop"
version = "1.0.0"
description = ""
packages = [{ include = "shop", from = "src" }]

[tool.poetry.dependencies]
python = "^3.11"
fastapi = "^0.121"
sqlalchemy = "^2.0"
psycopg2-binary = "^2.9"
alembic = "^1.14"

[tool.pytest.ini_options]
pythonpath = ["src"]
""",
    "src/shop/__init__.py": "",
    "src/shop/database.py": """\
import os

from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, sessionmaker

engine = create_engine(os.environ["SHOP_DB"])
SessionLocal = sessionmaker(bind=engine)


class Base(DeclarativeBase):
    pass


def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()
""",
    "src/shop/models.py": """\
from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from .database import Base


class Customer(Base):
    __tablename__ = "customer"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    orders: Mapped[list["Order"]] = relationship(order_by="Order.id")


class Order(Base):
    __tablename__ = "order"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    total: Mapped[int]
""",
    "src/shop/service.py": """\
from sqlalchemy.orm import Session

from .models import Customer, Order


def place(db: Session, name: str, *totals: int) -> Customer:
    customer = Customer(name=name, orders=[Order(total=total) for total in totals])
    db.add(customer)
    db.flush()
    return customer


def owed(db: Session, customer_id: int) -> int:
    customer = db.query(Customer).get(customer_id)
    return sum(order.total for order in customer.orders)  # a lazy load
""",
    "src/shop/main.py": """\
from fastapi import Depends, FastAPI
from sqlalchemy.orm import Session

from . import service
from .database import get_db

app = FastAPI()


@app.post("/orders")
def order(name: str, total: int, db: Session = Depends(get_db)) -> int:
    customer = service.place(db, name, total)
    db.commit()
    return customer.id


@app.get("/owed/{customer_id}")
def owed(customer_id: int, db: Session = Depends(get_db)) -> int:
    return service.owed(db, customer_id)
""",
    "alembic.ini": """\
[alembic]
script_location = migrations
prepend_sys_path = src
path_separator = os
""",
    "migrations/env.py": """\
from alembic import context

from shop.database import engine
from shop.models import Base

with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
""",
    "migrations/script.py.mako": "",
    "migrations/versions/0001_first.py": """\
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.create_table(
        "customer",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
    )
    op.create_table(
        "order",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("customer_id", sa.Integer, sa.ForeignKey("customer.id")),
        sa.Column("total", sa.Integer, nullable=False),
    )


def downgrade():
    op.drop_table("order")
    op.drop_table("customer")
""",
    "tests/test_orders.py": """\
import pytest

from shop import service
from shop.database import SessionLocal


@pytest.fixture
def db():
    with SessionLocal() as db:
        yield db
        db.rollback()


def test_what_a_customer_owes(db):
    customer = service.place(db, "Ann", 3, 4)
    assert service.owed(db, customer.id) == 7
""",
}
