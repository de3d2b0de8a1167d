"""The client's end of a WebSocket, on the event loop of the test.

    async with open_app(app, sessions) as asgi, open_websocket(asgi, "/ws") as socket:
        await socket.send_json({"join": "room"})
        assert await socket.receive_json() == {"members": 1}

Starlette's `TestClient` runs the application on a loop of its own, where it cannot use
the connections of the test.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import WebSocketDisconnect
from httpx import URL, Request

from .asgi_task import ASGIApp, AsgiTask, Message, connection_scope

ABNORMAL = 1006  # what a browser reports if nobody closed


class WebSocketClosed(Exception):
    """The application closed the WebSocket, or did not accept it; `code` says why."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the application closed: {code} {reason}")
        self.code = code


class WebSocketClient:
    subprotocol: str | None
    """What the application chose."""

    def __init__(self, app: ASGIApp, request: Request, offered: Sequence[str]) -> None:
        scope = connection_scope("websocket", request)
        scope["subprotocols"] = list(offered)
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._task = AsgiTask(app, scope, self._inbox.get)

    async def open(self) -> None:
        self._inbox.put_nowait({"type": "websocket.connect"})
        self.subprotocol = (await self._message()).get("subprotocol")

    async def send(self, data: str | bytes) -> None:
        kind = "text" if isinstance(data, str) else "bytes"
        self._inbox.put_nowait({"type": "websocket.receive", kind: data})

    async def send_json(self, data: Any) -> None:
        await self.send(json.dumps(data))

    async def receive(self) -> str | bytes:
        """Wait for what the application sends next.

        Raises:
            WebSocketClosed: it sends nothing any more.
        """
        message = await self._message()
        found: str | bytes | None = message.get("text")
        return message["bytes"] if found is None else found

    async def receive_json(self) -> Any:
        return json.loads(await self.receive())

    async def close(self) -> None:
        """Leave, and wait until the application has noticed."""
        self._inbox.put_nowait({"type": "websocket.disconnect", "code": 1000})
        with suppress(WebSocketDisconnect):  # how most of them notice
            await self._task.end()

    async def _message(self) -> Message:
        message = await self._task.message()
        if message is None:
            raise WebSocketClosed(ABNORMAL, "")
        if message["type"] == "websocket.close":
            raise WebSocketClosed(message.get("code", 1000), message.get("reason", ""))
        return message


@asynccontextmanager
async def open_websocket(
    app: ASGIApp,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    subprotocols: Sequence[str] = (),
) -> AsyncGenerator[WebSocketClient, None]:
    """Connect to `path`, which may have a query, and leave at the end of the block.

    Exceptions of the application reach the test.

    Raises:
        WebSocketClosed: the application did not accept.
    """
    request = Request("GET", URL("ws://test").join(path), headers=headers)
    socket = WebSocketClient(app, request, subprotocols)
    try:
        await socket.open()
        yield socket
    finally:
        await socket.close()
