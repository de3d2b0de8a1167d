"""A client for the tests of a FastAPI application, on the sessions of the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from starlette.types import ASGIApp, Receive, Scope, Send


@asynccontextmanager
async def open_client(
    app: FastAPI,
    sessions: async_sessionmaker[AsyncSession],
    *,
    headers: Mapping[str, str] | None = None,
) -> AsyncGenerator[AsyncClient, None]:
    """Start `app`, and yield a client whose requests open `sessions`.

    Each request has a session of its own, which commits and rolls back as in
    production: sharing the session of the test would hide a missing commit.
    Exceptions of the application reach the test.
    """
    async with (
        open_app(app, sessions) as asgi,
        AsyncClient(
            transport=ASGITransport(asgi), base_url="http://test", headers=headers
        ) as client,
    ):
        yield client


@asynccontextmanager
async def open_app(
    app: FastAPI, sessions: async_sessionmaker[AsyncSession]
) -> AsyncGenerator[ASGIApp, None]:
    """Start `app`, and yield it for clients of other kinds: its requests open
    `sessions`, and have the state of its lifespan."""
    async with _started(app) as state:

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state)}, receive, send)

        app.state.sessions = sessions
        yield with_state


@asynccontextmanager
async def _started(app: FastAPI) -> AsyncGenerator[Mapping[str, Any], None]:
    """Run the lifespan, which httpx does not, in a task of its own: pytest enters and
    leaves a fixture in different tasks, which a task group does not survive."""
    stop = asyncio.Event()
    started: asyncio.Future[Mapping[str, Any]] = asyncio.Future()

    async def run() -> None:
        try:
            async with app.router.lifespan_context(app) as state:
                started.set_result(state or {})
                await stop.wait()
        except Exception as exc:
            if started.done():
                raise
            started.set_exception(exc)

    task = asyncio.create_task(run())
    state = await started
    try:
        yield state
    finally:
        stop.set()
        await task
