"""Evals for snippets/database_fixtures.py: pytest in processes of its own."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from evals.harness.project import Project
from evals.harness.suite import Suite


class Base(DeclarativeBase):
    pass


class Note(Base):
    """The development database has this table too."""

    __tablename__ = "note"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(unique=True)


BEHAVES = """
import asyncio
import os

import pytest
from sqlalchemy import func, select, text

from app.db.engine import new_engine
from app.models import Note


async def count(sessions):
    async with sessions() as session:
        return await session.scalar(select(func.count()).select_from(Note))


async def add(sessions, name="milk"):
    async with sessions.begin() as session:
        session.add(Note(text=name))


@pytest.mark.parametrize("n", range(3))
async def test_each_test_starts_empty_and_sees_what_it_commits(n, session, sessions):
    assert await count(sessions) == 0
    await add(sessions)
    assert (await session.scalars(select(Note.text))).all() == ["milk"]


@pytest.mark.isolation("commit")
@pytest.mark.parametrize("n", range(3))
async def test_each_test_that_commits_starts_empty(n, session, sessions):
    assert await count(sessions) == 0
    await add(sessions)
    assert (await session.scalars(select(Note.text))).all() == ["milk"]


@pytest.mark.isolation("clone")
async def test_a_test_may_drop_tables(engine):
    async with engine.begin() as connection:
        await connection.execute(text("DROP TABLE note"))


@pytest.mark.isolation("empty")
async def test_a_test_of_migrations_makes_its_tables_itself(engine):
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE note (other integer)"))
        await connection.execute(text("INSERT INTO note (other) VALUES (1)"))


@pytest.mark.isolation("commit")
async def test_commits_are_seen_by_other_connections(sessions, engine):
    both = asyncio.Barrier(2)

    async def one(name):
        await add(sessions, name)
        await both.wait()
        return await count(sessions)

    assert await asyncio.gather(one("milk"), one("bread")) == [2, 2]
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM note")) == 2


@pytest.mark.isolation("commit")
async def test_code_with_an_engine_of_its_own_sees_a_test_that_commits(sessions):
    await add(sessions)
    engine = new_engine(os.environ["DATABASE_URL"])
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM note")) == 1
    await engine.dispose()


async def test_code_with_an_engine_of_its_own_finds_nothing_otherwise(sessions):
    assert os.environ["DATABASE_URL"] == "sqlite://"


class TestGrouped:
    async def test_a_method_runs_too(self, sessions):
        assert await count(sessions) == 0
"""
TESTS = 12
MISBEHAVES = '''
import asyncio

import pytest
from sqlalchemy import func, select, text

from app.models import Note

kept = []
commit = pytest.mark.isolation("commit")


async def add(session, name="milk"):
    session.add(Note(text=name))
    await session.flush()


@pytest.fixture
def broken_setup(sessions):
    raise ZeroDivisionError


@pytest.fixture
def broken_teardown(sessions):
    yield
    raise ZeroDivisionError


@pytest.fixture(autouse=True)
def empty(request):
    """Run after the fixtures of the test before: what did it leave?"""


async def test_a1_fails_in_its_body(session):
    await add(session)
    await session.commit()
    raise ZeroDivisionError


@commit
async def test_a2_fails_in_its_body_and_commits(session):
    await add(session)
    await session.commit()
    raise ZeroDivisionError


async def test_b_fails_in_setup(session, broken_setup): ...


async def test_c_fails_in_teardown(session, broken_teardown):
    await add(session)
    await session.commit()


async def test_d_breaks_the_transaction(session):
    await add(session)
    with pytest.raises(Exception):
        await session.execute(text("SELECT * FROM missing"))


async def test_e1_leaves_a_session_open(sessions):
    kept.append(sessions())
    await add(kept[-1])


@commit
async def test_e2_leaves_a_connection_open(sessions):
    kept.append(sessions())
    await add(kept[-1])


async def test_f1_leaves_a_task(sessions):
    asyncio.create_task(asyncio.Event().wait())
    await asyncio.sleep(0)


@commit
async def test_f2_leaves_a_task(sessions):
    asyncio.create_task(asyncio.Event().wait())
    await asyncio.sleep(0)


async def test_g_commits_the_outer_transaction(session):
    await add(session)
    await session.commit()
    await (await session.connection()).commit()


async def test_h_uses_the_engine_of_a_test_that_is_rolled_back(engine): ...


@pytest.mark.isolation("comit")
async def test_i_names_no_isolation(session): ...


async def test_j_leaves_another_session_open_after_all_that(sessions):
    async with sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Note)) == 0


@commit
async def test_k_all_is_empty_after_all_that(sessions):
    async with sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Note)) == 0
    for left in kept[1:]:
        await left.invalidate()
'''
WAITS = """
import asyncio
from pathlib import Path

import pytest
from app.models import Note


@pytest.mark.parametrize("kind", [
    pytest.param("rollback", marks=pytest.mark.isolation("rollback")),
    pytest.param("commit", marks=pytest.mark.isolation("commit")),
])
async def test_waits(kind, session):
    session.add(Note(text="milk"))
    await session.commit()
    session.add(Note(text="bread"))
    await session.flush()
    if kind == "commit":
        Path("ready").touch()
        await asyncio.Event().wait()
"""


@pytest.fixture
async def suite(project: Project, engine: AsyncEngine, database: str) -> Suite:
    """A project whose environment names a development database with one note."""
    url = engine.url.render_as_string(hide_password=False)
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO note VALUES (1, 'precious')"))
    project.env["DATABASE_URL"] = url
    without = "import sys\nsys.modules['pytest_asyncio'] = None\n"
    project.write({".env": f"DATABASE_URL={url}\n", "without_asyncio.py": without})
    return Suite(project, database, url if database == "postgresql" else None)


async def left_behind(suite: Suite, engine: AsyncEngine) -> list[str | Path]:
    """Return the databases and files of the runs that are still there."""
    async with engine.connect() as connection:
        notes = await connection.scalars(text("SELECT text FROM note"))
        assert notes.all() == ["precious"]
        if engine.dialect.name == "sqlite":
            return [*suite.left()]
        names = await connection.scalars(text("SELECT datname FROM pg_database"))
        return [*(suite.made() & set(names)), *suite.left()]


ANYIO = ["-p", "no:asyncio", "-p", "without_asyncio"]


@pytest.mark.parametrize("runner", ["asyncio", "anyio"])
async def test_tests_that_misbehave_fail_and_the_next_ones_start_empty(
    suite: Suite, engine: AsyncEngine, runner: str
) -> None:
    suite.write(MISBEHAVES)
    options = ANYIO if runner == "anyio" else []
    outcome = suite.run("-p", "no:unraisableexception", *options, code=1)

    bad = {name[:7]: words for name, words in outcome.of.items()}
    assert bad == {
        "test_a1": {"FAILED"},
        "test_a2": {"FAILED"},
        "test_b_": {"ERROR"},
        "test_c_": {"PASSED", "ERROR"},
        "test_d_": {"PASSED"},
        "test_e1": {"PASSED", "ERROR"},
        "test_e2": {"PASSED", "ERROR"},
        "test_f1": {"PASSED", "ERROR"},
        "test_f2": {"PASSED", "ERROR"},
        "test_g_": {"PASSED", "ERROR"},
        "test_h_": {"ERROR"},
        "test_i_": {"ERROR"},
        "test_j_": {"PASSED"},
        "test_k_": {"PASSED"},
    }
    for message in (
        "a session was left open",
        "1 connections were not given back",
        "await or cancel the tasks that the test starts",
        "the code under test ended the transaction of the test",
        'a test that uses the engine needs @pytest.mark.isolation("commit")',
        "isolation('comit'): expected one of ('rollback', 'commit', 'clone', 'empty')",
    ):
        assert message in outcome.output
    assert await left_behind(suite, engine) == []


@pytest.mark.parametrize(
    ("way", "runner"),
    [
        ("in order", "marks"),
        ("reverse", "auto"),
        ("random", "function loops"),
        ("reverse", "anyio"),
        ("two workers", "no configuration"),
        ("two workers, random", "auto"),
    ],
)
async def test_every_order_and_every_configuration_find_each_test_empty(
    suite: Suite, engine: AsyncEngine, way: str, runner: str
) -> None:
    marks = "import pytest\npytestmark = pytest.mark.asyncio\n"
    suite.write((marks if runner == "marks" else "") + BEHAVES)
    options = {
        "auto": ["-o", "asyncio_mode=auto"],
        "function loops": ["-o", "asyncio_default_fixture_loop_scope=function"],
        "anyio": ANYIO,
    }
    workers = ["-n2"] if "workers" in way else []
    order = way.split(", ")[-1]
    outcome = suite.run(*options.get(runner, []), *workers, ORDER=order)

    assert outcome.counts == {"PASSED": TESTS}
    assert await left_behind(suite, engine) == []
    if workers:
        assert len(suite.made()) >= 2  # nobody shares


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (signal.SIGINT, []),
        (signal.SIGINT, ["-n2"]),
        (signal.SIGKILL, []),
        (signal.SIGKILL, ["-n2"]),
    ],
)
async def test_a_run_that_is_ended_leaves_nothing_after_the_next(
    suite: Suite, engine: AsyncEngine, kind: signal.Signals, options: list[str]
) -> None:
    suite.write(WAITS)
    with suite.interrupted(kind, *options):
        assert await left_behind(suite, engine) != []
    if kind == signal.SIGKILL:
        # Workers see that they are alone, and may clean up; the one process cannot.
        assert await left_behind(suite, engine) != [] or options
        suite.write(BEHAVES)
        suite.run("-k", f"{suite.database} and starts_empty", *options)

    assert await left_behind(suite, engine) == []


async def test_the_databases_of_a_worker_that_crashes_are_dropped(
    suite: Suite, engine: AsyncEngine
) -> None:
    suite.write(WAITS.replace("await asyncio.Event().wait()", "import os; os._exit(9)"))
    outcome = suite.run("-n1", code=1)

    assert "crashed" in outcome.output
    assert await left_behind(suite, engine) == []


async def test_a_thousand_tests_pass(suite: Suite, full: bool) -> None:
    number = 1000 if full else 100
    suite.write(BEHAVES.replace("range(3)", f"range({number // 2})"))
    outcome = suite.run("-n2")
    assert outcome.counts == {"PASSED": TESTS - 6 + number}
