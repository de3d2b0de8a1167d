"""What the isolation of a test costs: ours, and what conftest files do instead.

Twenty tables; every number is a whole test, measured inside pytest.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from evals.harness.timed_runs import seconds_a_test
from scripts.maintain.bench import contestant

ROOT = Path(__file__).resolve().parents[2]
SUBJECT = "one test, with 20 tables"
BASELINE = "pytest: an empty test with a session of its own, not isolated"

MODELS = """\
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table

metadata = MetaData()
tables = [
    Table(
        f"t{n}",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("name", String(50), index=True),
        Column("parent_id", ForeignKey(f"t{n - 1}.id") if n else Integer),
    )
    for n in range(20)
]
"""
TESTS = """\
import pytest
from app.models import tables
from sqlalchemy import func, insert, select

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def commit_two_rows(session):
    parent = await session.scalar(
        insert(tables[0]).values(name="a").returning(tables[0].c.id)
    )
    await session.execute(insert(tables[1]).values(name="b", parent_id=parent))
    await session.commit()
    await session.execute(select(tables[1]))


@pytest.mark.parametrize("n", range(COUNT))
async def test_nothing(session, n):
    pass


@pytest.mark.parametrize("n", range(COUNT))
async def test_rows(session, n):
    await commit_two_rows(session)


@pytest.mark.isolation("commit")
@pytest.mark.parametrize("n", range(COUNT))
async def test_commit_nothing(session, n):
    pass


@pytest.mark.isolation("commit")
@pytest.mark.parametrize("n", range(COUNT))
async def test_commit_rows(session, n):
    await commit_two_rows(session)
"""
OURS = """\
import pytest
from app.db import database_fixtures
from app.models import metadata


def pytest_configure(config):
    config.pluginmanager.register(database_fixtures)


@pytest.fixture(scope="session")
def create_schema():
    return metadata.create_all
"""
BARE = """\
import os
import shutil

import pytest
import pytest_asyncio
from app.db.engine import new_engine
from app.models import metadata, tables
from sqlalchemy.ext.asyncio import AsyncSession

HOW = os.environ["HOW"]
URL = os.environ["BENCH_URL"]
FILE = URL.partition("///")[2]


def pytest_configure(config):
    config.addinivalue_line("markers", "isolation(kind)")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engine():
    engine = new_engine(URL)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)
    if HOW == "copy":
        await engine.dispose()
        shutil.copyfile(FILE, f"{FILE}.template")
    yield engine
    async with engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
    await engine.dispose()


@pytest_asyncio.fixture(loop_scope="session")
async def clean(engine):
    if HOW == "copy":
        shutil.copyfile(f"{FILE}.template", f"{FILE}.copy")
        engine = new_engine(f"{URL}.copy")
        yield engine
        await engine.dispose()
        return
    yield engine
    if HOW == "truncate":
        async with engine.begin() as connection:
            names = ", ".join(table.name for table in tables)
            await connection.exec_driver_sql(f"TRUNCATE {names} CASCADE")
    if HOW == "create":
        async with engine.begin() as connection:
            await connection.run_sync(metadata.drop_all)
            await connection.run_sync(metadata.create_all)


@pytest_asyncio.fixture(loop_scope="session")
async def session(clean):
    async with AsyncSession(clean, expire_on_commit=False) as session:
        yield session
"""


@dataclass
class State:
    scratch: Path
    url: str

    async def run(self, project: str, test: str, how: str = "") -> float:
        """Return the seconds of one of the tests that are called `test`."""
        sqlite = self.url.startswith("sqlite")
        env = {"HOW": how, "BENCH_URL": self.url}
        env |= {} if sqlite else {"TEST_DATABASE_URL": self.url}
        chosen = f"{test} and {'sqlite' if sqlite else 'postgresql'}"
        args = ("-W", "ignore", "-k", chosen if project == "ours" else test)
        return await seconds_a_test(self.scratch, project, *args, **env)


async def setup(url: str) -> State:
    state = State(Path(tempfile.mkdtemp(prefix="bench-isolation-")), url)
    for project, conftest, count in (("ours", OURS, 200), ("bare", BARE, 200)):
        path = state.scratch / project
        (path / "app/db").mkdir(parents=True)
        for file in (ROOT / "snippets").glob("*.py"):
            shutil.copyfile(file, path / "app/db" / file.name)
        files = {
            "app/models.py": MODELS,
            "conftest.py": conftest,
            "test_cost.py": TESTS.replace("COUNT", str(count)),
            "pytest.ini": "[pytest]\npythonpath = .\n",
        }
        for name, text in files.items():
            (path / name).write_text(text, encoding="utf-8")
    return state


async def teardown(state: State) -> None:
    shutil.rmtree(state.scratch)


@contestant("pytest: an empty test with a session of its own, not isolated")
async def bare(state: State) -> float:
    return await state.run("bare", "test_nothing")


@contestant("ours, rolled back: an empty test", database="postgresql", at_most=1.5)
async def rolled_back_pg(state: State) -> float:
    return await state.run("ours", "test_nothing")


@contestant("ours, rolled back: an empty test", database="sqlite", at_most=3)
async def rolled_back_sqlite(state: State) -> float:
    return await state.run("ours", "test_nothing")


@contestant("ours, real commits: an empty test", database="postgresql", at_most=2.5)
async def committed_pg(state: State) -> float:
    return await state.run("ours", "test_commit_nothing")


@contestant("ours, real commits: an empty test", database="sqlite")
async def committed_sqlite(state: State) -> float:
    return await state.run("ours", "test_commit_nothing")


@contestant("two rows committed, not isolated")
async def rows(state: State) -> float:
    return await state.run("bare", "test_rows")


@contestant("two rows committed: ours, rolled back")
async def rows_rolled_back(state: State) -> float:
    return await state.run("ours", "test_rows")


@contestant("two rows committed: ours, real commits")
async def rows_committed(state: State) -> float:
    return await state.run("ours", "test_commit_rows")


@contestant("two rows committed: a prepared file is copied", database="sqlite")
async def rows_copy(state: State) -> float:
    return await state.run("bare", "test_rows", "copy")


@contestant("two rows committed: TRUNCATE", database="postgresql")
async def rows_truncate(state: State) -> float:
    return await state.run("bare", "test_rows", "truncate")


@contestant("two rows committed: drop_all, create_all")
async def rows_create(state: State) -> float:
    return await state.run("bare", "test_rows", "create")
