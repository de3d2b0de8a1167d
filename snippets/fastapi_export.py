"""CSV and NDJSON downloads of any size, a few at a time.

exports = Exports(at_once=2)

@app.get("/notes.csv")
async def notes(sessions: SessionsDep) -> Response:
    return exports.csv(sessions, select(Note.id, Note.title), "notes.csv")
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from typing import Protocol
from urllib.parse import quote

import anyio
from fastapi.responses import JSONResponse, StreamingResponse
from sqlalchemy import Executable
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from starlette.types import Receive, Scope, Send

from .export_format import csv_chunks, json_lines
from .session import open_reader

Sessions = async_sessionmaker[AsyncSession]


class Format(Protocol):
    def __call__(
        self, session: AsyncSession, stmt: Executable
    ) -> AsyncGenerator[bytes, None]: ...


class Exports:
    """Make one for the application. `at_once` exports run: each takes a connection
    for as long as its client reads, so it is less than the pool has. One more is
    answered with 503."""

    def __init__(self, at_once: int = 2) -> None:
        self.at_once = at_once
        self.running = 0

    def csv(
        self,
        sessions: Sessions,
        stmt: Executable,
        name: str,
        *,
        spreadsheet: bool = False,
    ) -> ExportResponse:
        """`spreadsheet` is for people who open it in one: see `csv_chunks`."""
        chunks = partial(csv_chunks, spreadsheet=spreadsheet)
        return ExportResponse(self, sessions, stmt, chunks, name, "text/csv")

    def ndjson(self, sessions: Sessions, stmt: Executable, name: str) -> ExportResponse:
        kind = "application/x-ndjson"
        return ExportResponse(self, sessions, stmt, json_lines, name, kind)


class ExportResponse(StreamingResponse):
    """A response that has a session of its own, which it closes with its client.

    The request's session ends before the body is sent. A query that fails at once is
    an error response; one that fails later breaks the connection off, so that the
    client does not take a part for the whole.
    """

    def __init__(
        self,
        exports: Exports,
        sessions: Sessions,
        stmt: Executable,
        chunks: Format,
        name: str,
        media_type: str,
    ) -> None:
        self.exports = exports
        self.chunks = _read(sessions, stmt, chunks)
        disposition = f"attachment; filename*=UTF-8''{quote(name)}"
        headers = {"Content-Disposition": disposition}
        super().__init__(self.chunks, headers=headers, media_type=media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.exports.running >= self.exports.at_once:
            text = "too many exports are running, try again"
            busy = JSONResponse({"detail": text}, 503, {"Retry-After": "10"})
            await busy(scope, receive, send)
            return
        self.exports.running += 1
        try:
            self.body_iterator = _with(await anext(self.chunks, b""), self.chunks)
            await super().__call__(scope, receive, send)
        finally:
            # Nobody closes a generator that is left when the client goes away.
            with anyio.CancelScope(shield=True):
                await self.chunks.aclose()
            self.exports.running -= 1


async def _read(
    sessions: Sessions, stmt: Executable, chunks: Format
) -> AsyncGenerator[bytes, None]:
    async with open_reader(sessions) as session:
        async for chunk in chunks(session, stmt):
            yield chunk


async def _with(
    first: bytes, rest: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    yield first
    async for chunk in rest:
        yield chunk
