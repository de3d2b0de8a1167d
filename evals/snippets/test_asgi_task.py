"""Evals for snippets/asgi_task.py."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import Message, Receive, Scope, Send

from evals.harness.network import serving
from snippets import asgi_task
from snippets.asgi_task import AsgiTask, StillRunning, connection_scope
from snippets.connection_leak import checked_out


async def receive() -> Message:
    return {"type": "http.disconnect"}


def start(work: Callable[[Send], Awaitable[None]]) -> AsgiTask:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await work(send)

    return AsgiTask(app, {}, receive)


async def turns() -> None:
    """Let the other tasks do all that they can do now."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_each_message_waits_for_its_reader() -> None:
    begun: list[int] = []

    async def work(send: Send) -> None:
        for number in range(4):
            begun.append(number)
            await send({"type": "count", "number": number})

    task = start(work)
    await turns()
    assert begun == [0]
    first, second = await task.message(), await task.message()
    assert first
    assert second
    assert [first["number"], second["number"]] == [0, 1]
    await turns()
    assert begun == [0, 1, 2]
    assert await task.message()
    assert await task.message()
    assert await task.message() is None


async def test_a_reader_learns_that_nothing_comes_any_more() -> None:
    async def work(send: Send) -> None:
        await turns()

    assert await start(work).message() is None


async def test_what_the_application_raises_follows_its_messages() -> None:
    async def work(send: Send) -> None:
        await send({"type": "last"})
        raise ZeroDivisionError

    task = start(work)
    assert await task.message() == {"type": "last"}
    with pytest.raises(ZeroDivisionError):
        await task.message()
    with pytest.raises(ZeroDivisionError):
        await task.end()


async def test_an_application_whose_reader_left_sends_into_the_void(
    engine: AsyncEngine,
) -> None:
    """As on a server. It holds its connection until it looks whether to end."""
    left = asyncio.Event()

    async def work(send: Send) -> None:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
            while not left.is_set():
                await send({"type": "more"})

    task = start(work)
    assert await task.message() == {"type": "more"}
    assert checked_out(engine) == 1

    async def look() -> None:
        await turns()
        left.set()

    await asyncio.gather(task.end(), look())
    assert checked_out(engine) == 0


async def test_an_application_that_never_ends_is_cancelled_and_reported(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(send: Send) -> None:
        async with engine.connect():
            await send({"type": "more"})
            await asyncio.Event().wait()

    assert asgi_task.PATIENCE == 5
    monkeypatch.setattr(asgi_task, "PATIENCE", 0.01)
    task = start(work)
    await task.message()
    with pytest.raises(StillRunning, match=r"0\.01 seconds .* `receive\(\)` returns a"):
        await task.end()
    assert checked_out(engine) == 0


@pytest.mark.parametrize("number_read", [0, 1])
async def test_a_reader_that_is_cancelled_cancels_the_application(
    engine: AsyncEngine, number_read: int
) -> None:
    working = asyncio.Event()
    ended: list[str] = []

    async def work(send: Send) -> None:
        async with engine.connect() as connection:
            for _ in range(number_read):
                await send({"type": "more"})
            working.set()
            try:
                await asyncio.Event().wait()
            finally:
                await connection.execute(text("SELECT 1"))
                ended.append("cleanly")

    async def read() -> None:
        while await task.message():
            pass

    task = start(work)
    reader = asyncio.create_task(read())
    await working.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert ended == ["cleanly"]
    assert checked_out(engine) == 0


async def test_the_scope_is_that_of_a_server() -> None:
    seen: list[dict[str, Any]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        seen.append(dict(scope))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    path = "/notes/caf%C3%A9%2F1?page=2&q=%20"
    async with serving(app) as client:
        request = client.build_request("PUT", path, headers={"X-User": "Me"})
        await client.send(request)
    ours = connection_scope("http", request)
    theirs = seen[0]

    # Who connected from which port differs each time, and uvicorn's state is its own.
    for name in ("client", "state"):
        theirs.pop(name)
    assert ours.pop("client") == ("127.0.0.1", 123)
    assert sorted(ours.pop("headers")) == sorted(theirs.pop("headers"))
    assert ours == theirs
    assert ours["path"] == "/notes/café/1"
    assert connection_scope("websocket", request)["type"] == "websocket"
