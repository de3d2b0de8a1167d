"""What the harness costs: an eval that does nothing, beside a bare pytest test."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from evals.harness.forks import copy_pack
from evals.harness.timed_runs import seconds_a_test
from scripts.maintain.bench import contestant

SUBJECT = "one test of 200 in a file"
BASELINE = "pytest: an empty test with a session of its own"

TESTS = """\
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Article(Base):
    __tablename__ = "article"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


@pytest.mark.parametrize("number", range(200))
async def test_nothing(session: AsyncSession, number: int) -> None:
    pass


@pytest.mark.parametrize("number", range(200))
async def test_select(session: AsyncSession, number: int) -> None:
    assert (await session.scalars(select(Article))).all() == []
"""

CONFTEST = """\
import os

import pytest
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine


@pytest.fixture(scope="session")
async def engine():
    engine = create_async_engine(os.environ["BENCH_URL"])
    yield engine
    await engine.dispose()


@pytest.fixture(scope="module")
async def tables(engine, request):
    metadata = request.module.Base.metadata
    async with engine.begin() as conn:
        await conn.run_sync(metadata.create_all)
    yield
    async with engine.begin() as conn:
        await conn.run_sync(metadata.drop_all)


@pytest.fixture
async def session(engine, tables):
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session
"""

PYPROJECT = """\
[tool.pytest.ini_options]
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "session"
asyncio_default_test_loop_scope = "session"
filterwarnings = ["error"]
"""


@dataclass
class State:
    scratch: Path
    url: str

    @property
    def pack(self) -> Path:
        return self.scratch / "pack"

    async def bare(self, test: str) -> float:
        args = ("test_bare.py", "-k", test)
        return await seconds_a_test(self.scratch, "bare", *args, BENCH_URL=self.url)

    async def ours(self, test: str) -> float:
        database = "sqlite" if self.url.startswith("sqlite") else "postgresql"
        file = "evals/snippets/test_probe.py"
        args = (file, "-k", test, "--db", database)
        return await seconds_a_test(self.scratch, "pack", *args)


async def setup(url: str) -> State:
    state = State(Path(tempfile.mkdtemp(prefix="bench-harness-")), url)
    copy_pack(state.pack)
    files = {
        "bare/pyproject.toml": PYPROJECT,
        "bare/conftest.py": CONFTEST,
        "bare/test_bare.py": TESTS,
        "pack/evals/snippets/test_probe.py": TESTS,
    }
    (state.scratch / "bare").mkdir()
    for name, text in files.items():
        (state.scratch / name).write_text(text, encoding="utf-8")
    return state


async def teardown(state: State) -> None:
    shutil.rmtree(state.scratch)


@contestant("pytest: an empty test with a session of its own")
async def bare_nothing(state: State) -> float:
    return await state.bare("test_nothing")


@contestant("harness: an empty eval with a session", at_most=1.5)
async def ours_nothing(state: State) -> float:
    return await state.ours("test_nothing")


@contestant("pytest: a test that reads an empty table")
async def bare_select(state: State) -> float:
    return await state.bare("test_select")


@contestant("harness: an eval that reads an empty table")
async def ours_select(state: State) -> float:
    return await state.ours("test_select")
