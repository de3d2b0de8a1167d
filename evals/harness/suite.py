"""A scratch project with the fixtures for tests, whose pytest runs as a user's."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncEngine

from evals.harness.postgres import run_directory
from evals.harness.project import ROOT, Project

MODELS = """
from sqlalchemy.orm import Mapped, mapped_column

from .db.base import Base as Base


class Note(Base):
    __tablename__ = "note"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(unique=True)
"""
CONFTEST = """
import os
import random
from pathlib import Path

import pytest

from app.db import database_fixtures
from app.models import Base


def pytest_configure(config):
    config.pluginmanager.register(database_fixtures)


def pytest_collection_modifyitems(items):
    order = os.environ.get("ORDER", "")
    if order == "reverse":
        items.reverse()
    elif order == "random":
        random.Random(7).shuffle(items)


@pytest.fixture(scope="session")
def create_schema():
    return Base.metadata.create_all


@pytest.fixture(autouse=True)
def made(request):
    '''Note which databases the run uses.'''
    if "isolation" in request.fixturenames:
        bound = request.getfixturevalue("sessions").kw["bind"]
        with open("made.txt", "a", encoding="utf-8") as file:
            file.write(f"{bound.engine.url.database}\\n")
"""


class Suite:
    """`suite.run()` runs its tests on one database, and tells what became of each."""

    def __init__(self, project: Project, database: str, server: str | None) -> None:
        self.project = project
        self.database = database
        for file in (ROOT / "snippets").glob("*.py"):
            target = project.path / "app/db" / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        project.write({"app/models.py": MODELS, "tests/conftest.py": CONFTEST})
        # Not pytest's directory: the embedded server's user may not enter that.
        self.temporary = Path(tempfile.mkdtemp(dir=run_directory()))
        self.temporary.chmod(0o755)
        project.env["TMPDIR"] = str(self.temporary)
        if server is not None:
            project.env["TEST_DATABASE_URL"] = server

    def write(self, tests: str, name: str = "test_notes") -> None:
        self.project.write({f"tests/{name}.py": tests})

    def command(self, *args: str) -> list[str]:
        chosen = ("-k", self.database, "-p", "no:cacheprovider", "-W", "error")
        # pytest-asyncio warns of an option that is not set; setting it is the user's.
        quiet = ("-W", "default:The configuration option")
        return ["-m", "pytest", "-rA", "--tb=short", *chosen, *quiet, *args]

    def run(self, *args: str, code: int = 0, **env: str) -> Outcome:
        command = self.command(*args)
        done = self.project.run(*command, check=False, env=env, timeout=300)
        if done.returncode != code:
            printed = f"{done.stdout}{done.stderr}"
            raise AssertionError(f"exit code {done.returncode}\n{printed}")
        return Outcome(done.stdout, done.stderr)

    @contextmanager
    def interrupted(self, number: signal.Signals, *args: str) -> Iterator[None]:
        """Run until a test has written `ready`, run the block, then send the signal."""
        ready = self.project.path / "ready"
        with self.project.running(*self.command(*args)) as process:
            while not ready.exists():
                try:
                    process.wait(0.02)
                except subprocess.TimeoutExpired:
                    continue
                assert process.stdout
                raise AssertionError(process.stdout.read())
            yield
            process.send_signal(number)
            # Its workers end by themselves, and only then nobody holds the pipe.
            process.communicate(timeout=120)
        ready.unlink()

    def made(self) -> set[str]:
        """Return the names of the databases that the runs used."""
        return set((self.project.path / "made.txt").read_text("utf-8").split())

    def left(self) -> list[Path]:
        """Return what lies in the directory for temporary files."""
        ours = ("pytest-sqlite-", "pytest-postgresql-")
        return [p for p in self.temporary.iterdir() if p.name.startswith(ours)]


async def tables(engine: AsyncEngine) -> list[str]:
    """Return the tables of the database that the environment of the suite names."""
    async with engine.connect() as connection:
        return await connection.run_sync(lambda conn: inspect(conn).get_table_names())


class Outcome:
    def __init__(self, output: str, errors: str) -> None:
        self.output = output
        self.errors = errors
        found = re.findall(r"^(PASSED|FAILED|ERROR) \S+::(\w+)", output, re.M)
        self.counts = Counter(word for word, _ in found)
        self.of: dict[str, set[str]] = {}
        for word, name in found:
            self.of.setdefault(name, set()).add(word)
