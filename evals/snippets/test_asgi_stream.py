"""Evals for snippets/asgi_stream.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from itertools import cycle
from typing import Annotated

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Request
from fastapi.responses import StreamingResponse
from httpx import ASGITransport, AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.types import ASGIApp, Receive, Scope, Send

from snippets.asgi_stream import StreamingTransport
from snippets.connection_leak import checked_out
from snippets.fastapi_client import open_app
from snippets.fastapi_session import SessionDep, SessionsDep, get_session

Sessions = async_sessionmaker[AsyncSession]


class Base(DeclarativeBase):
    pass


class Song(Base):
    __tablename__ = "song"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


class Announcer:
    """Wakes those who wait for a new song."""

    def __init__(self) -> None:
        self.condition = asyncio.Condition()
        self.sent = 0
        self.sent_three = asyncio.Event()


def new_app() -> FastAPI:
    app = FastAPI()
    app.state.announcer = Announcer()

    @app.post("/songs")
    async def add(title: str, sessions: SessionsDep, request: Request) -> None:
        async with sessions.begin() as session:
            session.add(Song(title=title))
        announcer: Announcer = request.app.state.announcer
        async with announcer.condition:
            announcer.condition.notify_all()

    @app.get("/events")
    async def events(sessions: SessionsDep, request: Request) -> StreamingResponse:
        announcer: Announcer = request.app.state.announcer

        async def new_songs() -> AsyncIterator[str]:
            seen = 0
            while True:
                async with announcer.condition:
                    async with sessions() as session:
                        newer = select(Song).where(Song.id > seen).order_by(Song.id)
                        songs = (await session.scalars(newer)).all()
                    if not songs:
                        await announcer.condition.wait()
                for song in songs:
                    seen = song.id
                    announcer.sent += 1
                    if announcer.sent == 3:
                        announcer.sent_three.set()
                    yield f"data: {song.title}\n\n"

        return StreamingResponse(new_songs(), media_type="text/event-stream")

    @app.get("/rows")
    async def rows(
        session: Annotated[AsyncSession, Depends(get_session, scope="request")],
    ) -> StreamingResponse:
        titles = (await session.scalars(select(Song.title))).all()

        async def lines() -> AsyncIterator[str]:
            for title in cycle(titles):
                yield f"{title}\n"

        return StreamingResponse(lines())

    @app.post("/upload")
    async def upload(request: Request, session: SessionDep) -> list[str]:
        chunks = [chunk.decode() async for chunk in request.stream() if chunk]
        session.add_all(Song(title=title) for title in chunks)
        return chunks

    @app.post("/later")
    async def later(sessions: SessionsDep, tasks: BackgroundTasks) -> str:
        async def add_later() -> None:
            async with sessions.begin() as session:
                session.add(Song(title="later"))

        tasks.add_task(add_later)
        return "accepted"

    @app.get("/broken")
    async def broken(started: bool) -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            yield "one\n"
            raise ZeroDivisionError

        if not started:
            raise ZeroDivisionError
        return StreamingResponse(lines())

    return app


@asynccontextmanager
async def streaming_client(
    app: FastAPI, sessions: Sessions
) -> AsyncGenerator[AsyncClient, None]:
    async with open_app(app, sessions) as asgi:
        transport = StreamingTransport(asgi)
        async with AsyncClient(transport=transport, base_url="http://test") as client:
            yield client


@pytest.mark.trap("buffered-body")
async def test_the_transport_of_httpx_answers_when_the_stream_has_ended(
    sessions: Sessions,
) -> None:
    app = new_app()
    async with sessions.begin() as session:
        session.add_all(Song(title=title) for title in "abc")
    async with open_app(app, sessions) as asgi:
        transport = ASGITransport(asgi)
        async with AsyncClient(transport=transport, base_url="http://test") as client:
            request = asyncio.create_task(client.get("/events"))
            await app.state.announcer.sent_three.wait()
            assert not request.done()  # three were sent, and not even the status came
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request


async def test_events_arrive_while_the_application_waits_for_the_next(
    sessions: Sessions, engine: AsyncEngine
) -> None:
    async with streaming_client(new_app(), sessions) as client:
        async with client.stream("GET", "/events") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            events = (line async for line in response.aiter_lines() if line)
            for title in ("one", "two"):
                await client.post(f"/songs?title={title}")
                assert await anext(events) == f"data: {title}"
        assert checked_out(engine) == 0


async def test_who_leaves_early_ends_the_application_and_its_session(
    sessions: Sessions, engine: AsyncEngine
) -> None:
    async with sessions.begin() as session:
        session.add(Song(title="one"))
    async with streaming_client(new_app(), sessions) as client:
        async with client.stream("GET", "/rows") as response:
            assert await anext(response.aiter_lines()) == "one"
            assert checked_out(engine) == 1
        assert checked_out(engine) == 0


async def test_a_body_is_sent_in_its_parts(sessions: Sessions) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async with streaming_client(new_app(), sessions) as client:
        assert (await client.post("/upload", content=parts())).json() == ["one", "two"]
        assert (await client.post("/upload", content=b"all")).json() == ["all"]
    async with sessions() as session:
        assert len((await session.scalars(select(Song))).all()) == 3


async def test_who_reads_all_waits_for_background_tasks(sessions: Sessions) -> None:
    async with streaming_client(new_app(), sessions) as client:
        assert (await client.post("/later")).json() == "accepted"
        async with sessions() as session:
            assert (await session.scalars(select(Song.title))).all() == ["later"]


async def test_what_the_application_raises_reaches_the_test(sessions: Sessions) -> None:
    async with streaming_client(new_app(), sessions) as client:
        with pytest.raises(ZeroDivisionError):
            await client.get("/broken?started=false")
        with pytest.raises(ZeroDivisionError):
            await client.get("/broken?started=true")
        with pytest.raises(ZeroDivisionError):
            async with client.stream("GET", "/broken?started=true") as response:
                assert await anext(response.aiter_text()) == "one\n"
                await anext(response.aiter_text())


def client_of(app: ASGIApp) -> AsyncClient:
    return AsyncClient(transport=StreamingTransport(app), base_url="http://test")


async def test_an_application_without_an_answer_is_an_error() -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None: ...

    async with client_of(silent) as client:
        with pytest.raises(AssertionError, match="ended without an answer"):
            await client.get("/")


async def test_after_the_answer_the_application_is_told_that_it_is_over() -> None:
    received = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        received.append(await receive())
        received.append(await receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body"})
        received.append(await receive())

    async with client_of(app) as client:
        assert (await client.post("/", content=b"x")).text == "a"
    assert received == [
        {"type": "http.request", "body": b"x", "more_body": True},
        {"type": "http.request", "body": b"", "more_body": False},
        {"type": "http.disconnect"},
    ]
