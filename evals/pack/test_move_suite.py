"""The steps that move an existing suite over: it is green after each of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from evals.harness.project import Project
from evals.pack.legacy_suite import FILES

REGISTERED = """

def pytest_configure(config):
    config.pluginmanager.register(database_fixtures)


@pytest.fixture(scope="session")
def create_schema():
    return Base.metadata.create_all
"""
SESSION = """

@pytest.fixture
def db(session):
    return session
"""
HTTP = """

@async_fixture()
async def http(sessions):
    async def get_test_db():
        async with sessions() as session:
            yield session

    app.dependency_overrides[get_db] = get_test_db
    async with open_client(app, sessions) as client:
        yield client
    app.dependency_overrides.clear()
"""
CONCURRENT = """

@pytest.mark.isolation("commit")
async def test_two_buyers_of_the_last_one(client):
    await client.post("/items?name=tea&stock=1")
    both = (client.post("/items/tea/sell") for _ in range(2))
    answers = await asyncio.gather(*both)
    assert sorted(answer.status_code for answer in answers) == [200, 409]
"""


class Suite:
    def __init__(self, project: Project, database: str) -> None:
        self.project = project
        other = {"sqlite": "postgresql", "postgresql": "sqlite"}[database]
        self.chosen = ("-q", "-k", f"not {other}", "-p", "no:cacheprovider")
        self.database = database
        project.write(FILES)

    @property
    def conftest(self) -> Path:
        return self.project.path / "tests/conftest.py"

    def passed(self, *args: str) -> tuple[int, int]:
        """Run the suite, which must be green; return how many tests it has, and how
        many of them ran on the database under test."""
        command = ("-m", "pytest", "-rA", *self.chosen, *args)
        tests = re.findall("^PASSED (.*)", self.project.run(*command).stdout, re.M)
        return len(tests), sum(f"[{self.database}]" in test for test in tests)

    def imports(self, *lines: str) -> None:
        text = self.conftest.read_text("utf-8")
        self.conftest.write_text("\n".join([*lines, text]), "utf-8")

    def append(self, text: str, name: str = "conftest") -> None:
        with open(self.project.path / f"tests/{name}.py", "a", encoding="utf-8") as f:
            f.write(text)

    def drop(self, name: str) -> None:
        text = self.conftest.read_text("utf-8")
        part = rf"# {name}: begin\n.*?# {name}: end\n"
        self.conftest.write_text(re.sub(part, "", text, flags=re.DOTALL), "utf-8")

    def make_async(self, name: str, client: str) -> None:
        file = self.project.path / f"tests/{name}.py"
        text = file.read_text("utf-8").replace("\ndef test", "\nasync def test")
        text = re.sub(r"\A(?=def test)", "async ", text)
        text = text.replace("(client)", f"({client})")
        text = re.sub(r"client\.(?:get|post)\([^)]*\)(?=\.)", r"(await \g<0>)", text)
        text = re.sub(r"(?<!await )client\.(?:get|post)\(", r"await \g<0>", text)
        file.write_text(text.replace("client.", f"{client}."), "utf-8")


@pytest.fixture
def suite(project: Project, engine: AsyncEngine, database: str) -> Suite:
    if database == "postgresql":
        url = engine.url.render_as_string(hide_password=False)
        project.env["TEST_DATABASE_URL"] = url
    return Suite(project, database)


def test_a_suite_is_moved_step_by_step(suite: Suite) -> None:
    assert suite.passed() == (5, 0)

    # 1. The new fixtures stand beside the old ones.
    suite.project.add(
        "database_fixtures", "migrated_schema", "fastapi_client", "--into", "shop/db"
    )
    suite.imports("from shop.db import database_fixtures")
    suite.append(REGISTERED)
    assert suite.passed() == (5, 0)

    # 2. The session: the name stays, and `event_loop` goes.
    suite.drop("old loop")
    suite.append(SESSION)
    assert suite.passed() == (5, 2)

    # 3. The client, one file after the other.
    suite.imports(
        "from shop.db.fastapi_client import open_client",
        "from shop.db.pytest_loop import async_fixture",
    )
    suite.append(HTTP)
    suite.make_async("test_api", "http")
    assert suite.passed() == (5, 4)
    suite.make_async("test_stock", "http")
    assert suite.passed() == (5, 5)

    # 4. What nobody uses goes; `http` takes the old name.
    suite.drop("old")
    for file in (suite.project.path / "tests").glob("*.py"):
        text = file.read_text("utf-8").replace("http", "client")
        file.write_text(text, "utf-8")
    assert suite.passed() == (5, 5)

    # 5. The schema is that of production.
    text = suite.conftest.read_text("utf-8")
    migrated = 'migrated_schema(Path(__file__).parents[1] / "alembic.ini")'
    suite.conftest.write_text(text.replace("Base.metadata.create_all", migrated))
    suite.imports(
        "from pathlib import Path",
        "from shop.db.migrated_schema import migrated_schema",
    )
    assert suite.passed() == (5, 5)

    # 6. Tests that the old suite could not have.
    suite.append("\n\nimport asyncio\n\nimport pytest\n" + CONCURRENT, "test_stock")
    assert suite.passed("-n2") == (6, 6)
