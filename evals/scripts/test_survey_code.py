"""Evals for scripts/survey.py: what it makes of one habit, one class, one line."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest

from evals.harness.surveyed import Surveyed


@pytest.fixture
def tree(tmp_path: Path) -> Surveyed:
    return Surveyed(tmp_path)


def test_engines_are_known_through_any_form_of_import(tree: Surveyed) -> None:
    report = tree.of(
        {
            "db.py": """
                import sqlalchemy
                import sqlalchemy as sa
                import sqlalchemy.ext.asyncio
                from sqlalchemy import engine_from_config as from_config
                from sqlalchemy.ext import asyncio as aio
                from sqlmodel import create_engine
                from .other import create_async_engine


                def engines():
                    sqlalchemy.create_engine("x")
                    sa.create_engine("x")
                    sqlalchemy.ext.asyncio.create_async_engine("x")
                    from_config({})
                    aio.async_engine_from_config({})
                    create_engine("x")
                    create_async_engine("x")
                    pool().create_engine("x")
                """
        }
    )
    assert report["engines"] == [
        "db.py:11 create_engine sync",
        "db.py:12 create_engine sync",
        "db.py:13 create_async_engine async",
        "db.py:14 engine_from_config sync",
        "db.py:15 async_engine_from_config async",
        "db.py:16 create_engine sync",
    ]
    assert report.style == "both"


def test_session_factories_are_sync_or_async(tree: Surveyed) -> None:
    report = tree.of(
        {
            "db.py": """
                from sqlalchemy import orm
                from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session
                from sqlalchemy.ext.asyncio import async_sessionmaker


                def factories(engine):
                    orm.sessionmaker(engine)
                    orm.scoped_session(engine)
                    orm.sessionmaker(engine, class_=AsyncSession)
                    async_sessionmaker(engine)
                    async_scoped_session(engine)
                """
        }
    )
    assert report["sessions"] == [
        "db.py:7 sessionmaker sync",
        "db.py:8 scoped_session sync",
        "db.py:9 sessionmaker async",
        "db.py:10 async_sessionmaker async",
        "db.py:11 async_scoped_session async",
    ]


def test_an_engine_is_in_the_way_where_the_import_makes_it(tree: Surveyed) -> None:
    on_import = [
        "engine = create_engine(URL)",
        "class Database:\n    engine = create_engine(URL)",
        "if URL:\n    engine = create_engine(URL)",
        "engine: Any = make(create_engine(URL))",
    ]
    later = [
        "if __name__ == '__main__':\n    engine = create_engine(URL)",
        "def connect():\n    return create_engine(URL)",
        "async def connect():\n    return create_engine(URL)",
        "connect = lambda: create_engine(URL)",
    ]
    head = "from sqlalchemy import create_engine\n"
    tree.lay({f"import{n}.py": head + code for n, code in enumerate(on_import)})
    tree.lay({f"later{n}.py": head + code for n, code in enumerate(later)})

    problems = tree.survey().problems
    assert [p for p in problems if p.endswith("import-engine")] == [
        "import0.py:2 import-engine",
        "import1.py:3 import-engine",
        "import2.py:3 import-engine",
        "import3.py:2 import-engine",
    ]


DEPENDENCY = """
    from fastapi import Depends
    from .db import Sessions


    async def {name}():
    {body}


    def route(db=Depends({depends})): ...
    """
COMMITS = "session = Sessions()\nyield session\nawait session.commit()"
BLOCK = "async with Sessions.begin() as session:\n    yield session"
INNER = "with Sessions() as s:\n    with s.begin():\n        yield s"
TWICE = (
    "async with Sessions() as session:\n    yield session\n    if session.dirty:\n"
    "        await session.commit()\n    await session.commit()"
)
NOT_AFTER = [
    "session = Sessions()\nawait session.commit()\nyield session",
    "session = Sessions()\nyield session\nawait other.commit()",
    "session = Sessions()\nyield 1\nawait session.commit()",
    "session = Sessions()\nwith session.begin():\n    pass\nyield session",
    "session = Sessions()\nyield session\nwith session.begin():\n    pass",
    "session = Sessions()\nwith session.start():\n    yield session",
    "thing = Things()\nyield thing\nawait thing.commit()",
]


def dependency(name: str, body: str, depends: str) -> str:
    code = dedent(DEPENDENCY).lstrip()
    return code.format(name=name, body=indent(body, "    "), depends=depends)


def test_a_dependency_that_commits_after_its_yield_is_in_the_way(
    tree: Surveyed,
) -> None:
    late = [
        (COMMITS, "late0", 8),
        (COMMITS, "dependency=late1", 8),
        (COMMITS, 'late2, scope="request"', 8),
        (COMMITS, "deps.late3", 8),
        (BLOCK, "late4", 6),
        (INNER, "late5", 7),
        (TWICE, "late6", 9),
    ]
    for number, (body, depends, _) in enumerate(late):
        tree.give(f"late{number}.py", dependency(f"late{number}", body, depends))
    scoped = [COMMITS, BLOCK, INNER, TWICE]
    for number, body in enumerate(scoped):
        depends = f'scoped{number}, scope="function"'
        tree.give(f"scoped{number}.py", dependency(f"scoped{number}", body, depends))
    for number, body in enumerate(NOT_AFTER):
        name = f"right{number}"
        tree.give(f"{name}.py", dependency(name, body, name))
    tree.give("unused.py", dependency("unused", COMMITS, "something_else"))

    assert tree.survey().problems == [
        f"late{number}.py:{line} commit-after-yield"
        for number, (_, _, line) in enumerate(late)
    ]


def test_one_route_that_waits_too_long_is_enough(tree: Surveyed) -> None:
    right = 'from fastapi import Depends\nx = Depends(get_db, scope="function")\n'
    code = dependency("get_db", COMMITS, "get_db")
    report = tree.of({"app.py": code, "b.py": right})

    assert report.problems == ["app.py:8 commit-after-yield"]


def test_a_function_that_yields_a_session_is_told(tree: Surveyed) -> None:
    for number, body in enumerate([COMMITS, BLOCK, INNER, *NOT_AFTER]):
        tree.give(f"{number}.py", dependency(f"f{number}", body, "other"))
    told = [0, 1, 2, 3, 4, 6, 7, 8]

    assert tree.survey()["sessions"] == [
        f"{number}.py:5 f{number} yields a session" for number in told
    ]


def test_models_are_the_classes_whose_parents_lead_to_a_base(tree: Surveyed) -> None:
    report = tree.of(
        {
            "a_models.py": """
                from .base import Base, Stamped, Reg, Auto
                from sqlalchemy import Column
                from sqlalchemy.orm import Mapped, mapped_column


                class Plain(Base):
                    id: Mapped[int]


                class Late(Stamped):
                    id = Column(primary_key=True)


                class Manager(Plain):
                    level: Mapped[int]


                class Old(Reg):
                    __table__ = object()


                class Reflected(Auto):
                    name = mapped_column()


                class Empty(Base): ...


                class Deep(Empty):
                    id: Mapped[int]


                class Mixin:
                    made: Mapped[int]


                class Tag(Base):
                    def sort(self):
                        return Column
                """,
            "base.py": """
                from typing import Any

                from sqlalchemy.ext.automap import automap_base
                from sqlalchemy.orm import DeclarativeBase, DeclarativeBaseNoMeta
                from sqlalchemy.orm import Mapped, declarative_base


                class Base(DeclarativeBase):
                    id: Mapped[int]

                    def __repr__(self):
                        return self.__tablename__


                class Stamped(Base):
                    __abstract__ = True
                    made: Mapped[int]


                class Bare(DeclarativeBaseNoMeta): ...


                Reg: Any = declarative_base()
                Auto = automap_base()
                """,
            "schemas.py": """
                # sqlalchemy
                from pydantic import BaseModel


                class Base(BaseModel):
                    id: int


                class Order(Base):
                    __tablename: str = "no"
                """,
        }
    )
    assert report["bases"] == [
        "base.py:8 Base",
        "base.py:20 Bare",
        "base.py:23 Reg",
        "base.py:24 Auto",
    ]
    assert report["models"] == [
        "a_models.py:18 Old",
        "a_models.py:6 Plain",
        "a_models.py:10 Late",
        "a_models.py:14 Manager",
        "a_models.py:22 Reflected",
        "a_models.py:29 Deep",
    ]
    assert report.problems == [
        "base.py:20 second-base",
        "base.py:23 second-base",
        "base.py:24 second-base",
    ]


def test_bases_engines_and_models_of_tests_are_told_apart(tree: Surveyed) -> None:
    code = """
        from sqlalchemy import create_engine
        from sqlalchemy.orm import DeclarativeBase, Mapped

        engine = create_engine("sqlite://")


        class Base(DeclarativeBase): ...


        class Thing(Base):
            id: Mapped[int]


        Base.metadata.create_all(engine)
        """
    report = tree.of({"tests/a.py": code, "pkg/test_b.py": code, "pkg/c_test.py": code})
    assert report["models"] == [
        "pkg/c_test.py:10 Thing in tests",
        "pkg/test_b.py:10 Thing in tests",
        "tests/a.py:10 Thing in tests",
    ]
    assert report["tests"] == ["pkg tests 2", "tests tests 1"]
    assert (report.problems, report.kept) == ([], [])
    assert report.pages == ["set-up", "testing"]


def test_sqlite_in_the_tests_is_in_the_way_of_an_app_on_postgresql(
    tree: Surveyed,
) -> None:
    files = {
        "tests/conftest.py": 'URL = "sqlite+aiosqlite://"\n',
        ".env": "X=postgres://h/d\n",
    }
    assert tree.of(files).problems == ["tests/conftest.py:1 sqlite-tests"]
    assert tree.of({".env": "X=sqlite:///x.db\n"}).problems == []
    files = {".env": "X=postgres://h/d\n", "tests/pg.py": 'X = "postgresql://h/t"\n'}
    assert tree.of(files).problems == []


def test_the_habits_of_sync_code_are_counted_where_it_is_called_a_session(
    tree: Surveyed,
) -> None:
    report = tree.of(
        {
            "a.py": """
                from sqlalchemy import select


                def rows(session, self, db, queue, statement):
                    Session.query(1)
                    self.read_session.query(1)
                    db.query(1)
                    queue.query(1)
                    return statement.offset(1)
                """,
        }
    )
    assert report.problems == [f"a.py:{line} query-api" for line in (5, 6, 7)]
    assert report["pages"] == [
        "references/set-up.md set-up no-layer",
        "references/sync-to-async.md sync-to-async query-api",
        "references/pagination.md pagination offset",
    ]


def test_an_offset_that_is_not_sqlalchemys_leads_nowhere(tree: Surveyed) -> None:
    report = tree.of({"b.py": "import pandas\n# .query(\npandas.x().offset(1)\n"})
    assert report.pages == ["set-up"]


def test_apps_are_known_by_their_frameworks(tree: Surveyed) -> None:
    report = tree.of(
        {
            "a.py": """
                import fastapi
                from flask import Flask as F
                from litestar import Litestar
                from starlette.applications import Starlette
                from other import FastAPI

                apps = [fastapi.FastAPI(), F(""), Litestar(), Starlette(), FastAPI()]
                """
        }
    )
    names = ["FastAPI", "Flask", "Litestar", "Starlette"]
    assert report["apps"] == [f"a.py:7 {name}" for name in names]


def test_revisions_are_counted_for_the_env_they_belong_to(tree: Surveyed) -> None:
    merge = 'revision = "{0}"\ndown_revision = {1}\n'
    report = tree.of(
        {
            "one/env.py": "import alembic\n",
            "one/versions/a.py": merge.format("a", None),
            "one/versions/b.py": merge.format("b", '"a"'),
            "one/versions/sub/c.py": merge.format("c", '"a"'),
            "one/versions/d.py": merge.format("d", '("b", "c")'),
            "one/two/env.py": "from app.db import run_env\n",
            "one/two/script.py.mako": "",
            "one/two/versions/a.py": merge.format("a", None),
            "loose/x.py": merge.format("x", None),
            "loose/env.py": "# no migrations here, but a revision\n",
            "not.py": 'revision = "n"\n\n\ndef f():\n    down_revision = None\n',
            "nor.py": 'down_revision = "n"\nrevision = None\n',
        }
    )
    assert report["alembic"] == [
        "one/env.py env.py",
        "one/two/env.py env.py",
        "loose history revisions 1, heads 1",
        "one/two history revisions 1, heads 1",
        "one history revisions 4, heads 1",
    ]
    assert report["heads"] == [
        "loose/x.py:1 x",
        "one/two/versions/a.py:1 a",
        "one/versions/d.py:1 d",
    ]
    assert report.problems == []


def test_bases_and_models_in_a_revision_are_the_revisions_own(tree: Surveyed) -> None:
    report = tree.of(
        {
            "db.py": "from sqlalchemy.orm import declarative_base as d\nBase = d()\n",
            "migrations/versions/a.py": """
                from sqlalchemy import Column
                from sqlalchemy.orm import declarative_base

                revision = "a"
                down_revision = None
                Base = declarative_base()


                class Order(Base):
                    __tablename__ = "orders"


                def upgrade(session):
                    session.query(Order)
                """,
        }
    )
    assert report["models"] == ["migrations/versions/a.py:9 Order in a revision"]
    assert report["bases"][1:] == ["migrations/versions/a.py:6 Base in a revision"]
    assert (report.problems, report.kept) == (
        [],
        ["db.py:2 Base", "migrations/versions history"],
    )
    assert report.pages == ["adopt", "live-schema"]
    text = tree.run().out
    assert "bases: Base db.py:2\n" in text
    assert "models:" not in text


def test_tests_are_counted_by_their_topmost_folder(tree: Surveyed) -> None:
    files = ["tests/a.py", "tests/api/b.py", "tests/api/tests/c.py", "app/test/d.py"]
    report = tree.of(dict.fromkeys([*files, "app/test_e.py", "contests/f.py"], ""))

    assert sorted(report["tests"]) == [
        "app tests 1",
        "app/test tests 1",
        "tests tests 3",
    ]


def test_databases_are_told_wherever_a_url_stands(tree: Surveyed) -> None:
    report = tree.of(
        {
            ".env": "A=postgres://h/d\n# B=mysql://h/d\n; C=mysql://h/d\nPGHOST=h\n",
            ".env.local": "POSTGRES_SERVER=h\nMYSQL_HOST=h\nPOSTGRES_USER=u\n",
            "prod.env": "X=cockroachdb+psycopg2://h/d\n",
            ".envrc": "export X='sqlite+pysqlite:///x.db'\n",
            "environment.txt": "X=oracle://h/d\n",
            "alembic.ini": "[alembic]\nsqlalchemy.url = mssql+madeup://h/d\n",
            "docker-compose.test.yml": """
                services:
                  a:
                    image: pgvector/pgvector:pg17
                  b:
                    image: "postgis/postgis:17-3.5"
                  c:
                    image: mariadb
                  d:
                    image: redis:7
                """,
            ".github/workflows/ci.yml": "image: timescale/timescaledb:2.17-pg16\n",
            ".github/other.yml": "image: postgres:1\n",
            ".devcontainer/compose.yaml": "- DATABASE_URL=postgresql+psycopg://h/d\n",
            "db.py": '''
                """Such as postgresql+pg8000://h/d."""

                from sqlalchemy import URL

                a = URL.create("postgresql+asyncpg", host="h")
                b = f"sqlite+aiosqlite:///{a}"
                c = "postgresql+asyncpg is a driver, sqlite a word"
                ''',
        }
    )
    assert sorted(report["databases"]) == [
        ".devcontainer/compose.yaml:1 postgresql+psycopg",
        ".env.local:1 postgresql in parts",
        ".env.local:2 mysql in parts",
        ".env:1 postgresql",
        ".env:4 postgresql in parts",
        ".envrc:1 sqlite+pysqlite",
        ".github/workflows/ci.yml:1 timescaledb image 2.17",
        "alembic.ini:2 mssql+other",
        "db.py:5 postgresql+asyncpg",
        "db.py:6 sqlite+aiosqlite",
        "docker-compose.test.yml:3 pgvector image 17",
        "docker-compose.test.yml:5 postgis image 17",
        "docker-compose.test.yml:7 mariadb image",
        "prod.env:1 cockroachdb+psycopg2",
    ]
    assert sorted(report.problems) == [
        ".env.local:2 other-database",
        "alembic.ini:2 other-database",
        "docker-compose.test.yml:7 other-database",
        "prod.env:1 other-database",
    ]
    assert report["settings"] == [".devcontainer/compose.yaml:1 DATABASE_URL"]


@pytest.mark.parametrize(
    "url",
    ["postgresql://h-pooler.x/d", "postgresql://h:6543/d", "postgresql://PgBouncer/d"],
)
def test_a_pooler_in_a_url_leads_to_the_engine_page(tree: Surveyed, url: str) -> None:
    report = tree.of({".env": f"X={url}\n"})
    assert report["pages"][1:] == ["references/engine.md engine pooler"]


def test_names_of_settings_with_a_database_url_are_told(tree: Surveyed) -> None:
    report = tree.of(
        {
            "a.py": """
                import os

                names = ["DB_URL", "POSTGRES_DSN", "TEST_DATABASE_URL", "PG_URI"]
                names += ["REDIS_URL", "DATABASE_URL is a word", "database_url"]
                """
        }
    )
    names = ["DB_URL", "POSTGRES_DSN", "TEST_DATABASE_URL", "PG_URI"]
    assert report["settings"] == [f"a.py:3 {name}" for name in names]


def test_what_is_older_than_the_pack_is_proven_on_is_in_the_way(
    tree: Surveyed,
) -> None:
    old = [
        "sqlalchemy==1.4.54",
        "sqlalchemy==2.0.39",
        "sqlalchemy<2",
        "sqlalchemy>=1.3, <=1.4",
        "sqlalchemy^1.4",
        "fastapi^0.110",
        "python>=3.9",
        "python^3.10",
    ]
    good = [
        "sqlalchemy==2.0.40",
        "sqlalchemy==2.0.*",
        "sqlalchemy>=1.4,<2.1",
        "sqlalchemy>=1.4",
        "sqlalchemy^2.0",
        "fastapi^0.122.1",
        "python>=3.11,<4",
        "aiosqlite",
        "sqlalchemy @ git+https://h/x@1.4",
        "psycopg==0.0.1",
    ]
    report = tree.of({"requirements.txt": "\n".join([*old, *good])})

    assert len(report["ranges"]) + len(report["python"]) == len(old) + len(good)
    assert sorted(report.problems) == [
        f"requirements.txt:{line} old-release" for line in range(1, len(old) + 1)
    ]


def test_a_lock_file_may_hold_an_old_release_as_well(tree: Surveyed) -> None:
    lock = '[[package]]\nname = "alembic"\nversion = "{}"\n'
    report = tree.of({"uv.lock": lock.format("1.13.9")})
    assert report.problems == ["uv.lock:3 old-release"]
    assert tree.of({"uv.lock": lock.format("1.14.0")}).problems == []
    report = tree.of({"uv.lock": lock.format("unknown")})
    assert report["locked"] == ["uv.lock:3 alembic from elsewhere"]
    assert report.problems == []
