"""Pytest fixtures: each test runs on SQLite and PostgreSQL, and finds its tables empty.

    # conftest.py
    def pytest_configure(config: pytest.Config) -> None:
        config.pluginmanager.register(database_fixtures)

`session` and `sessions` are rolled back. `@pytest.mark.isolation("commit")` commits
for real: concurrency, locks, NOTIFY, other processes. `isolation("clone")` lends a
database whose tables the test may change, `isolation("empty")` one without tables.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from . import pytest_databases, pytest_loop, pytest_server
from .connection_leak import assert_released
from .pytest_databases import ScratchDatabase
from .pytest_loop import async_fixture
from .savepoint_isolation import IsolationBroken, isolated_sessions
from .session import new_sessions
from .task_leak import end_tasks

KINDS = ("rollback", "commit", "clone", "empty")
Isolation = async_sessionmaker[AsyncSession] | AsyncEngine


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(pytest_loop)
    config.pluginmanager.register(pytest_server)
    config.pluginmanager.register(pytest_databases)
    config.addinivalue_line("markers", f"isolation(kind): one of {', '.join(KINDS)}")
    # Code that opens an engine of its own finds an empty database, never yours.
    os.environ["DATABASE_URL"] = "sqlite://"


@async_fixture()
async def isolation(
    request: Any,  # pytest.FixtureRequest, whose node pytest 8 does not type
    scratch_databases: Callable[[str], Awaitable[ScratchDatabase]],
    database: str,
) -> AsyncIterator[Isolation]:
    """The sessions of a test that is rolled back; the engine of one that commits."""
    mark: pytest.Mark | None = request.node.get_closest_marker("isolation")
    kind: str = mark.args[0] if mark else "rollback"
    if kind not in KINDS:
        raise pytest.UsageError(f"isolation({kind!r}): expected one of {KINDS}")
    scratch = await scratch_databases(database)
    tasks = asyncio.all_tasks()
    if kind == "rollback":
        try:
            async with isolated_sessions(scratch.engine) as sessions:
                yield sessions
                await end_tasks(tasks)
        except IsolationBroken:
            await scratch.reset()
            raise
    else:
        is_empty = kind == "empty"
        lent = scratch.lend() if kind == "commit" else scratch.clone(empty=is_empty)
        async with lent as engine:
            # Here code that opens an engine of its own sees what the test does.
            url = engine.url.render_as_string(hide_password=False)
            # Asked for here: most tests need none of their own.
            request.getfixturevalue("monkeypatch").setenv("DATABASE_URL", url)
            yield engine
            await end_tasks(tasks)
            assert_released(engine)


@pytest.fixture
def sessions(isolation: Isolation) -> async_sessionmaker[AsyncSession]:
    """The factory of sessions, to give to the code under test."""
    if isinstance(isolation, AsyncEngine):
        return new_sessions(isolation)
    return isolation


@async_fixture()
async def session(
    sessions: async_sessionmaker[AsyncSession],
) -> AsyncIterator[AsyncSession]:
    """A session to arrange and to assert with."""
    async with sessions() as session:
        yield session


@pytest.fixture
def engine(isolation: Isolation) -> AsyncEngine:
    """The engine of a test that commits. Its connections would see nothing of a test
    that is rolled back."""
    if isinstance(isolation, AsyncEngine):
        return isolation
    raise pytest.UsageError(
        'a test that uses the engine needs @pytest.mark.isolation("commit")'
    )
