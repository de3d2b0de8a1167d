"""An httpx transport that answers while the application is still sending.

    async with open_app(app, sessions) as asgi:
        client = AsyncClient(transport=StreamingTransport(asgi), base_url="http://test")

httpx's own answers when the application has ended: one that sends events never does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from httpx import AsyncBaseTransport, AsyncByteStream, Request, Response

from .asgi_task import ASGIApp, AsgiTask, Message, connection_scope


class StreamingTransport(AsyncBaseTransport):
    """Exceptions of the application reach the test. Who reads a body to its end waits
    for the background tasks too; who leaves before it is a client that disconnects."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def handle_async_request(self, request: Request) -> Response:
        body = _Body(self._app, request)
        start = await body.message()
        assert start, "the application ended without an answer"
        return Response(start["status"], headers=start["headers"], stream=body)


class _Body(AsgiTask, AsyncByteStream):
    def __init__(self, app: ASGIApp, request: Request) -> None:
        assert isinstance(request.stream, AsyncByteStream)
        self._chunks = aiter(request.stream)
        self._received = False
        self._over = asyncio.Event()
        super().__init__(app, connection_scope("http", request), self._receive)

    async def _receive(self) -> Message:
        if self._received:
            await self._over.wait()
            return {"type": "http.disconnect"}
        chunk = await anext(self._chunks, None)
        self._received = chunk is None
        more = not self._received
        return {"type": "http.request", "body": chunk or b"", "more_body": more}

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while message := await self.message():
            yield message.get("body", b"")
            if not message.get("more_body", False):
                self._over.set()

    async def aclose(self) -> None:
        self._over.set()
        await self.end()
