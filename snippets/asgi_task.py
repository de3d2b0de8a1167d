"""An ASGI application that runs beside a test, as behind a server: one connection.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

import anyio
from httpx import Request

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

PATIENCE = 5.0
"""Seconds that the application may go on after its client has left."""


class StillRunning(AssertionError):
    """The application goes on although its client left; the message says why."""


class AsgiTask:
    """An application that runs beside the test, and the messages that it sends."""

    def __init__(self, app: ASGIApp, scope: Scope, receive: Receive) -> None:
        # Without a buffer the application waits for its reader, as behind a socket.
        self._send, self._sent = anyio.create_memory_object_stream[Message](0)
        self._task = asyncio.create_task(self._run(app, scope, receive))

    async def _run(self, app: ASGIApp, scope: Scope, receive: Receive) -> None:
        async with self._send, self._sent:
            await app(scope, receive, self._take)

    async def _take(self, message: Message) -> None:
        # Where nobody reads, a server does not tell either.
        with suppress(anyio.BrokenResourceError):
            await self._send.send(message)

    async def message(self) -> Message | None:
        """Return the next message, None at the end; raise what the application raises.
        Cancelled, it cancels the application."""
        try:
            return await self._sent.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            await self._task
            return None
        except asyncio.CancelledError:
            self._task.cancel()
            await asyncio.wait([self._task])
            raise

    async def end(self) -> None:
        """Read no more, and wait until the application ends.

        Raises:
            StillRunning: it does not.
        """
        self._sent.close()
        try:
            await asyncio.wait_for(self._task, PATIENCE)
        except TimeoutError:
            raise StillRunning(
                f"the application goes on {PATIENCE:g} seconds after its client left:"
                " end it when `receive()` returns a disconnect"
            ) from None


def connection_scope(kind: str, request: Request) -> Scope:
    """Return what tells the application about a connection: `kind` is "http" or
    "websocket"."""
    url = request.url
    return {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.split(b"?")[0],
        "query_string": url.query,
        "server": (url.host, url.port),
        "client": ("127.0.0.1", 123),
        "root_path": "",
    }
