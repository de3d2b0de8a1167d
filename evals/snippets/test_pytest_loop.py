"""Evals for snippets/pytest_loop.py: pytest in processes of its own."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from evals.harness.project import Project
from evals.harness.suite import Suite, tables

PLAIN = '''
import os

import pytest
import pytest_asyncio
from sqlalchemy import text

from app.db.engine import new_engine


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_engine():
    engine = new_engine(os.environ["MINE"])
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
def event_loop():
    """What recipes for pytest-asyncio 0.x say; nobody asks for it any more."""
    raise ZeroDivisionError


@pytest.mark.asyncio
@pytest.mark.parametrize("n", range(2))
async def test_a_query(shared_engine, n):
    async with shared_engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
'''
MARKED = """
import asyncio

import pytest
import pytest_asyncio

from app.db.pytest_loop import async_fixture

loops = set()


@async_fixture(scope="session")
async def from_session():
    return asyncio.get_running_loop()


@async_fixture()
async def from_function(from_session):
    yield asyncio.get_running_loop()


async def test_no_mark(sessions, from_session, from_function):
    assert asyncio.get_running_loop() is from_session is from_function


@pytest.mark.asyncio(loop_scope="function")
async def test_a_mark_that_asks_for_another_loop(session, from_session):
    assert asyncio.get_running_loop() is from_session


@pytest.mark.asyncio
async def test_without_a_database_a_mark_is_kept():
    loops.add(asyncio.get_running_loop())


@pytest.mark.anyio
async def test_without_a_database_anyio_is_left_alone(anyio_backend_name):
    assert anyio_backend_name == "asyncio"


def test_a_plain_function(sessions):
    assert sessions.kw["bind"]


class TestGroup:
    pytestmark = pytest.mark.anyio

    async def test_without_a_database_a_class(self, anyio_backend_name): ...
"""


@pytest.fixture
async def suite(project: Project, engine: AsyncEngine, database: str) -> Suite:
    url = engine.url.render_as_string(hide_password=False)
    project.env["MINE"] = url
    return Suite(project, database, url if database == "postgresql" else None)


@pytest.mark.trap("two-loops")
async def test_a_session_fixture_and_tests_on_loops_of_their_own_fail_on_asyncpg(
    suite: Suite, database: str
) -> None:
    suite.project.write({"tests/conftest.py": "", "tests/test_plain.py": PLAIN})
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider"]
    output = suite.project.run(*command, check=False).stdout

    # aiosqlite works from any loop: a green run on SQLite says nothing about it.
    assert ("2 passed" in output) == (database == "sqlite")
    assert ("attached to a different loop" in output) == (database == "postgresql")


async def test_all_tests_and_fixtures_of_the_database_share_one_loop(
    suite: Suite, engine: AsyncEngine
) -> None:
    suite.write(MARKED)
    outcome = suite.run("-k", f"{suite.database} or without")

    assert outcome.counts == {"PASSED": 6}
    assert await tables(engine) == []


async def test_a_mark_of_another_runner_on_a_test_of_the_database_is_refused(
    suite: Suite,
) -> None:
    suite.write("import pytest\n\n@pytest.mark.anyio\nasync def test_x(session): ...\n")
    outcome = suite.run(code=4)

    assert "is marked anyio" in outcome.errors
    assert "run on asyncio's loop: remove the mark" in outcome.errors
