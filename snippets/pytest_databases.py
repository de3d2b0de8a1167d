"""The databases of a test run: one of each kind in each process, made when needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Protocol

import pytest
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from .pg_test_database import open_pg_database
from .pytest_loop import async_fixture
from .pytest_server import server_url
from .sqlite_test_database import open_sqlite_database


class ScratchDatabase(Protocol):
    """What a database for tests can do, on both."""

    engine: AsyncEngine

    async def reset(self) -> None: ...
    def lend(self) -> AbstractAsyncContextManager[AsyncEngine]: ...
    def clone(
        self, *, empty: bool = False
    ) -> AbstractAsyncContextManager[AsyncEngine]: ...


@pytest.fixture(scope="session")
def create_schema() -> Callable[[Connection], None]:
    """What makes the tables, once in each database: define yours in conftest.py."""
    raise pytest.UsageError(
        "define the fixture create_schema in conftest.py:"
        ' return migrated_schema(Path("alembic.ini")), or Base.metadata.create_all'
    )


@async_fixture(scope="session")
async def scratch_databases(
    pytestconfig: pytest.Config, create_schema: Callable[[Connection], None]
) -> AsyncIterator[Callable[[str], Awaitable[ScratchDatabase]]]:
    """Make this process's databases when they are asked for, and drop them."""
    opened: dict[str, ScratchDatabase | Exception] = {}
    async with AsyncExitStack() as stack:

        async def get(name: str) -> ScratchDatabase:
            if name not in opened:
                try:
                    opened[name] = await stack.enter_async_context(
                        open_sqlite_database(create_schema)
                        if name == "sqlite"
                        else open_pg_database(server_url(pytestconfig), create_schema)
                    )
                except Exception as exc:
                    # It would fail again for each test, and take its time.
                    opened[name] = exc
            found = opened[name]
            if isinstance(found, Exception):
                raise found
            return found

        yield get
