"""A suite as they are found: `TestClient`, `create_all` per test, an `event_loop`."""

from __future__ import annotations

FILES = {
    "pytest.ini": "[pytest]\nasyncio_mode = auto\npythonpath = .\n",
    "alembic.ini": """\
[alembic]
script_location = migrations
path_separator = os
""",
    "migrations/env.py": """\
from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection)
with context.begin_transaction():
    context.run_migrations()
""",
    "migrations/versions/first.py": """\
import sqlalchemy as sa
from alembic import op

revision, down_revision = "1", None


def upgrade():
    op.create_table(
        "item",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String, nullable=False, unique=True),
        sa.Column("stock", sa.Integer, nullable=False),
    )
""",
    "shop/database.py": """\
import os

from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

engine = create_async_engine(os.environ.get("SHOP_DB", "sqlite+aiosqlite:///shop.db"))
SessionLocal = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


async def get_db():
    async with SessionLocal() as session:
        yield session
""",
    "shop/models.py": """\
from sqlalchemy.orm import Mapped, mapped_column

from .database import Base


class Item(Base):
    __tablename__ = "item"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    stock: Mapped[int]
""",
    "shop/main.py": """\
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from .database import get_db
from .models import Item

app = FastAPI()


@app.post("/items", status_code=201)
async def add(name: str, stock: int, db: AsyncSession = Depends(get_db)) -> int:
    item = Item(name=name, stock=stock)
    db.add(item)
    try:
        await db.commit()
    except IntegrityError:
        await db.rollback()
        raise HTTPException(409)
    return item.id


@app.get("/items")
async def names(db: AsyncSession = Depends(get_db)) -> list[str]:
    return list(await db.scalars(select(Item.name).order_by(Item.name)))


@app.post("/items/{name}/sell")
async def sell(name: str, db: AsyncSession = Depends(get_db)) -> int:
    left = await db.scalar(
        update(Item).where(Item.name == name, Item.stock > 0)
        .values(stock=Item.stock - 1).returning(Item.stock)
    )
    if left is None:
        raise HTTPException(409)
    await db.commit()
    return left
""",
    "tests/conftest.py": """\
import asyncio

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from shop.database import Base, get_db
from shop.main import app
from shop import models

# old: begin
engine = create_async_engine("sqlite+aiosqlite:///test.db", poolclass=NullPool)
Session = async_sessionmaker(engine, expire_on_commit=False)


@pytest.fixture(autouse=True)
def tables():
    async def make():
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
            await connection.run_sync(Base.metadata.create_all)

    asyncio.run(make())


@pytest.fixture
def client():
    async def override():
        async with Session() as session:
            yield session

    app.dependency_overrides[get_db] = override
    with TestClient(app) as client:
        yield client
    app.dependency_overrides.clear()


# old: end
# old loop: begin
@pytest.fixture(scope="session")
def event_loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
async def db():
    async with Session() as session:
        yield session


# old loop: end
""",
    "tests/test_api.py": """\
def test_an_item_is_added_and_listed(client):
    assert client.post("/items?name=tea&stock=1").status_code == 201
    assert client.get("/items").json() == ["tea"]


def test_a_name_is_taken_once(client):
    client.post("/items?name=tea&stock=1")
    assert client.post("/items?name=tea&stock=1").status_code == 409
    assert client.post("/items?name=cake&stock=1").status_code == 201
    assert client.get("/items").json() == ["cake", "tea"]
""",
    "tests/test_stock.py": """\
def test_the_last_one_is_sold_once(client):
    client.post("/items?name=tea&stock=1")
    assert client.post("/items/tea/sell").json() == 0
    assert client.post("/items/tea/sell").status_code == 409
""",
    "tests/test_models.py": """\
from sqlalchemy import select

from shop.models import Item


async def test_an_item_is_found_by_name(db):
    db.add(Item(name="tea", stock=1))
    await db.commit()
    assert (await db.scalars(select(Item.stock).filter_by(name="tea"))).all() == [1]


async def test_there_is_nothing_at_first(db):
    assert (await db.scalars(select(Item))).all() == []
""",
}
