"""Evals for snippets/fastapi_export.py, behind uvicorn and a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import httpx
import pytest
from fastapi import FastAPI, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.requests import ClientDisconnect
from starlette.types import Message

from evals.harness.network import serving
from snippets.bulk_insert import bulk_insert
from snippets.export_format import csv_chunks
from snippets.fastapi_export import Exports
from snippets.fastapi_session import SessionDep, SessionsDep


class Base(DeclarativeBase):
    pass


class Entry(Base):
    __tablename__ = "entry"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


Sessions = async_sessionmaker[AsyncSession]
ENTRIES = select(Entry.id, Entry.title).order_by(Entry.id)
# More than the buffers of the sockets and of the server hold.
MANY = 60_000


@pytest.fixture
def exports() -> Exports:
    return Exports(at_once=1)


def new_app(sessions: Sessions, exports: Exports) -> FastAPI:
    app = FastAPI()
    app.state.sessions = sessions

    @app.get("/entries.csv")
    async def as_csv(sessions: SessionsDep) -> Response:
        return exports.csv(sessions, ENTRIES, "äll entries.csv")

    @app.get("/sheet.csv")
    async def as_sheet(sessions: SessionsDep) -> Response:
        return exports.csv(sessions, ENTRIES, "sheet.csv", spreadsheet=True)

    @app.get("/entries.ndjson")
    async def as_ndjson(sessions: SessionsDep) -> Response:
        return exports.ndjson(sessions, ENTRIES, "entries.ndjson")

    @app.get("/wrong.csv")
    async def wrong(sessions: SessionsDep) -> Response:
        return exports.csv(sessions, text("SELECT nothing FROM nowhere"), "x")

    @app.get("/write.csv")
    async def write(sessions: SessionsDep) -> Response:
        stmt = text("INSERT INTO entry (id, title) VALUES (-1, 'x') RETURNING id")
        return exports.csv(sessions, stmt, "x")

    @app.get("/late.csv")
    async def late(sessions: SessionsDep) -> Response:
        stmt = text("SELECT id, 1 / (id - 900) FROM entry ORDER BY id")
        return exports.csv(sessions, stmt, "x")

    @app.get("/request-session.csv")
    async def with_the_requests_session(session: SessionDep) -> Response:
        return StreamingResponse(csv_chunks(session, ENTRIES))

    @app.get("/count")
    async def count(session: SessionDep) -> int | None:
        return await session.scalar(select(func.count(Entry.id)))

    return app


@pytest.fixture
async def client(
    sessions: Sessions, exports: Exports
) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(new_app(sessions, exports)) as client:
        yield client


@pytest.fixture
async def many(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        rows = ({"id": i, "title": f"entry {i} " + "x" * 100} for i in range(MANY))
        await bulk_insert(session, Entry, rows)


async def test_a_client_gets_every_row_under_the_name(
    client: httpx.AsyncClient, many: None, exports: Exports, engine: AsyncEngine
) -> None:
    answer = await client.get("/entries.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    name = "attachment; filename*=UTF-8''%C3%A4ll%20entries.csv"
    assert answer.headers["content-disposition"] == name
    lines = answer.text.splitlines()
    assert lines[:2] == ["id,title", "0,entry 0 " + "x" * 100]
    assert len(lines) == MANY + 1
    answer = await client.get("/entries.ndjson")
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert len(answer.text.splitlines()) == MANY
    assert exports.running == 0
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_an_empty_table_is_an_empty_export(client: httpx.AsyncClient) -> None:
    assert (await client.get("/entries.csv")).text == "id,title\r\n"
    assert (await client.get("/entries.ndjson")).text == ""


async def test_a_sheet_has_no_formulas(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    async with sessions.begin() as session:
        session.add(Entry(id=1, title="=1+1"))
    assert (await client.get("/entries.csv")).text == "id,title\r\n1,=1+1\r\n"
    assert (await client.get("/sheet.csv")).text == "\ufeffid,title\r\n1,'=1+1\r\n"


async def test_a_client_that_goes_away_frees_its_connection(
    client: httpx.AsyncClient, many: None, exports: Exports, engine: AsyncEngine
) -> None:
    for _ in range(3):
        async with client.stream("GET", "/entries.csv") as answer:
            async for _ in answer.aiter_bytes():
                break
            assert engine.pool.checkedout() == 1  # type: ignore[attr-defined]
        while exports.running:
            await client.get("/count")
        assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("way", ["error", "cancelled"])
async def test_a_body_that_is_not_wanted_any_more_is_closed_at_once(
    sessions: Sessions, many: None, exports: Exports, engine: AsyncEngine, way: str
) -> None:
    # Servers differ in how they tell: an error of `send`, or a cancellation.
    response = exports.csv(sessions, ENTRIES, "x")
    scope = {"type": "http", "asgi": {"spec_version": "2.4"}}
    with anyio.CancelScope() as client:

        async def send(message: Message) -> None:
            if len(message.get("body", b"")) > 100:
                client.cancel()
                await anyio.lowlevel.checkpoint()

        async def fail(message: Message) -> None:
            if len(message.get("body", b"")) > 100:
                raise OSError

        if way == "error":
            with pytest.raises(ClientDisconnect):
                await response(scope, anyio.sleep_forever, fail)  # type: ignore[arg-type]
        else:
            await response(scope, anyio.sleep_forever, send)  # type: ignore[arg-type]
    assert client.cancel_called == (way == "cancelled")
    assert exports.running == 0
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_one_export_too_many_is_told_to_wait_and_other_requests_go_on(
    client: httpx.AsyncClient, many: None, exports: Exports
) -> None:
    async with client.stream("GET", "/entries.csv"):
        busy = await client.get("/entries.csv")
        assert (busy.status_code, busy.headers["retry-after"]) == (503, "10")
        assert busy.json() == {"detail": "too many exports are running, try again"}
        assert (await client.get("/count")).json() == MANY
    while exports.running:
        await client.get("/count")
    assert (await client.get("/entries.csv")).status_code == 200


async def test_a_query_that_fails_at_once_is_an_error_response(
    client: httpx.AsyncClient, exports: Exports, engine: AsyncEngine
) -> None:
    assert (await client.get("/wrong.csv")).status_code == 500
    assert exports.running == 0
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_an_export_only_reads(client: httpx.AsyncClient, database: str) -> None:
    answer = await client.get("/write.csv")
    # PostgreSQL refuses it; SQLite drops what was written.
    assert answer.status_code == {"sqlite": 200, "postgresql": 500}[database]
    assert (await client.get("/count")).json() == 0


async def test_a_query_that_fails_later_breaks_the_download_off(
    client: httpx.AsyncClient, many: None, exports: Exports, database: str
) -> None:
    if database == "sqlite":
        # A division by zero is NULL there.
        assert (await client.get("/late.csv")).status_code == 200
        return
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get("/late.csv")
    assert exports.running == 0


async def test_a_reader_of_sqlite_waits_for_no_writer(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    async with sessions.begin() as writer:
        writer.add(Entry(title="uncommitted"))
        await writer.flush()
        assert (await client.get("/entries.csv")).text == "id,title\r\n"


@pytest.mark.trap("stream-after-session")
async def test_the_requests_session_is_closed_before_the_body_is_sent(
    client: httpx.AsyncClient, many: None
) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get("/request-session.csv")
