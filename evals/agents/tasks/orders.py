"""A symptom: 201 for an order that is not there, and a MissingGreenlet."""

from __future__ import annotations

from evals.agents.task import Task, Work, status, want

PROMPT = """\
Two reports from support:

1. POST /orders sometimes answers 201, and the order is not there afterwards. At that
   time there is an IntegrityError in the log.
2. GET /orders/{id} always answers 500. The log says

   sqlalchemy.exc.MissingGreenlet: greenlet_spawn has not been called; can't call
   await_only() here.

Find out why and fix both. Clients rely on the paths and the bodies. The database is
PostgreSQL, which DATABASE_URL names.
"""

DATABASE = """\
import os
from contextlib import asynccontextmanager

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    pass


sessions = async_sessionmaker(expire_on_commit=False)


@asynccontextmanager
async def lifespan(app):
    url = make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url)
    sessions.configure(bind=engine)
    async with engine.begin() as conn:
        await conn.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()


async def get_session():
    async with sessions() as session:
        yield session
        await session.commit()
"""

MODELS = """\
from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from .database import Base


class Customer(Base):
    __tablename__ = "customer"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Order(Base):
    __tablename__ = "order"

    id: Mapped[int] = mapped_column(primary_key=True)
    # Imports store orders first and customers later, in one transaction.
    customer_id: Mapped[int] = mapped_column(
        ForeignKey("customer.id", deferrable=True, initially="DEFERRED")
    )
    lines: Mapped[list["Line"]] = relationship(order_by="Line.id")


class Line(Base):
    __tablename__ = "line"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"))
    article: Mapped[str]
    number: Mapped[int]
"""

MAIN = """\
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from .database import get_session, lifespan
from .models import Customer, Line, Order

app = FastAPI(lifespan=lifespan)
Session = Annotated[AsyncSession, Depends(get_session)]


class LineBody(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    article: str
    number: int


class OrderIn(BaseModel):
    customer_id: int
    lines: list[LineBody]


class OrderOut(OrderIn):
    model_config = ConfigDict(from_attributes=True)

    id: int


@app.post("/customers", status_code=201)
async def add_customer(name: str, session: Session) -> int:
    customer = Customer(name=name)
    session.add(customer)
    await session.flush()
    return customer.id


@app.post("/orders", status_code=201)
async def add_order(new: OrderIn, session: Session) -> int:
    lines = [Line(**line.model_dump()) for line in new.lines]
    order = Order(customer_id=new.customer_id, lines=lines)
    session.add(order)
    await session.flush()
    if any(line.number < 1 for line in lines):
        raise HTTPException(422, "a line needs a number above 0")
    return order.id


@app.get("/orders/{order_id}", response_model=OrderOut)
async def read_order(order_id: int, session: Session):
    order = await session.get(Order, order_id)
    if order is None:
        raise HTTPException(404)
    return order
"""

START = {
    "app/database.py": DATABASE,
    "app/models.py": MODELS,
    "app/main.py": MAIN,
    ".gitignore": "*.db\n",
}


def loaded(work: Work) -> None:
    work.replace(
        "app/main.py",
        "await session.get(Order, order_id)",
        "await session.get(Order, order_id, options=[selectinload(Order.lines)])",
    )
    work.replace(
        "app/main.py",
        "import AsyncSession\n",
        "import AsyncSession\nfrom sqlalchemy.orm import selectinload\n",
    )


def reference(work: Work) -> None:
    loaded(work)
    work.replace(
        "app/main.py",
        "Depends(get_session)]",
        'Depends(get_session, scope="function")]',
    )


def swallows(work: Work) -> None:
    """The log is quiet then; the order is still told of and not there."""
    loaded(work)
    work.replace(
        "app/database.py",
        "        await session.commit()\n",
        "        try:\n            await session.commit()\n"
        "        except Exception:\n            await session.rollback()\n",
    )


def commits_early(work: Work) -> None:
    """The order is stored before it is refused."""
    loaded(work)
    work.replace(
        "app/main.py",
        "    session.add(order)\n    await session.flush()\n",
        "    session.add(order)\n    await session.commit()\n",
    )


LINES = [{"article": "tea", "number": 2}, {"article": "pot", "number": 1}]


def never_told(work: Work) -> None:
    with work.serving(DATABASE_URL=work.postgres()) as web:
        known = status(web.post("/customers", params={"name": "Ada"}), 201)
        for customer in (known, known + 1, known, known + 7):
            asked = {"customer_id": customer, "lines": LINES}
            answer = web.post("/orders", json=asked)
            if customer == known:
                order = status(answer, 201)
                found = status(web.get(f"/orders/{order}"), 200)
                want(found == asked | {"id": order}, f"the order is {found}")
            else:
                code = answer.status_code
                want(code >= 400, f"an order that cannot be stored is a {code}")


def reads(work: Work) -> None:
    with work.serving(DATABASE_URL=work.postgres()) as web:
        known = status(web.post("/customers", params={"name": "Ada"}), 201)
        for lines in (LINES, []):
            body = {"customer_id": known, "lines": lines}
            order = status(web.post("/orders", json=body), 201)
            found = status(web.get(f"/orders/{order}"), 200)
            want(found == body | {"id": order}, f"the order is {found}")
        status(web.get("/orders/999"), 404)


def refused(work: Work) -> None:
    with work.serving(DATABASE_URL=work.postgres()) as web:
        known = status(web.post("/customers", params={"name": "Ada"}), 201)
        bad = {"customer_id": known, "lines": [{"article": "tea", "number": 0}]}
        status(web.post("/orders", json=bad), 422)
        status(web.get("/orders/1"), 404)


TASK = Task(
    kind="symptom",
    minutes=20,
    prompt=PROMPT,
    start=START,
    checks={
        "whoever is told 201 finds the order, and else is not told 201": never_told,
        "an order is read with its lines": reads,
        "a refused order leaves nothing behind": refused,
    },
    reference=reference,
    wrong={"swallows": swallows, "commits_early": commits_early},
    databases="postgresql",
)
