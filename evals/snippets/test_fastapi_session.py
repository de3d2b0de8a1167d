"""Evals for snippets/fastapi_session.py, behind uvicorn and a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import httpx
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, WebSocket
from sqlalchemy import URL, ForeignKey, func, literal, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from evals.harness.network import serving
from snippets.connection_check import DatabaseUnavailable
from snippets.fastapi_session import (
    ReadSessionDep,
    SessionDep,
    SessionsDep,
    get_session,
    get_sessions,
    lifespan,
)

Sessions = async_sessionmaker[AsyncSession]


class Base(DeclarativeBase):
    pass


class Ticket(Base):
    __tablename__ = "ticket"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    # Checked when the transaction commits, not when the row is written.
    parent_id: Mapped[int | None] = mapped_column(
        ForeignKey("ticket.id", deferrable=True, initially="DEFERRED")
    )


app = FastAPI()


@app.post("/tickets")
async def add(title: str, session: SessionDep, parent: int | None = None) -> int:
    ticket = Ticket(title=title, parent_id=parent)
    session.add(ticket)
    await session.flush()
    if title == "refused":
        raise HTTPException(409)
    return ticket.id


@app.get("/tickets")
async def count(session: ReadSessionDep) -> int | None:
    return await session.scalar(select(func.count()).select_from(Ticket))


@app.get("/report")
async def report(tasks: BackgroundTasks, session: ReadSessionDep) -> None:
    await session.execute(select(Ticket.id))
    tasks.add_task(app.state.answered)


@app.post("/read-only")
async def write_in_a_read_session(session: ReadSessionDep) -> None:
    session.add(Ticket(title="lost"))
    await session.flush()


@app.post("/later")
async def later(
    tasks: BackgroundTasks, session: SessionDep, sessions: SessionsDep
) -> None:
    session.add(Ticket(title="now"))

    async def follow() -> None:
        async with sessions.begin() as own:
            seen = await own.scalar(select(func.count()).select_from(Ticket))
            own.add(Ticket(title=f"saw {seen}"))

    tasks.add_task(follow)


# The same dependency without its scope.
Late = Annotated[AsyncSession, Depends(get_session)]


@app.post("/late")
async def add_late(title: str, session: Late, parent: int | None = None) -> str:
    session.add(Ticket(title=title, parent_id=parent))
    return "ok"


@app.post("/slow")
async def slow(session: SessionDep) -> None:
    session.add(Ticket(title="slow"))
    await session.flush()
    app.state.reached.set()
    await app.state.go_on.wait()


@app.websocket("/ws")
async def socket(websocket: WebSocket, sessions: SessionsDep) -> None:
    await websocket.accept()
    async with sessions.begin() as session:
        session.add(Ticket(title=await websocket.receive_text()))
    await websocket.send_text("stored")
    await websocket.close()


@pytest.fixture
async def client(sessions: Sessions) -> AsyncIterator[httpx.AsyncClient]:
    app.state.sessions = sessions
    async with serving(app) as client:
        yield client


async def titles(sessions: Sessions) -> list[str]:
    async with sessions() as session:
        return list(await session.scalars(select(Ticket.title).order_by(Ticket.title)))


async def test_the_client_reads_its_own_write(client: httpx.AsyncClient) -> None:
    assert (await client.post("/tickets?title=a")).status_code == 200
    assert (await client.get("/tickets")).json() == 1


async def test_a_commit_that_fails_is_an_error_response(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    answer = await client.post("/tickets?title=orphan&parent=-1")
    assert answer.status_code == 500
    assert await titles(sessions) == []

    assert (await client.post("/tickets?title=next")).status_code == 200
    assert await titles(sessions) == ["next"]


@pytest.mark.trap("answered-before-commit")
async def test_without_the_scope_a_failed_commit_is_answered_with_200(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    answer = await client.post("/late?title=orphan&parent=-1")
    assert (answer.status_code, answer.json()) == (200, "ok")
    assert await titles(sessions) == []


async def test_a_handler_that_raises_rolls_back_and_the_next_request_works(
    client: httpx.AsyncClient, sessions: Sessions, engine: AsyncEngine
) -> None:
    for _ in range(12):  # more than the pool holds
        assert (await client.post("/tickets?title=refused")).status_code == 409
    assert (await client.post("/tickets?title=kept")).status_code == 200
    assert await titles(sessions) == ["kept"]
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_a_background_task_sees_what_the_request_committed(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    assert (await client.post("/later")).status_code == 200
    # The server ends a request's tasks before it takes the connection's next one.
    await client.get("/tickets")
    assert await titles(sessions) == ["now", "saw 1"]


async def test_a_client_that_goes_away_leaks_nothing_and_its_write_stands(
    client: httpx.AsyncClient, sessions: Sessions, engine: AsyncEngine
) -> None:
    app.state.reached, app.state.go_on = asyncio.Event(), asyncio.Event()
    impatient = asyncio.create_task(client.post("/slow"))
    await app.state.reached.wait()
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    app.state.go_on.set()

    # Writers take turns on SQLite, so this one ends after the abandoned one.
    for _ in range(3):
        assert (await client.post("/tickets?title=next")).status_code == 200
    assert "slow" in await titles(sessions)
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_requests_at_the_same_time_have_sessions_of_their_own(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    posts = [client.post(f"/tickets?title={number}") for number in range(15)]
    answers = await asyncio.gather(*posts)
    assert [answer.status_code for answer in answers] == [200] * 15
    assert len({answer.json() for answer in answers}) == 15
    assert len(await titles(sessions)) == 15


async def test_a_read_session_stores_nothing(
    client: httpx.AsyncClient, sessions: Sessions, database: str
) -> None:
    answer = await client.post("/read-only")
    # PostgreSQL refuses the write; SQLite has no such transaction and drops it.
    assert answer.status_code == {"sqlite": 200, "postgresql": 500}[database]
    assert await titles(sessions) == []


async def test_a_read_session_gives_its_connection_back_before_the_answer(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    held: list[int] = []
    app.state.answered = lambda: held.append(engine.pool.checkedout())  # type: ignore[attr-defined]
    assert (await client.get("/report")).status_code == 200
    await client.get("/tickets")  # after the task of the request before
    assert held == [0]


async def test_a_reader_waits_for_no_writer(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    async with sessions.begin() as writer:
        writer.add(Ticket(title="uncommitted"))
        await writer.flush()
        assert (await client.get("/tickets")).json() == 0


async def talk(path: str, text: str) -> list[str]:
    """Say `text` to the application's WebSocket; return what it answers."""
    scope = {"type": "websocket", "path": path, "query_string": b"", "headers": []}
    said = iter(
        [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": text}]
    )
    heard: list[str] = []

    async def receive() -> dict[str, str]:
        return next(said)

    async def send(message: dict[str, str]) -> None:
        heard.append(message.get("text") or message["type"])

    await app(scope, receive, send)  # type: ignore[arg-type]
    return heard


async def test_a_websocket_gets_the_factory_too(sessions: Sessions) -> None:
    app.state.sessions = sessions
    heard = await talk("/ws", "by socket")
    assert heard == ["websocket.accept", "stored", "websocket.close"]
    assert await titles(sessions) == ["by socket"]


@pytest.fixture
def configured(
    fresh_database: URL, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    url = fresh_database.render_as_string(hide_password=False)
    monkeypatch.setenv("DATABASE_URL", url)
    return monkeypatch


async def test_the_lifespan_opens_the_database_and_closes_it(
    configured: pytest.MonkeyPatch,
) -> None:
    app = FastAPI(lifespan=lifespan)

    @app.get("/answer")
    async def answer(session: SessionDep) -> int | None:
        return await session.scalar(select(literal(42)))

    async with serving(app) as client:
        assert (await client.get("/answer")).json() == 42
        engine = app.state.sessions.kw["bind"]
        assert engine.pool.checkedin() == 1
    assert engine.pool.checkedin() == 0


async def test_the_lifespan_does_not_start_without_a_database(
    configured: pytest.MonkeyPatch, tmp_path: object, database: str
) -> None:
    wrong = {
        "sqlite": f"sqlite:///{tmp_path}/missing/app.db",
        "postgresql": "postgresql://ann:s3cret@127.0.0.1:1/shop",
    }
    configured.setenv("DATABASE_URL", wrong[database])
    with pytest.raises(DatabaseUnavailable) as caught:
        async with lifespan(FastAPI()):
            raise AssertionError
    assert "s3cret" not in str(caught.value)


async def test_tests_may_override_the_factory(sessions: Sessions) -> None:
    app.state.sessions = None
    app.dependency_overrides[get_sessions] = lambda: sessions
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        assert (await client.post("/tickets?title=a")).status_code == 200
    app.dependency_overrides.clear()
    assert await titles(sessions) == ["a"]
