"""Evals for snippets/fastapi_pagination.py: a small application, over HTTP."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ForeignKey, Select, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    mapped_column,
    relationship,
    selectinload,
)

from snippets.fastapi_pagination import (
    MAX_SIZE,
    CursorPage,
    CursorQuery,
    LinksDep,
    OffsetPage,
    PageQuery,
    add_pagination_errors,
)
from snippets.keyset_pagination import Keyset
from snippets.offset_pagination import Count, Numbered
from snippets.sorting import SortFields

SECRET = b"from the settings"
NOON = datetime(2026, 1, 1, 12)


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "note"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    stars: Mapped[int | None]
    posted_at: Mapped[datetime]
    tags: Mapped[list[Tag]] = relationship(order_by="Tag.name")


class Tag(Base):
    __tablename__ = "tag"

    note_id: Mapped[int] = mapped_column(ForeignKey("note.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)


class TagRead(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    name: str


class NoteRead(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    title: str
    tags: list[TagRead]


class MovingPage(BaseModel):
    """What the endpoint has always answered, and the way to cursors."""

    model_config = ConfigDict(from_attributes=True)

    items: list[NoteRead]
    has_next: bool
    next_cursor: str | None = None


SORTS = SortFields(
    {"stars": Note.stars, "posted_at": Note.posted_at, "title": func.lower(Note.title)},
    default="-posted_at",
)


def get_sessions() -> async_sessionmaker[AsyncSession]:
    raise NotImplementedError


Sessions = Annotated[async_sessionmaker[AsyncSession], Depends(get_sessions)]


def filtered(tag: str | None = None, min_stars: int | None = None) -> Select[Any]:
    stmt = select(Note).options(selectinload(Note.tags))
    if tag is not None:
        stmt = stmt.where(Note.tags.any(Tag.name == tag))
    if min_stars is not None:
        stmt = stmt.where(Note.stars >= min_stars)
    return stmt


Notes = Annotated[Select[Any], Depends(filtered)]
app = FastAPI()
add_pagination_errors(app)


@app.get("/notes")
async def list_notes(
    sessions: Sessions,
    stmt: Notes,
    params: CursorQuery,
    links: LinksDep,
    sort: str | None = None,
) -> CursorPage[NoteRead]:
    order = Keyset(Note, *SORTS.parse(sort))
    async with sessions() as session:
        page = await order.fetch(
            session, stmt, size=params.size, cursor=params.cursor, secret=SECRET
        )
    links.cursors(page)
    return CursorPage[NoteRead].model_validate(page)


@app.get("/pages")
async def number_notes(
    sessions: Sessions,
    stmt: Notes,
    params: PageQuery,
    links: LinksDep,
    sort: str | None = None,
    count: Count = "exact",
) -> OffsetPage[NoteRead]:
    order = Numbered(Note, *SORTS.parse(sort))
    async with sessions() as session:
        page = await order.fetch(
            session, stmt, page=params.page, per_page=params.per_page, count=count
        )
    links.numbers(page)
    return OffsetPage[NoteRead].model_validate(page)


@app.get("/moving")
async def list_notes_both_ways(
    sessions: Sessions, stmt: Notes, params: PageQuery, cursor: str | None = None
) -> MovingPage:
    number, size = params
    page: Any
    async with sessions() as session:
        if number > 1 and cursor is None:
            pages = Numbered(Note, Note.posted_at.desc())
            page = await pages.fetch(session, stmt, page=number, per_page=size)
        else:
            newest = Keyset(Note, Note.posted_at.desc())
            page = await newest.fetch(session, stmt, size=size, cursor=cursor)
    return MovingPage.model_validate(page)


@pytest.fixture
async def client(
    sessions: async_sessionmaker[AsyncSession],
) -> AsyncIterator[httpx.AsyncClient]:
    notes = [
        {
            "id": i,
            "title": f"Note {i}",
            "stars": None if i % 3 == 0 else i % 4,
            "posted_at": NOON + timedelta(hours=i // 2),
        }
        for i in range(1, 12)
    ]
    tags = [{"note_id": i, "name": "odd" if i % 2 else "even"} for i in range(1, 12)]
    tags += [{"note_id": i, "name": "all"} for i in range(1, 12)]
    async with sessions.begin() as session:
        await session.execute(insert(Note), notes)
        await session.execute(insert(Tag), tags)
    app.dependency_overrides[get_sessions] = lambda: sessions
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        yield client


def ids(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


def links_of(answer: httpx.Response) -> dict[str, str]:
    found = re.findall(r'<([^>]*)>; rel="(\w+)"', answer.headers["Link"])
    return {relation: url for url, relation in found}


async def follow(client: httpx.AsyncClient, url: str, relation: str) -> list[list[int]]:
    pages: list[list[int]] = []
    while True:
        answer = await client.get(url)
        pages.append(ids(answer))
        links = links_of(answer)
        if relation not in links:
            return pages
        url = links[relation]


async def test_links_lead_through_a_filtered_and_sorted_list(
    client: httpx.AsyncClient,
) -> None:
    url = "/notes?tag=odd&sort=-stars&size=2"
    forward = await follow(client, url, "next")
    assert forward == [[11, 7], [5, 1], [9, 3]]
    last = links_of(await client.get(url))["last"]
    assert await follow(client, last, "prev") == forward[::-1]


async def test_an_answer_says_where_it_stands(client: httpx.AsyncClient) -> None:
    first = (await client.get("/notes?size=4")).json()
    assert first["items"][0] == {
        "id": 11,
        "title": "Note 11",
        "tags": [{"name": "all"}, {"name": "odd"}],
    }
    assert (first["has_next"], first["has_previous"]) == (True, False)
    assert (first["previous_cursor"], first["total"]) == (None, None)
    cursor = first["next_cursor"]
    second = (await client.get("/notes", params={"size": 4, "cursor": cursor})).json()
    assert (second["has_next"], second["has_previous"]) == (True, True)
    assert set(first) == set(CursorPage.model_fields)


async def test_the_first_and_last_link_are_always_there(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/notes?size=50&tag=odd")
    assert links_of(answer) == {
        "first": "http://api/notes?size=50&tag=odd",
        "last": "http://api/notes?size=50&tag=odd&cursor=last",
    }
    middle = links_of(await client.get("/notes?size=2"))["next"]
    assert links_of(await client.get(middle))["first"] == "http://api/notes?size=2"


async def test_a_page_emptied_meanwhile_leads_back(
    client: httpx.AsyncClient, sessions: async_sessionmaker[AsyncSession]
) -> None:
    url = links_of(await client.get("/notes?size=6"))["next"]
    async with sessions.begin() as session:
        await session.execute(delete(Tag).where(Tag.note_id < 6))
        await session.execute(delete(Note).where(Note.id < 6))
    answer = await client.get(url)
    assert ids(answer) == []
    assert "next" not in links_of(answer)
    back = await client.get(links_of(answer)["prev"])
    assert ids(back) == [11, 10, 9, 8, 7, 6]
    assert "next" not in links_of(back)


def tampered(cursor: str) -> list[str]:
    data = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    changed = [
        data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        for place in range(0, len(data), 5)
    ]
    encoded = [base64.urlsafe_b64encode(each).decode().rstrip("=") for each in changed]
    return [*encoded, cursor[:-1], cursor + "A", cursor[::-1], "zzz", "é", "", " ", "1"]


@pytest.mark.trap("cursor-500")
async def test_no_cursor_gives_a_500_or_another_page(client: httpx.AsyncClient) -> None:
    cursor = (await client.get("/notes?size=2")).json()["next_cursor"]
    for bad in tampered(cursor):
        answer = await client.get("/notes", params={"size": 2, "cursor": bad})
        assert answer.status_code == 400, bad
        assert answer.json() == {
            "detail": "the cursor does not belong to this list: start again without one"
        }
    huge = await client.get("/notes", params={"cursor": "A" * 5000})
    assert huge.status_code == 422
    for other in ({"sort": "stars"}, {"tag": "odd"}, {"min_stars": "1"}):
        answer = await client.get("/notes", params={"cursor": cursor, **other})
        assert answer.status_code == 400, other
    resized = await client.get("/notes", params={"cursor": cursor, "size": 3})
    assert ids(resized) == [9, 8, 7]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("size=0", 422),
        (f"size={MAX_SIZE + 1}", 422),
        (f"size={MAX_SIZE}", 200),
        ("size=x", 422),
        ("sort=password", 400),
        ("sort=stars,-stars", 400),
    ],
)
async def test_parameters_have_limits(
    client: httpx.AsyncClient, query: str, status: int
) -> None:
    assert (await client.get(f"/notes?{query}")).status_code == status


async def test_numbered_pages_have_totals_and_links(client: httpx.AsyncClient) -> None:
    answer = await client.get("/pages?tag=all&min_stars=0&sort=title&per_page=3&page=2")
    found = answer.json()
    assert ids(answer) == [2, 4, 5]
    assert {key: found[key] for key in found if key != "items"} == {
        "page": 2,
        "per_page": 3,
        "has_next": True,
        "total": 8,
        "total_is_exact": True,
        "pages": 3,
    }
    base = "http://api/pages?tag=all&min_stars=0&sort=title&per_page=3&page="
    assert links_of(answer) == {
        "first": base + "1",
        "prev": base + "1",
        "next": base + "3",
        "last": base + "3",
    }
    assert answer.headers["Link"].startswith(
        f'<{base}1>; rel="first", <{base}1>; rel="prev", <'
    )
    uncounted = await client.get("/pages?per_page=5&page=2&count=none")
    assert uncounted.json()["pages"] is None
    assert links_of(uncounted).keys() == {"first", "prev", "next"}
    assert await follow(client, "/pages?per_page=5", "next") == [
        [11, 10, 9, 8, 7],
        [6, 5, 4, 3, 2],
        [1],
    ]
    beyond = await client.get("/pages?page=9")
    assert ids(beyond) == []
    assert "next" not in links_of(beyond)
    assert "prev" not in links_of(await client.get("/pages"))


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("page=0", 422),
        ("per_page=0", 422),
        (f"per_page={MAX_SIZE + 1}", 422),
        ("page=1000000", 400),
        ("sort=id", 400),
    ],
)
async def test_numbered_pages_have_limits(
    client: httpx.AsyncClient, query: str, status: int
) -> None:
    assert (await client.get(f"/pages?{query}")).status_code == status


async def test_an_endpoint_moves_from_pages_to_cursors_without_breaking_clients(
    client: httpx.AsyncClient,
) -> None:
    old = [ids(await client.get(f"/moving?per_page=4&page={n}")) for n in (1, 2, 3, 4)]
    assert old == [[11, 10, 9, 8], [7, 6, 5, 4], [3, 2, 1], []]
    new: list[list[int]] = []
    cursor = None
    while True:
        params = {"per_page": "4"} | ({"cursor": cursor} if cursor else {})
        answer = await client.get("/moving", params=params)
        new.append(ids(answer))
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            break
    assert new == old[:-1]


def test_openapi_names_each_answer_and_limit() -> None:
    schema = app.openapi()
    assert {"CursorPage_NoteRead_", "OffsetPage_NoteRead_"} <= schema["components"][
        "schemas"
    ].keys()
    page = schema["components"]["schemas"]["CursorPage_NoteRead_"]
    assert page["properties"]["items"]["items"] == {
        "$ref": "#/components/schemas/NoteRead"
    }
    parameters = schema["paths"]["/notes"]["get"]["parameters"]
    limits = {each["name"]: each["schema"] for each in parameters}
    assert limits["size"]["maximum"] == MAX_SIZE == 200
    assert "total" not in page["required"]
    assert page["properties"]["total"].get("default") is None
    assert limits["size"]["default"] == 50
    assert limits["cursor"]["anyOf"][0]["maxLength"] == 4096
    assert not limits.keys() - {"size", "cursor", "tag", "min_stars", "sort"}
    numbered = schema["paths"]["/pages"]["get"]["parameters"]
    defaults = {each["name"]: each["schema"].get("default") for each in numbered}
    assert (defaults["page"], defaults["per_page"]) == (1, 50)
