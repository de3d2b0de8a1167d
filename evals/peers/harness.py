"""What the harness costs: an eval that does nothing, beside a bare pytest test."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from evals.harness.forks import copy_pack
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

# The first test starts the server and makes the tables: it is not counted.
CLOCK = """\
import json
import os
import time

ends = []


def pytest_runtest_logfinish():
    ends.append(time.perf_counter())


def pytest_sessionfinish():
    with open(os.environ["BENCH_RESULT"], "w", encoding="utf-8") as file:
        json.dump((ends[-1] - ends[0]) / (len(ends) - 1), file)
"""


@dataclass
class State:
    scratch: Path
    url: str

    @property
    def pack(self) -> Path:
        return self.scratch / "pack"

    async def seconds(self, cwd: str, file: str, *args: str) -> float:
        """Return what a test of the file takes, without the start of the run."""
        result = self.scratch / "result.json"
        env = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        env.pop("GITHUB_STEP_SUMMARY", None)
        env |= {"PYTHONPATH": str(self.scratch), "BENCH_URL": self.url}
        process = await asyncio.create_subprocess_exec(
            sys.executable, *("-m", "pytest", "-q", "-p", "clock", file, *args),
            cwd=self.scratch / cwd,
            env=env | {"BENCH_RESULT": str(result)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        printed, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"pytest {file} failed:\n{printed.decode()}")
        return float(json.loads(result.read_text(encoding="utf-8")))

    async def bare(self, test: str) -> float:
        return await self.seconds("bare", "test_bare.py", "-k", test)

    async def ours(self, test: str) -> float:
        database = "sqlite" if self.url.startswith("sqlite") else "postgresql"
        file = "evals/snippets/test_probe.py"
        return await self.seconds("pack", file, "-k", test, "--db", database)


async def setup(url: str) -> State:
    state = State(Path(tempfile.mkdtemp(prefix="bench-harness-")), url)
    copy_pack(state.pack)
    files = {
        "clock.py": CLOCK,
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
