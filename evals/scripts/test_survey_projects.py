"""Evals for scripts/survey.py on projects as people have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.harness.surveyed import Surveyed


@pytest.fixture
def tree(tmp_path: Path) -> Surveyed:
    return Surveyed(tmp_path)


def test_an_empty_folder_is_set_up(tree: Surveyed) -> None:
    report = tree.survey()

    assert report.style == "none"
    assert report["pages"] == ["references/set-up.md set-up no-layer"]
    assert {key for key, items in report.items() if items} == {"pages"}


POETRY = {
    "pyproject.toml": """
        [tool.poetry]
        name = "shop"
        packages = [{ include = "shop", from = "src" }]

        [tool.poetry.dependencies]
        python = "^3.11"
        fastapi = "^0.121"
        SQLAlchemy = "^2.0"
        alembic = { version = "^1.14", optional = true }
        psycopg2-binary = "^2.9.9"
        pydantic-settings = [
          { version = ">=2.7", python = ">=3.12" },
          { version = "2.6.*", python = "<3.12" },
        ]

        [tool.poetry.group.dev.dependencies]
        pytest = "^8.4"
        pytest-asyncio = { git = "https://github.com/pytest-dev/pytest-asyncio" }

        [tool.poetry.dev-dependencies]
        aiosqlite = "*"
        """,
    "poetry.lock": """
        [[package]]
        name = "psycopg2-binary"
        version = "2.9.10"
        description = ""

        [[package]]
        name = "sqlalchemy"
        version = "2.0.44"

        [package.dependencies]
        greenlet = "*"
        version = "9.9"
        """,
    "alembic.ini": """
        [alembic]
        script_location = migrations
        sqlalchemy.url = driver://user:pass@localhost/dbname
        """,
    ".env.example": """
        # DATABASE_URL=mysql://nobody@nowhere/x
        DATABASE_URL=postgresql+psycopg2://USER:PASSWORD@localhost/shop
        """,
    "compose.yaml": """
        services:
          db:
            image: docker.io/library/postgres:16.4-alpine
        """,
    "src/shop/settings.py": """
        from pydantic_settings import BaseSettings


        class Settings(BaseSettings):
            database_url: str = "postgresql://localhost/shop"
        """,
    "src/shop/db.py": """
        from collections.abc import Iterator

        from sqlalchemy import create_engine
        from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

        from .settings import Settings

        engine = create_engine(Settings().database_url)
        SessionLocal = sessionmaker(engine)


        class Base(DeclarativeBase):
            pass


        def get_db() -> Iterator[Session]:
            db = SessionLocal()
            try:
                yield db
                db.commit()
            finally:
                db.close()
        """,
    "src/shop/models.py": """
        from sqlalchemy.orm import Mapped, mapped_column

        from .db import Base


        class Order(Base):
            __tablename__ = "orders"
            id: Mapped[int] = mapped_column(primary_key=True)


        class Line(Base):
            __tablename__ = "lines"
            id: Mapped[int] = mapped_column(primary_key=True)
        """,
    "src/shop/legacy.py": """
        from sqlalchemy import Column, Integer
        from sqlalchemy.orm import declarative_base

        LegacyBase = declarative_base()


        class Invoice(LegacyBase):
            __tablename__ = "invoices"
            id = Column(Integer, primary_key=True)
        """,
    "src/shop/main.py": """
        from fastapi import Depends, FastAPI
        from sqlalchemy.orm import Session

        from .db import Base, engine, get_db
        from .models import Order

        app = FastAPI()
        Base.metadata.create_all(engine)


        @app.get("/orders")
        def orders(db: Session = Depends(get_db)) -> list[int]:
            return [order.id for order in db.query(Order).offset(10).limit(5)]
        """,
    "migrations/env.py": """
        from alembic import context
        from sqlalchemy import engine_from_config

        engine = engine_from_config(context.config.get_section("alembic"))
        """,
    "migrations/versions/1_orders.py": """
        revision = "a1"
        down_revision = None
        """,
    "migrations/versions/2_lines.py": """
        revision: str = "b2"
        down_revision: str | None = "a1"
        """,
    "migrations/versions/3_invoices.py": """
        revision: str = "c3"
        down_revision: str | None = "a1"
        """,
    "tests/conftest.py": """
        from sqlalchemy import create_engine

        engine = create_engine("sqlite://")
        """,
    "tests/test_orders.py": "def test_orders() -> None: ...\n",
}


def test_a_poetry_project_on_psycopg2_is_known_with_all_that_it_has(
    tree: Surveyed,
) -> None:
    report = tree.of(POETRY)

    assert report.style == "sync"
    assert report["managers"] == ["poetry.lock Poetry lock file"]
    assert report["python"] == ["pyproject.toml:6 python ^3.11"]
    assert report["ranges"] == [
        "pyproject.toml:7 fastapi ^0.121",
        "pyproject.toml:8 sqlalchemy ^2.0",
        "pyproject.toml:9 alembic ^1.14",
        "pyproject.toml:10 psycopg2-binary ^2.9.9",
        "pyproject.toml:11 pydantic-settings >=2.7",
        "pyproject.toml:11 pydantic-settings 2.6.*",
        "pyproject.toml:21 aiosqlite *",
        "pyproject.toml:17 pytest ^8.4",
        "pyproject.toml:18 pytest-asyncio from elsewhere",
    ]
    assert report["locked"] == [
        "poetry.lock:3 psycopg2-binary 2.9.10",
        "poetry.lock:8 sqlalchemy 2.0.44",
    ]
    assert report["engines"] == [
        "migrations/env.py:4 engine_from_config sync, in env.py",
        "src/shop/db.py:8 create_engine sync",
        "tests/conftest.py:3 create_engine sync, in tests",
    ]
    assert report["sessions"] == [
        "src/shop/db.py:9 sessionmaker sync",
        "src/shop/db.py:16 get_db yields a session",
    ]
    assert report["bases"] == [
        "src/shop/db.py:12 Base",
        "src/shop/legacy.py:4 LegacyBase",
    ]
    assert report["models"] == [
        "src/shop/legacy.py:7 Invoice",
        "src/shop/models.py:6 Order",
        "src/shop/models.py:11 Line",
    ]
    assert report["settings"] == [
        ".env.example:2 DATABASE_URL",
        "src/shop/settings.py:4 Settings",
    ]
    assert report["apps"] == ["src/shop/main.py:7 FastAPI"]
    assert report["tests"] == ["tests/conftest.py conftest.py", "tests tests 1"]


def test_its_databases_are_known_by_dialect_and_driver(tree: Surveyed) -> None:
    assert tree.of(POETRY)["databases"] == [
        ".env.example:2 postgresql+psycopg2",
        "compose.yaml:3 postgres image 16.4",
        "src/shop/settings.py:5 postgresql",
        "tests/conftest.py:3 sqlite in tests",
    ]


def test_its_revisions_have_two_heads(tree: Surveyed) -> None:
    report = tree.of(POETRY)

    assert report["alembic"] == [
        "alembic.ini:1 configuration",
        "migrations/env.py env.py",
        "migrations history revisions 3, heads 2",
    ]
    assert report["heads"] == [
        "migrations/versions/2_lines.py:1 b2",
        "migrations/versions/3_invoices.py:1 c3",
    ]


def test_what_stands_in_its_way_is_named_by_line(tree: Surveyed) -> None:
    assert sorted(tree.of(POETRY).problems) == [
        "migrations/versions/2_lines.py:1 many-heads",
        "migrations/versions/3_invoices.py:1 many-heads",
        "pyproject.toml:10 sync-driver",
        "src/shop/db.py:20 commit-after-yield",
        "src/shop/db.py:8 import-engine",
        "src/shop/legacy.py:4 second-base",
        "src/shop/main.py:13 query-api",
        "src/shop/main.py:8 create-all",
        "tests/conftest.py:3 sqlite-tests",
    ]


def test_what_is_to_stay_of_it_is_named_by_line(tree: Surveyed) -> None:
    assert tree.of(POETRY).kept == [
        "src/shop/db.py:12 Base",
        "src/shop/db.py:16 get_db",
        "src/shop/settings.py:4 Settings",
        "migrations/env.py env.py",
        "migrations history",
        "tests/conftest.py conftest.py",
    ]


def test_the_pages_that_fit_it_say_what_for(tree: Surveyed) -> None:
    assert tree.of(POETRY)["pages"] == [
        "references/adopt.md adopt own-layer, second-base",
        "references/sync-to-async.md sync-to-async sync-code, sync-driver, query-api",
        "references/engine.md engine import-engine",
        "references/session.md session commit-after-yield, own-sessions",
        "references/models.md models second-base, models",
        "references/pagination.md pagination offset",
        "references/migrations.md migrations create-all, many-heads",
        "references/live-schema.md live-schema revisions",
        "references/testing.md testing sqlite-tests, tests",
    ]


def test_its_text_fits_a_screen_of_45_lines(tree: Surveyed) -> None:
    tree.lay(POETRY)
    lines = tree.run().out.splitlines()

    assert len(lines) <= 45
    assert lines[:2] == [f"root: {tree.project.resolve()}", "style: sync"]
    assert (
        "ranges: pyproject.toml fastapi ^0.121, sqlalchemy ^2.0, alembic ^1.14,"
        " psycopg2-binary ^2.9.9, pydantic-settings >=2.7, pydantic-settings 2.6.*,"
        " aiosqlite *, pytest ^8.4, pytest-asyncio from elsewhere"
    ) in lines
    assert "locked: poetry.lock psycopg2-binary 2.9.10, sqlalchemy 2.0.44" in lines
    assert "models: src/shop/legacy.py Invoice; src/shop/models.py Order, Line" in lines
    assert (
        "  many-heads migrations/versions/2_lines.py:1, migrations/versions/"
        "3_invoices.py:1: `alembic upgrade head` refuses more than one: merge them"
    ) in lines
    assert "  adopt references/adopt.md: own-layer, second-base" in lines


def test_tests_are_left_to_the_json_but_for_their_databases(tree: Surveyed) -> None:
    tree.lay(POETRY)
    text = tree.run().out

    assert "databases:" in text
    assert "sqlite (in tests) tests/conftest.py:3" in text
    assert "create_engine (sync) src/shop/db.py:8" in text
    assert "create_engine (sync, in tests)" not in text


UV = {
    "pyproject.toml": """
        [project]
        name = "heroes"
        requires-python = ">=3.12"
        dependencies = [
          "sqlmodel>=0.0.31",
          "SQLAlchemy[asyncio] >= 2.0.40, < 2.2",
          "asyncpg~=0.31.0 ; python_version < '4'",
          "greenlet>=3",
        ]

        [project.optional-dependencies]
        web = ["fastapi[standard]"]

        [dependency-groups]
        dev = [{ include-group = "pytest" }, "pytest-asyncio==1.3.0"]
        pytest = ["pytest>=8.4"]

        [tool.uv]
        dev-dependencies = ["aiosqlite!=0.20"]

        [tool.alembic]
        script_location = "%(here)s/migrations"

        [tool.pytest.ini_options]
        asyncio_mode = "auto"
        """,
    "uv.lock": """
        version = 1
        requires-python = ">=3.12"

        [[package]]
        name = "asyncpg"
        version = "0.31.0"
        source = { registry = "https://packages.example.org/simple" }

        [[package]]
        name = "heroes"
        source = { virtual = "." }

        [[package]]
        name = "sqlalchemy"
        version = "2.1.0b1"
        """,
    ".python-version": "3.13\n",
    ".env": 'export DATABASE_URL="postgresql+asyncpg://USER:PASSWORD@db:6543/heroes"\n',
    "heroes/models.py": """
        from sqlmodel import Field, SQLModel


        class HeroBase(SQLModel):
            name: str


        class Hero(HeroBase, table=True):
            id: int | None = Field(default=None, primary_key=True)


        class Team(SQLModel, table=True):
            id: int | None = Field(default=None, primary_key=True)


        class HeroOut(HeroBase):
            id: int
        """,
    "heroes/main.py": """
        from contextlib import asynccontextmanager
        from os import environ

        from fastapi import FastAPI
        from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine


        @asynccontextmanager
        async def lifespan(app):
            engine = create_async_engine(environ["DATABASE_URL"])
            app.state.sessions = async_sessionmaker(engine)
            yield
            await engine.dispose()


        app = FastAPI(lifespan=lifespan)
        """,
    "heroes/worker.py": """
        from sqlalchemy.ext.asyncio import create_async_engine


        async def main(url):
            return create_async_engine(url)
        """,
}


def test_an_async_uv_project_on_sqlmodel_keeps_its_layer(tree: Surveyed) -> None:
    report = tree.of(UV)

    assert report.style == "async"
    assert report["managers"] == ["uv.lock uv lock file"]
    assert report["python"] == [
        ".python-version:1 python 3.13",
        "pyproject.toml:3 python >=3.12",
    ]
    assert report["ranges"] == [
        "pyproject.toml:5 sqlmodel >=0.0.31",
        "pyproject.toml:6 sqlalchemy >= 2.0.40, < 2.2",
        "pyproject.toml:7 asyncpg ~=0.31.0",
        "pyproject.toml:12 fastapi any",
        "pyproject.toml:15 pytest-asyncio ==1.3.0",
        "pyproject.toml:16 pytest >=8.4",
        "pyproject.toml:19 aiosqlite !=0.20",
    ]
    assert report["locked"] == [
        "uv.lock:6 asyncpg 0.31.0",
        "uv.lock:15 sqlalchemy 2.1.0b1",
    ]
    assert report["bases"] == ["heroes/models.py:8 SQLModel"]
    assert report["models"] == ["heroes/models.py:8 Hero", "heroes/models.py:12 Team"]
    assert report["alembic"] == ["pyproject.toml:21 configuration"]
    assert report["tests"] == ["pyproject.toml:25 asyncio_mode auto"]
    assert report["settings"] == [
        ".env:1 DATABASE_URL",
        "heroes/main.py:10 DATABASE_URL",
    ]
    assert report.kept == [
        "heroes/models.py:8 SQLModel",
        "heroes/main.py:10 create_async_engine",
    ]
    assert report.problems == ["heroes/worker.py:5 second-engine"]
    assert report["pages"] == [
        "references/adopt.md adopt own-layer, second-engine",
        "references/engine.md engine second-engine, pooler",
        "references/session.md session own-sessions",
        "references/models.md models models",
        "references/migrations.md migrations no-revisions",
        "references/testing.md testing tests",
    ]


def test_pip_tools_is_known_by_its_files_and_its_pins_are_locked(
    tree: Surveyed,
) -> None:
    report = tree.of(
        {
            "requirements.in": "sqlalchemy\nalembic>=1.14  # migrations\n",
            "requirements.txt": """
                #
                # This file is autogenerated by pip-compile with Python 3.12
                #
                alembic==1.16.1 \\
                    --hash=sha256:0123456789abcdef
                SQLAlchemy[asyncio]==2.0.44 --hash=sha256:fedcba
                    # via alembic
                """,
        }
    )
    assert report["managers"] == [
        "requirements.in pip-tools requirements",
        "requirements.txt pip-tools requirements",
    ]
    assert report["ranges"] == [
        "requirements.in:1 sqlalchemy any",
        "requirements.in:2 alembic >=1.14",
    ]
    assert report["locked"] == [
        "requirements.txt:4 alembic 1.16.1",
        "requirements.txt:6 sqlalchemy 2.0.44",
    ]


def test_plain_requirements_are_ranges_and_what_they_include_is_read_once(
    tree: Surveyed,
) -> None:
    report = tree.of(
        {
            "requirements.txt": "-r deps/base.txt\nfastapi==0.121.0\n",
            "deps/base.txt": "--requirement=../requirements.txt\nsqlalchemy>=2,<3\n",
            "requirements/dev.txt": "-c ../deps/base.txt\npytest\n-e .\n",
            "notes.txt": "aiosqlite==1\n",
        }
    )
    assert report["managers"] == [
        "requirements.txt pip requirements",
        "deps/base.txt pip requirements",
        "requirements/dev.txt pip requirements",
    ]
    assert report["ranges"] == [
        "deps/base.txt:2 sqlalchemy >=2,<3",
        "requirements.txt:2 fastapi ==0.121.0",
        "requirements/dev.txt:2 pytest any",
    ]
    assert report["locked"] == report["notes"] == []


def test_a_file_that_uv_compiled_is_locked_and_is_still_pips(tree: Surveyed) -> None:
    header = "# This file was autogenerated by uv via the following command:"
    report = tree.of({"requirements.txt": f"{header}\nalembic==1.17\n"})

    assert report["managers"] == ["requirements.txt pip requirements"]
    assert report["locked"] == ["requirements.txt:2 alembic 1.17"]


def test_pdm_is_known_by_its_table_and_its_lock(tree: Surveyed) -> None:
    project = """
        [project]
        dependencies = ["sqlalchemy>=2.0.40"]

        [tool.pdm.dev-dependencies]
        test = ["pytest-asyncio"]
        """
    report = tree.of({"pyproject.toml": project})
    assert report["managers"] == ["pyproject.toml PDM tool table"]
    assert report["ranges"] == [
        "pyproject.toml:2 sqlalchemy >=2.0.40",
        "pyproject.toml:5 pytest-asyncio any",
    ]

    lock = 'version = "4"\n[[package]]\nname = "sqlalchemy"\nversion = "2.0.41"\n'
    report = tree.of({"pdm.lock": lock})
    assert report["managers"] == ["pdm.lock PDM lock file"]
    assert report["locked"] == ["pdm.lock:4 sqlalchemy 2.0.41"]


def test_a_standard_lock_file_names_no_manager(tree: Surveyed) -> None:
    lock = '[[packages]]\nname = "aiosqlite"\nversion = "0.21.0"\n'
    report = tree.of(
        {"pylock.toml": lock, "pylock.dev.toml": lock, "my-pylock.toml": lock}
    )

    assert report["managers"] == [
        "pylock.dev.toml pylock.toml lock file",
        "pylock.toml pylock.toml lock file",
    ]
    assert report["locked"] == [
        "pylock.dev.toml:3 aiosqlite 0.21.0",
        "pylock.toml:3 aiosqlite 0.21.0",
    ]


def test_a_bare_pyproject_is_installed_by_pip(tree: Surveyed) -> None:
    report = tree.of({"pyproject.toml": '[project]\ndependencies = ["fastapi"]\n'})

    assert report["managers"] == ["pyproject.toml pip pyproject.toml"]
    assert report["python"] == []
    assert report.pages == ["set-up"]


def test_a_package_that_toml_escapes_has_no_line(tree: Surveyed) -> None:
    text = '[project]\ndependencies = ["\\u0061lembic>=1.14"]\n'
    assert tree.of({"pyproject.toml": text})["ranges"] == [
        "pyproject.toml alembic >=1.14"
    ]


def test_setup_cfg_is_read_with_its_extras(tree: Surveyed) -> None:
    report = tree.of(
        {
            "setup.cfg": """
                [metadata]
                keywords =
                    sqlalchemy
                [options]
                python_requires = >=3.11
                zip_safe = false
                zip_safe = true
                install_requires =
                    SQLAlchemy>=2.0.40
                    flask

                [options.extras_require]
                pg = asyncpg; python_version > "3"

                [tool:pytest]
                asyncio_mode = strict
                """
        }
    )
    assert report["python"] == ["setup.cfg:5 python >=3.11"]
    assert report["ranges"] == [
        "setup.cfg:9 sqlalchemy >=2.0.40",
        "setup.cfg:13 asyncpg any",
    ]
    assert report["tests"] == ["setup.cfg:16 asyncio_mode strict"]


def test_flask_sqlalchemy_is_a_sync_layer_of_its_own(tree: Surveyed) -> None:
    report = tree.of(
        {
            "requirements.txt": "Flask-SQLAlchemy==3.1.1\npsycopg2\n",
            "blog/__init__.py": """
                from flask import Flask
                from flask_sqlalchemy import SQLAlchemy

                db = SQLAlchemy()


                def create_app():
                    app = Flask(__name__)
                    app.config["SQLALCHEMY_DATABASE_URI"] = "postgres://localhost/blog"
                    db.init_app(app)
                    return app
                """,
            "blog/models.py": """
                from blog import db


                class Post(db.Model):
                    id = db.Column(db.Integer, primary_key=True)
                """,
        }
    )
    assert report.style == "sync"
    assert report["ranges"] == [
        "requirements.txt:1 flask-sqlalchemy ==3.1.1",
        "requirements.txt:2 psycopg2 any",
    ]
    assert report["bases"] == ["blog/__init__.py:4 db.Model"]
    assert report["sessions"] == ["blog/__init__.py:4 db.session sync"]
    assert report["models"] == ["blog/models.py:4 Post"]
    assert report["apps"] == ["blog/__init__.py:8 Flask"]
    assert report["settings"] == ["blog/__init__.py:9 SQLALCHEMY_DATABASE_URI"]
    assert report["databases"] == ["blog/__init__.py:9 postgresql"]
    assert report.problems == [
        "blog/__init__.py:4 flask-sqlalchemy",
        "requirements.txt:2 sync-driver",
    ]
    assert report.pages == ["adopt", "sync-to-async", "session", "models", "migrations"]


MODULE = """
    from sqlalchemy import create_engine
    from sqlalchemy.orm import DeclarativeBase


    class Base(DeclarativeBase):
        pass


    def connect(url):
        return create_engine(url)
    """


def test_the_projects_of_a_monorepo_do_not_stand_in_each_others_way(
    tree: Surveyed,
) -> None:
    report = tree.of(
        {
            "pyproject.toml": '[tool.uv.workspace]\nmembers = ["services/*"]\n',
            "uv.lock": "version = 1\n",
            "services/api/pyproject.toml": """
                [project]
                dependencies = ["asyncpg", "psycopg2"]
                """,
            "services/api/api/db.py": MODULE,
            "services/job/pyproject.toml": """
                [tool.poetry.dependencies]
                psycopg2 = "*"
                """,
            "services/job/db.py": MODULE,
        }
    )
    assert report["projects"] == [
        "pyproject.toml .",
        "services/api/pyproject.toml services/api",
        "services/job/pyproject.toml services/job",
    ]
    assert report["managers"] == [
        "uv.lock uv lock file",
        "services/job/pyproject.toml Poetry tool table",
    ]
    assert report.problems == ["services/job/pyproject.toml:2 sync-driver"]
    assert report["notes"] == [
        ". several projects: survey one alone to see what fits it"
    ]

    report = tree.of({"services/job/other.py": MODULE})
    assert report.problems[:2] == [
        "services/job/other.py:5 second-base",
        "services/job/other.py:10 second-engine",
    ]


def test_a_project_has_the_manager_of_the_workspace_around_it(tree: Surveyed) -> None:
    bare = '[project]\nname = "x"\n'
    report = tree.of(
        {
            "a/uv.lock": "",
            "a/pyproject.toml": "[tool.poetry]\nname = 'x'\n",
            "a/member/pyproject.toml": bare,
            "ab/pyproject.toml": bare,
            "ab/requirements.txt": "",
            "c/pyproject.toml": bare,
        }
    )
    assert report["managers"] == [
        "a/uv.lock uv lock file",
        "ab/requirements.txt pip requirements",
        "c/pyproject.toml pip pyproject.toml",
    ]


def test_each_sync_driver_of_postgresql_is_in_the_way_without_asyncpg(
    tree: Surveyed,
) -> None:
    drivers = "psycopg2\npsycopg2-binary\npg8000\npsycopg\naiosqlite\npymysql\n"
    assert tree.of({"requirements.txt": drivers}).problems == [
        f"requirements.txt:{line} sync-driver" for line in (1, 2, 3)
    ]
    assert tree.of({"requirements.txt": f"{drivers}asyncpg\n"}).problems == []


def test_one_project_of_a_monorepo_is_surveyed_alone(tree: Surveyed) -> None:
    tree.lay({"a/pyproject.toml": "", "a/db.py": MODULE, "b/db.py": MODULE})
    report = tree.survey("a")

    assert report["projects"] == ["pyproject.toml ."]
    assert report["bases"] == ["db.py:5 Base"]
