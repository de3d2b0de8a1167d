"""The pack in a project that has a database layer already."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import URL

from evals.harness.project import ROOT, Project
from evals.pack.legacy import FILES

SURVEY = str(ROOT / "scripts/survey.py")


@pytest.fixture
def shop(project: Project, fresh_database: URL, database: str) -> Project:
    """The project with its migrations applied and a row in its tables."""
    project.write(FILES)
    driver = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg2"}[database]
    url = fresh_database.set(drivername=driver)
    project.env["SHOP_DB"] = url.render_as_string(hide_password=False)
    project.run("-m", "alembic", "upgrade", "head")
    project.run(
        "-c",
        "from shop import service; from shop.database import SessionLocal\n"
        "with SessionLocal.begin() as db: service.place(db, 'Old', 5)",
        env={"PYTHONPATH": "src"},
    )
    return project


def sources(project: Project) -> dict[str, str]:
    return {
        str(path.relative_to(project.path)): path.read_text(encoding="utf-8")
        for path in sorted(project.path.rglob("*.py"))
        if "__pycache__" not in path.parts
    }


def test_the_survey_names_what_to_keep_and_what_stands_in_the_way(
    project: Project,
) -> None:
    project.write(FILES)
    before = sources(project)
    told = project.run(SURVEY).stdout
    assert sources(project) == before

    assert "Poetry" in told or "poetry" in told
    for place in (
        "src/shop/database.py",  # engine, Base and get_db
        "src/shop/models.py",
        "migrations/env.py",
        "src/shop/main.py",
        "tests",
    ):
        assert place in told, told
    assert "psycopg2" in told
    pages = json.loads(project.run(SURVEY, "--json").stdout)["pages"]
    names = json.dumps(pages)
    assert "adopt" in names
    assert "sync-to-async" in names
    assert "set-up" not in names


def test_a_snippet_comes_in_without_a_second_base_or_engine(shop: Project) -> None:
    before = sources(shop)
    shop.add("session", "--into", "src/shop/db")
    added = sources(shop).keys() - before.keys()
    assert added == {"src/shop/db/session.py", "src/shop/db/__init__.py"}
    assert before.items() <= sources(shop).items()

    # Who takes a snippet that needs a base puts their own in its place first.
    shop.write({"src/shop/db/base.py": OWN_BASE})
    done = shop.run(
        str(ROOT / "scripts/add.py"),
        "soft_delete",
        "--into",
        "src/shop/db",
        check=False,
    )
    assert done.returncode == 1
    assert "differs src/shop/db/base.py" in done.stdout
    assert (shop.path / "src/shop/db/base.py").read_text("utf-8") == OWN_BASE
    bases = [p for p, text in sources(shop).items() if "(DeclarativeBase)" in text]
    assert bases == ["src/shop/database.py"]
    assert "1 passed" in shop.run("-m", "pytest", "-q").stdout


OWN_BASE = """\
from datetime import UTC, datetime

from sqlalchemy import DateTime as UtcDateTime

from ..database import Base

__all__ = ["UTC", "Base", "UtcDateTime", "datetime"]
"""


def test_both_styles_run_side_by_side_on_the_same_models(shop: Project) -> None:
    """The page's way: the async engine beside the old one, route by route."""
    shop.add("engine", "fastapi_session", "--into", "src/shop/db")
    shop.write({"src/shop/later.py": LATER, "tests/test_later.py": TEST_LATER})
    env = {"DATABASE_URL": shop.env["SHOP_DB"]}
    done = shop.run("-m", "pytest", "-q", "-W", "error::RuntimeWarning", env=env)
    assert "3 passed" in done.stdout


LATER = """\
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from . import main, service
from .db.fastapi_session import ReadSessionDep, SessionDep, lifespan
from .models import Customer

app = FastAPI(lifespan=lifespan)
app.include_router(main.app.router)  # what is still synchronous


@app.get("/v2/owed/{customer_id}")
async def owed(customer_id: int, session: ReadSessionDep) -> int:
    stmt = select(Customer).where(Customer.id == customer_id)
    found = await session.scalars(stmt.options(selectinload(Customer.orders)))
    return sum(order.total for order in found.one().orders)


@app.post("/v2/orders")
async def order(name: str, total: int, session: SessionDep) -> int:
    # The old function, lazy loads and all, on the new session.
    customer = await session.run_sync(service.place, name, total)
    return await session.run_sync(service.owed, customer.id)
"""

TEST_LATER = """\
import asyncio

import httpx
import pytest

from shop.later import app


@pytest.fixture
def ask():
    def ask(method, url):
        async def main():
            async with app.router.lifespan_context(app):
                transport = httpx.ASGITransport(app)
                async with httpx.AsyncClient(
                    transport=transport, base_url="http://test"
                ) as client:
                    return (await client.request(method, url)).json()

        return asyncio.run(main())

    return ask


def test_old_and_new_routes_agree(ask):
    assert ask("GET", "/owed/1") == ask("GET", "/v2/owed/1") == 5


def test_an_old_function_runs_on_the_new_session(ask):
    assert ask("POST", "/v2/orders?name=New&total=8") == 8
"""


def test_lazy_loads_are_found_while_the_code_is_still_synchronous(
    shop: Project, tmp_path: Path
) -> None:
    """Each test that fails with `lazy="raise"` would be a MissingGreenlet later."""
    models = FILES["src/shop/models.py"]
    assert 'relationship(order_by="Order.id")' in models
    raising = 'relationship(order_by="Order.id", lazy="raise")'
    shop.write(
        {
            "src/shop/models.py": models.replace(
                'relationship(order_by="Order.id")', raising
            ),
            "tests/test_orders.py": FILES["tests/test_orders.py"].replace(
                "    assert", "    db.expire_all()\n    assert"
            ),
        }
    )
    done = shop.run("-m", "pytest", "-q", check=False)
    assert done.returncode == 1
    assert "'Customer.orders' is not available due to lazy='raise'" in done.stdout
