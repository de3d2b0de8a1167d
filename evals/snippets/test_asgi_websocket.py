"""Evals for snippets/asgi_websocket.py."""

from __future__ import annotations

import json
import warnings
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Header, WebSocket, WebSocketException
from sqlalchemy import URL, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from snippets.asgi_websocket import WebSocketClient, WebSocketClosed, open_websocket
from snippets.connection_leak import checked_out
from snippets.engine import new_engine
from snippets.fastapi_client import open_app
from snippets.fastapi_session import SessionsDep
from snippets.query_assertions import count_rows
from snippets.session import new_sessions

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer ones prefer another httpx
    from starlette.testclient import TestClient

Sessions = async_sessionmaker[AsyncSession]


class Base(DeclarativeBase):
    pass


class Message(Base):
    __tablename__ = "message"

    id: Mapped[int] = mapped_column(primary_key=True)
    author: Mapped[str]
    text: Mapped[str]


async def signed_in(user: Annotated[str | None, Header()] = None) -> str:
    if user is None:
        raise WebSocketException(1008, "who are you?")
    return user


def new_app() -> FastAPI:
    app = FastAPI()
    rooms: dict[str, list[WebSocket]] = {}

    @app.websocket("/rooms/{room}")
    async def chat(
        socket: WebSocket,
        room: str,
        sessions: SessionsDep,
        user: Annotated[str, Depends(signed_in)],
        since: int = 0,
    ) -> None:
        await socket.accept()
        members = rooms.setdefault(room, [])
        members.append(socket)
        await socket.send_json({"members": len(members), "since": since})
        try:
            while True:
                said = await socket.receive_json()
                async with sessions.begin() as session:
                    session.add(Message(author=user, text=said))
                for member in members:
                    await member.send_json({user: said})
        finally:
            members.remove(socket)

    @app.websocket("/held")
    async def holds_a_session(socket: WebSocket, sessions: SessionsDep) -> None:
        async with sessions() as session:
            await session.execute(select(Message))
            await socket.accept()
            await socket.send_text(str(await session.scalar(select(func.count(1)))))
            with pytest.raises(WebSocketDisconnect) as caught:
                await socket.receive_text()
            assert caught.value.code == 1000

    @app.websocket("/echo")
    async def echo(socket: WebSocket) -> None:
        await socket.accept("v2" if "v2" in socket.scope["subprotocols"] else None)
        while True:
            received = await socket.receive()
            if (said := received.get("text")) == "close":
                await socket.close(4001, "as you said")
                return
            if said == "fail":
                raise ZeroDivisionError
            if received["type"] == "websocket.disconnect":
                return
            if isinstance(said, str):
                await socket.send_text(said)
            else:
                await socket.send_bytes(received["bytes"])

    return app


async def test_what_is_sent_is_stored_before_it_comes_back(
    sessions: Sessions,
) -> None:
    ann, bob = {"user": "ann"}, {"user": "bob"}
    async with (
        open_app(new_app(), sessions) as app,
        open_websocket(app, "/rooms/tea?since=7", headers=ann) as first,
    ):
        assert await first.receive_json() == {"members": 1, "since": 7}
        async with open_websocket(app, "/rooms/tea", headers=bob) as second:
            assert await second.receive_json() == {"members": 2, "since": 0}
            await second.send_json("hello")
            for socket in (first, second):
                assert await socket.receive_json() == {"bob": "hello"}
            assert await count_rows(sessions, Message, Message.author == "bob") == 1
        await first.send_json("alone?")
        assert await first.receive_json() == {"ann": "alone?"}
        async with open_websocket(app, "/rooms/tea", headers=bob) as again:
            assert (await again.receive_json())["members"] == 2


async def test_who_is_refused_learns_the_code(sessions: Sessions) -> None:
    async with open_app(new_app(), sessions) as app:
        with pytest.raises(WebSocketClosed, match="1008 who are you") as caught:
            async with open_websocket(app, "/rooms/tea"):
                raise AssertionError
    assert caught.value.code == 1008


async def test_who_leaves_waits_until_the_session_of_the_application_is_closed(
    sessions: Sessions, engine: AsyncEngine
) -> None:
    async with open_app(new_app(), sessions) as app:
        async with open_websocket(app, "/held") as socket:
            assert await socket.receive() == "1"
            assert checked_out(engine) == 1
        assert checked_out(engine) == 0
        with pytest.raises(KeyError):
            async with open_websocket(app, "/held"):
                raise KeyError  # a test that fails leaves too
        assert checked_out(engine) == 0


async def test_text_and_bytes_and_a_subprotocol() -> None:
    app = new_app()
    async with open_websocket(app, "/echo", subprotocols=["v1", "v2"]) as socket:
        assert socket.subprotocol == "v2"
        await socket.send("")
        assert await socket.receive() == ""
        await socket.send(b"\x00")
        assert await socket.receive() == b"\x00"
        await socket.send_json({"a": [1]})
        received = await socket.receive()
        assert json.loads(received) == {"a": [1]}
    async with open_websocket(app, "/echo") as socket:
        assert socket.subprotocol is None


async def test_when_the_application_closes_the_client_learns_why() -> None:
    async with open_websocket(new_app(), "/echo") as socket:
        await socket.send("close")
        with pytest.raises(WebSocketClosed, match="4001 as you said"):
            await socket.receive()
        with pytest.raises(WebSocketClosed, match="1006"):
            await socket.receive()


async def test_what_the_application_raises_reaches_the_test() -> None:
    async def fails(socket: WebSocketClient) -> None:
        await socket.send("fail")
        with pytest.raises(ZeroDivisionError):
            await socket.receive()

    with pytest.raises(ZeroDivisionError):
        async with open_websocket(new_app(), "/echo") as socket:
            await fails(socket)


@pytest.mark.parametrize(
    ("last", "code"), [([], 1006), ([{"type": "websocket.close"}], 1000)]
)
async def test_an_application_that_says_less_has_closed_too(
    last: list[dict[str, Any]], code: int
) -> None:
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        assert await receive() == {"type": "websocket.connect"}
        for message in [{"type": "websocket.accept"}, *last]:
            await send(message)

    async with open_websocket(app, "/any") as socket:
        with pytest.raises(WebSocketClosed) as caught:
            await socket.receive()
    assert caught.value.code == code
    assert str(caught.value) == f"the application closed: {code} "
    scope = scopes[0]
    assert (scope["type"], scope["scheme"]) == ("websocket", "ws")
    assert scope["path"] == "/any"


@pytest.mark.trap("other-loop")
async def test_the_client_of_starlette_cannot_use_the_connections_of_the_test(
    fresh_database: URL, database: str
) -> None:
    engine = new_engine(fresh_database)
    async with engine.begin() as connection:  # it goes back to the pool
        await connection.execute(text("SELECT 1"))
    app = new_app()
    app.state.sessions = new_sessions(engine)

    @app.websocket("/query")
    async def query(socket: WebSocket, sessions: SessionsDep) -> None:
        await socket.accept()
        async with sessions() as session:
            await socket.send_text(str(await session.scalar(text("SELECT 41 + 1"))))

    async with open_websocket(app, "/query") as ours:
        assert await ours.receive() == "42"

    with TestClient(app) as client:
        if database == "sqlite":  # aiosqlite works from any loop
            with client.websocket_connect("/query") as socket:
                assert socket.receive_text() == "42"
        else:
            with pytest.raises(RuntimeError, match="attached to a different loop"):
                with client.websocket_connect("/query") as socket:
                    socket.receive_text()
    await engine.dispose()
