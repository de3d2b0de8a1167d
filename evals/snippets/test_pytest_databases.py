"""Evals for snippets/pytest_databases.py: pytest in processes of its own."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from evals.harness.project import Project
from evals.harness.suite import Suite, tables

TWO = """
async def test_one(session, database): ...


async def test_two(session, database): ...
"""


FAILS = """
    def fail(connection):
        with open("tried", "a") as file:
            file.write("x")
        raise ZeroDivisionError

    return fail
"""


@pytest.fixture
async def suite(project: Project, engine: AsyncEngine, database: str) -> Suite:
    url = engine.url.render_as_string(hide_password=False)
    return Suite(project, database, url if database == "postgresql" else None)


async def test_a_schema_that_is_missing_is_asked_for(suite: Suite) -> None:
    conftest = suite.project.path / "tests/conftest.py"
    text = conftest.read_text("utf-8").replace("def create_schema", "def other")
    conftest.write_text(text, "utf-8")
    suite.write(TWO)
    outcome = suite.run(code=1)

    assert outcome.counts == {"ERROR": 2}
    assert "define the fixture create_schema in conftest.py" in outcome.output


async def test_a_schema_that_fails_is_tried_once(
    suite: Suite, engine: AsyncEngine
) -> None:
    conftest = suite.project.path / "tests/conftest.py"
    text = conftest.read_text("utf-8").replace("return Base.metadata.create_all", FAILS)
    conftest.write_text(text, "utf-8")
    suite.write(TWO)
    outcome = suite.run(code=1)

    assert outcome.counts == {"ERROR": 2}
    assert len((suite.project.path / "tried").read_text("utf-8")) == 1
    assert suite.left() == []
    assert await tables(engine) == []
