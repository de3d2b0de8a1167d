"""A slow suite: tables made anew for each test, on a project whose code commits."""

from __future__ import annotations

import re

from evals.agents.task import Task, Work, want

PROMPT = """\
Our tests are slow because tests/conftest.py makes all tables anew for each test. Make
the suite fast: the tables are to be made once in a run, not once for each test. A test
must still never see what another one left, whatever is committed or rolled back in it,
in any order and also when one is run alone. Do not touch the tests or the application.
"""

MODELS = """\
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Team(Base):
    __tablename__ = "team"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class Player(Base):
    __tablename__ = "player"

    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[int] = mapped_column(ForeignKey("team.id"))
    name: Mapped[str]
"""

SERVICE = """\
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from .models import Player, Team


async def sign(session, team, player):
    \"\"\"Store a player, and the team if it is new; the caller does not commit.\"\"\"
    found = await session.scalar(select(Team).where(Team.name == team))
    if found is None:
        found = Team(name=team)
        session.add(found)
        await session.flush()
    session.add(Player(team_id=found.id, name=player))
    await session.commit()


async def found_team(session, name):
    session.add(Team(name=name))
    try:
        await session.commit()
    except IntegrityError:
        await session.rollback()
        return False
    return True


async def count(session, model):
    return await session.scalar(select(func.count()).select_from(model))
"""

CONFTEST = """\
import pytest
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from club.models import Base


@pytest.fixture
async def engine(tmp_path):
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/test.db")
    async with engine.begin() as conn:
        await conn.run_sync(Base.metadata.create_all)
    yield engine
    await engine.dispose()


@pytest.fixture
async def session(engine):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session
"""

TESTS = """\
import pytest

from club import service
from club.models import Player, Team


@pytest.mark.parametrize("name", [f"player {n}" for n in range(12)])
async def test_a_player_brings_the_team(session, name):
    assert await service.count(session, Team) == 0
    await service.sign(session, "Rovers", name)
    assert await service.count(session, Player) == 1


@pytest.mark.parametrize("name", [f"team {n}" for n in range(12)])
async def test_a_name_is_taken_once(session, name):
    assert await service.found_team(session, name)
    assert not await service.found_team(session, name)
    assert await service.found_team(session, name + " II")
    assert await service.count(session, Team) == 2
"""

INI = """\
[pytest]
asyncio_mode = auto
pythonpath = .
"""

START = {
    "club/models.py": MODELS,
    "club/service.py": SERVICE,
    "tests/conftest.py": CONFTEST,
    "tests/test_club.py": TESTS,
    "pytest.ini": INI,
}

ONCE = """\
import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from club.models import Base


def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engine(tmp_path_factory):
    path = tmp_path_factory.mktemp("db") / "test.db"
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    async with engine.begin() as conn:
        await conn.run_sync(Base.metadata.create_all)
    yield engine
    await engine.dispose()


@pytest_asyncio.fixture(loop_scope="session")
async def session(engine):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session
"""


def reference(work: Work) -> None:
    work.add("savepoint_isolation", "engine", "--into", "club/db")
    own = ONCE.replace(
        'create_async_engine(f"sqlite+aiosqlite:///{path}")',
        'new_engine(f"sqlite+aiosqlite:///{path}")',
    ).replace(
        "    async with AsyncSession(engine, expire_on_commit=False) as session:\n"
        "        yield session\n",
        "    async with isolated_sessions(engine) as sessions:\n"
        "        async with sessions() as session:\n"
        "            yield session\n",
    )
    own = own.replace(
        "from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine\n\n",
        "\nfrom club.db.engine import new_engine\n"
        "from club.db.savepoint_isolation import isolated_sessions\n",
    )
    work.write({"tests/conftest.py": own})


def leaks(work: Work) -> None:
    """The schema is made once, and what tests commit stays."""
    work.write({"tests/conftest.py": ONCE})


def rolls_back_alone(work: Work) -> None:
    """The old recipe: one transaction around the test, and no savepoint in it."""
    recipe = ONCE.replace(
        "    async with AsyncSession(engine, expire_on_commit=False) as session:\n"
        "        yield session\n",
        "    async with engine.connect() as conn:\n"
        "        trans = await conn.begin()\n"
        "        async with AsyncSession(\n"
        "            conn, expire_on_commit=False,\n"
        '            join_transaction_mode="rollback_only",\n'
        "        ) as session:\n"
        "            yield session\n"
        "        await trans.rollback()\n",
    )
    work.write({"tests/conftest.py": recipe})


COUNT = """\
import sys

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

made = 0


@event.listens_for(Engine, "before_cursor_execute")
def count(conn, cursor, statement, parameters, context, executemany):
    global made
    made += statement.lstrip().upper().startswith("CREATE TABLE")


code = pytest.main(["-q", *sys.argv[1:]])
print(f"made {made} tables")
sys.exit(code)
"""

# Tests that the agent never sees: each leaves something, each finds nothing.
HIDDEN = """\
import pytest

from club import service
from club.models import Player, Team


@pytest.mark.parametrize("turn", range(4))
async def test_what_is_committed(session, turn):
    assert await service.count(session, Team) == 0
    await service.sign(session, "Rovers", "Ada")
    await session.commit()


@pytest.mark.parametrize("turn", range(4))
async def test_what_is_rolled_back(session, turn):
    assert await service.count(session, Player) == 0
    assert await service.found_team(session, "City")
    await session.rollback()
    assert await service.count(session, Team) == 1
    session.add(Team(name="City"))
    with pytest.raises(Exception):
        await session.flush()
    await session.rollback()
    assert await service.found_team(session, "United")
"""


def passes(work: Work) -> None:
    for name in ("tests/test_club.py", "club/models.py", "club/service.py"):
        same = (work.path / name).read_text(encoding="utf-8") == START[name]
        want(same, f"{name} was changed")
    out = work.run("-m", "pytest", "-q", "tests/test_club.py")
    want("24 passed" in out, out[-300:])


def tables_once(work: Work) -> None:
    out = work.run("-c", COUNT, "tests/test_club.py")
    made = re.search(r"made (\d+) tables", out)
    want(made, out[-300:])
    assert made
    want(int(made[1]) <= 4, f"24 tests made {made[1]} tables")


def isolated(work: Work) -> None:
    hidden = work.path / "tests/test_of_the_grader.py"
    hidden.write_text(HIDDEN, encoding="utf-8")
    try:
        name = "tests/test_of_the_grader.py"
        work.run("-m", "pytest", "-q", name, "tests/test_club.py")
        backwards = ["test_what_is_rolled_back", "test_what_is_committed"]
        work.run("-m", "pytest", "-q", *[f"{name}::{test}" for test in backwards])
    finally:
        hidden.unlink()


TASK = Task(
    kind="slow-suite",
    minutes=20,
    prompt=PROMPT,
    start=START,
    checks={
        "a run makes the tables once": tables_once,
        "the tests pass as they are": passes,
        "no test sees what another one left": isolated,
    },
    reference=reference,
    wrong={"leaks": leaks, "rolls_back_alone": rolls_back_alone},
)
