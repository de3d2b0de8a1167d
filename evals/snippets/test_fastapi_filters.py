"""Evals for snippets/fastapi_filters.py: a list over HTTP with all that a list has."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Query, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ForeignKey, MetaData, Select, func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.fastapi_export import Exports
from snippets.fastapi_filters import Conditions, FilterQuery, Order, sort_query
from snippets.fastapi_pagination import (
    CursorPage,
    CursorQuery,
    LinksDep,
    OffsetPage,
    PageQuery,
    add_pagination_errors,
)
from snippets.filter_field import FilterField
from snippets.filtering import FilterFields
from snippets.keyset_pagination import Keyset
from snippets.offset_pagination import Numbered
from snippets.sorting import SortFields
from snippets.text_match import configure_folding, contains, fold, fold_accents

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class State(Enum):
    OPEN = "open"
    DONE = "done"


class Base(DeclarativeBase):
    """Apart from the tables of other evals."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


class Owner(Base):
    __tablename__ = "owner"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Task(Base):
    __tablename__ = "task"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    stars: Mapped[int | None]
    state: Mapped[State]
    due_at: Mapped[datetime]
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("owner.id"))
    owner: Mapped[Owner | None] = relationship()
    labels: Mapped[list[Label]] = relationship()


class Label(Base):
    __tablename__ = "label"

    task_id: Mapped[int] = mapped_column(ForeignKey("task.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)


class TaskRead(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int


FILTERS = FilterFields(
    {
        "title": FilterField(Task.title, "eq contains not_contains"),
        "stars": Task.stars,
        "state": Task.state,
        "due_at": FilterField(Task.due_at, "lt ge"),
        "owner": FilterField(Owner.name, "eq ne isnull", exists=Task.owner.has),
        "label": FilterField(Label.name, "eq in not_in", exists=Task.labels.any),
        "model_dump": FilterField(Task.id, "lt"),
    }
)
labels = select(func.count()).where(Label.task_id == Task.id).scalar_subquery()
SORTS = SortFields(
    {
        "stars": Task.stars,
        "due_at": Task.due_at,
        "title": fold(Task.title),
        "owner": Owner.name,
        "labels": labels,
    },
    default="-due_at",
)


def get_sessions() -> async_sessionmaker[AsyncSession]:
    raise NotImplementedError


Sessions = Annotated[async_sessionmaker[AsyncSession], Depends(get_sessions)]
OTHERS = "q sort cursor size page per_page"
TaskFilters = Annotated[Conditions, Depends(FilterQuery(FILTERS, besides=OTHERS))]
TaskOrder = Annotated[Order, Depends(sort_query(SORTS))]


async def found(
    where: TaskFilters, q: Annotated[str | None, Query(max_length=100)] = None
) -> Select[Any]:
    stmt = select(Task).outerjoin(Task.owner).where(*where)
    if q:
        texts = Task.title, Owner.name
        stmt = stmt.where(or_(*(contains(text, q, fold_accents) for text in texts)))
    return stmt


Tasks = Annotated[Select[Any], Depends(found)]
app = FastAPI()
add_pagination_errors(app)


@lru_cache(maxsize=100)
def keyset(order: Order) -> Keyset[Task]:
    return Keyset(Task, *order)


@app.get("/tasks")
async def list_tasks(
    sessions: Sessions,
    stmt: Tasks,
    order: TaskOrder,
    params: CursorQuery,
    links: LinksDep,
) -> CursorPage[TaskRead]:
    async with sessions() as session:
        page = await keyset(order).fetch(
            session, stmt, size=params.size, cursor=params.cursor
        )
    links.cursors(page)
    return CursorPage[TaskRead].model_validate(page)


@app.get("/pages")
async def number_tasks(
    sessions: Sessions, stmt: Tasks, order: TaskOrder, params: PageQuery
) -> OffsetPage[TaskRead]:
    async with sessions() as session:
        page = await Numbered(Task, *order).fetch(
            session, stmt, page=params.page, per_page=params.per_page, count="exact"
        )
    return OffsetPage[TaskRead].model_validate(page)


exports = Exports()


@app.get("/tasks.csv")
async def export_tasks(sessions: Sessions, stmt: Tasks) -> Response:
    columns = stmt.with_only_columns(Task.id, Owner.name).order_by(Task.id)
    return exports.csv(sessions, columns, "tasks.csv")


@pytest.fixture
async def engine(engine: AsyncEngine, database: str) -> AsyncEngine:
    configure_folding(engine)
    await engine.dispose()
    return engine


@pytest.fixture
async def client(
    sessions: async_sessionmaker[AsyncSession],
) -> AsyncIterator[httpx.AsyncClient]:
    names = ["Äpfel", "apfel 100%", "Birne", "ÄPFEL", "clé", "date", "élan", "Feige"]
    tasks = [
        {
            "id": i,
            "title": name,
            "stars": None if i % 3 == 0 else i % 4,
            "state": State.DONE if i % 2 else State.OPEN,
            "due_at": NOON + timedelta(hours=i // 2),
            "owner_id": [None, 1, 2][i % 3],
        }
        for i, name in enumerate(names, 1)
    ]
    labels = [(1, "red"), (1, "blue"), (4, "red"), (6, "blue"), (7, "red")]
    async with sessions.begin() as session:
        owners = [{"id": 1, "name": "Zoë"}, {"id": 2, "name": "Bo"}]
        await session.execute(insert(Owner), owners)
        await session.execute(insert(Task), tasks)
        rows = [{"task_id": task, "name": name} for task, name in labels]
        await session.execute(insert(Label), rows)
    app.dependency_overrides[get_sessions] = lambda: sessions
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        yield client


async def everything(client: httpx.AsyncClient, query: str) -> list[int]:
    """Follow the cursors, and hold them against the numbered pages."""
    ids: list[int] = []
    url = f"http://api/tasks?size=2&{query}"
    while True:
        answer = await client.get(url)
        assert answer.status_code == 200, answer.text
        ids += [item["id"] for item in answer.json()["items"]]
        if "next" not in answer.links:
            break
        url = answer.links["next"]["url"]
    pages = await client.get(f"/pages?{query}")
    assert [item["id"] for item in pages.json()["items"]] == ids
    assert pages.json()["total"] == len(ids)
    return ids


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [8, 7, 6, 5, 4, 3, 2, 1]),
        ("sort=title", [2, 3, 5, 6, 8, 1, 4, 7]),
        ("sort=-stars,due_at", [7, 2, 1, 5, 4, 8, 3, 6]),
        ("sort=owner,-title", [8, 5, 2, 7, 4, 1, 6, 3]),
        ("sort=-owner,title", [1, 4, 7, 2, 5, 8, 3, 6]),
        ("sort=-labels,title", [1, 6, 4, 7, 2, 3, 5, 8]),
        ("q=APFEL&sort=due_at", [1, 2, 4]),
        ("q=zoe&sort=due_at", [1, 4, 7]),
        ("q=%25", [2]),
        ("q=%00", []),
        ("q=%ED%A0%80", []),
        ("q=(a%2B)%2B%24%5C", []),
        ("title__contains=%C3%A4PF&sort=due_at", [1, 4]),
        ("title__not_contains=%C3%A4PF&q=apfel", [2]),
        ("stars__ge=1&stars__lt=3&sort=-stars", [2, 5, 1]),
        ("stars__isnull=true&sort=due_at", [3, 6]),
        ("state=open&state__ne=done&sort=due_at", [2, 4, 6, 8]),
        ("due_at__ge=2026-01-01T15:00%2B01:00&due_at__lt=2026-01-01T15:00Z", [5, 4]),
        ("owner__ne=Bo&sort=due_at", [1, 3, 4, 6, 7]),
        ("owner__isnull=true&q=e", [6, 3]),
        ("label=red&label__in=blue&sort=due_at", [1]),
        ("label__not_in=red&label__not_in=blue&sort=due_at", [2, 3, 5, 8]),
        ("any=label%3Dred%26stars%3D0&any=state%3Dopen&sort=due_at", [4, 8]),
        ("model_dump__lt=2", [1]),
    ],
    ids=range(24),
)
async def test_filters_order_search_and_pages_work_together(
    client: httpx.AsyncClient, query: str, expected: list[int]
) -> None:
    assert await everything(client, query) == expected


async def test_an_export_has_the_rows_of_the_list(client: httpx.AsyncClient) -> None:
    answer = await client.get("/tasks.csv?q=apfel&label=red")
    assert answer.text == "id,name\r\n1,Zoë\r\n4,Zoë\r\n"
    assert (await client.get("/tasks.csv?colour=red")).status_code == 422


@pytest.mark.parametrize(
    ("query", "name", "message"),
    [
        ("colour=red", "colour", "'colour': there is no such filter: expected title, "),
        ("stars__like=1", "stars__like", "'stars__like': there is no such filter"),
        ("owner_id=1", "owner_id", "'owner_id': there is no such filter"),
        ("stars=1_0", "stars", "'stars': expected an integer from -2147483648 to"),
        ("stars=1&stars=2", "stars", "'stars': expected it 1 times at most, not 2"),
        ("state=OPEN", "state", "'state': expected one of open, done"),
        ("due_at__lt=2026-01-01T15:00+01:00", "due_at__lt", "(in a URL + is %2B)"),
        ("title=%00", "title", "'title': expected text of 200 characters at most"),
        ("title=%ED%A0%80&x=1", "x", "'x': there is no such filter"),
        ("&".join(["label__in=x"] * 5_000), "label__in", "at most, not 5000"),
        ("any=any%3Dstars%253D1", "any", "'any': there is no such filter"),
        ("sort=password", "sort", "cannot sort by 'password': expected names from"),
        ("sort=stars,stars", "sort", "cannot sort by 'stars,stars'"),
    ],
    ids=range(13),
)
async def test_what_is_wrong_is_one_clear_422(
    client: httpx.AsyncClient, query: str, name: str, message: str
) -> None:
    for path in ("/tasks", "/pages"):
        answer = await client.get(f"{path}?{query}")
        assert answer.status_code == 422, answer.text
        (problem,) = answer.json()["detail"]
        assert (problem["type"], problem["loc"]) == ("value", ["query", name])
        assert message in problem["msg"]


@pytest.mark.trap("cursor-of-other-filters")
@pytest.mark.parametrize(
    "query",
    ["state=open", "sort=stars", "q=e", "stars__ge=0&stars__ge=1", "any=stars%3D1",
     "stars__ge=1", "state=done&stars__ge=0"],
    ids=range(7),
)  # fmt: skip
async def test_a_cursor_is_of_one_list_with_its_filters(
    client: httpx.AsyncClient, query: str
) -> None:
    first = await client.get("/tasks?size=1&stars__ge=0")
    cursor = first.json()["next_cursor"]
    again = await client.get(f"/tasks?size=1&stars__ge=0&cursor={cursor}")
    assert again.status_code == 200
    other = await client.get(f"/tasks?size=1&{query}&cursor={cursor}")
    assert other.status_code == (422 if query.count("stars__ge") == 2 else 400)


@pytest.mark.trap("last-value-wins")
async def test_a_parameter_of_fastapi_takes_the_last_value_and_ignores_the_first(
    client: httpx.AsyncClient,
) -> None:
    by_hand = FastAPI()

    @by_hand.get("/")
    async def echo(stars: int) -> int:
        return stars

    transport = httpx.ASGITransport(by_hand)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as plain:
        assert (await plain.get("/?stars=1&stars=2&colour=red")).json() == 2
    assert (await client.get("/tasks?stars=1&stars=2")).status_code == 422


def test_no_other_parameter_is_known_unless_it_is_named() -> None:
    assert FilterQuery(FILTERS).others == []


def test_every_filter_is_in_openapi() -> None:
    described = app.openapi()["paths"]["/tasks"]["get"]["parameters"]
    params = {param["name"]: param for param in described}
    assert params.keys() == {*FILTERS.filters, "any", "q", "sort", "cursor", "size"}
    assert not any(param["required"] for param in described)
    assert {param["in"] for param in described} == {"query"}

    stars = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
    states = {"type": "string", "enum": ["open", "done"]}
    group = {"type": "string", "maxLength": 2000}
    expected = {
        "stars__ge": (stars, "is greater or equal"),
        "state": (states, "equals this"),
        "state__in": (
            {"type": "array", "items": states, "maxItems": 100},
            "is one of these",
        ),
        "owner__isnull": (
            {"type": "boolean"},
            "has no value (true), or has one (false)",
        ),
        "any": (
            {"type": "array", "items": group, "maxItems": 20},
            "a query string, of which one condition must hold; it may come repeatedly",
        ),
    }
    for name, (schema, text) in expected.items():
        found = dict(params[name]["schema"])
        found.pop("title")
        assert found.pop("description", text) == params[name]["description"] == text
        assert found == schema
    assert params["sort"]["description"] == (
        "some of stars, due_at, title, owner, labels, with commas; - before one:"
        " descending"
    )
    assert params["sort"]["schema"]["examples"] == ["-due_at"]
