"""Sessions for FastAPI: a transaction per request, committed before the answer.

    app = FastAPI(lifespan=lifespan)

    @app.post("/notes")
    async def add(session: SessionDep) -> NoteOut: ...  # never commits itself

A commit that fails is an error response; a handler that raises rolls back.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from starlette.requests import HTTPConnection

from .connection_check import check_connection
from .session import open_reader, open_sessions
from .settings import DatabaseSettings


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    """Open the database when the server starts, close it when that stops.

    Raises:
        DatabaseUnavailable: the server does not start, and the message says why.
    """
    engine = DatabaseSettings().engine()
    async with open_sessions(engine) as sessions:
        await check_connection(engine)
        app.state.sessions = sessions
        yield


def get_sessions(connection: HTTPConnection) -> async_sessionmaker[AsyncSession]:
    """Return the application's factory: what tests override, and tasks that
    outlive the request take (`Depends(get_sessions)`)."""
    sessions: async_sessionmaker[AsyncSession] = connection.app.state.sessions
    return sessions


SessionsDep = Annotated[async_sessionmaker[AsyncSession], Depends(get_sessions)]


async def get_session(sessions: SessionsDep) -> AsyncIterator[AsyncSession]:
    """Yield the request's session; commit when the handler returns."""
    async with sessions.begin() as session:
        yield session


async def get_read_session(sessions: SessionsDep) -> AsyncIterator[AsyncSession]:
    """Yield a session that only reads, as `open_reader` says."""
    async with open_reader(sessions) as session:
        yield session


# Without this scope FastAPI (from 0.118) runs what follows `yield` after the response
# was sent: a failed commit has then been answered with 200.
# https://fastapi.tiangolo.com/tutorial/dependencies/dependencies-with-yield/#early-exit-and-scope
SessionDep = Annotated[AsyncSession, Depends(get_session, scope="function")]
ReadSessionDep = Annotated[AsyncSession, Depends(get_read_session, scope="function")]
