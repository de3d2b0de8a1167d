"""Projects that Alembic migrates: in this process, or in processes of their own."""

from __future__ import annotations

import asyncio
import importlib
import io
import re
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection

from evals.harness.project import ROOT, Project
from snippets.engine import new_engine
from snippets.migration_env import run_env

STARTER = ROOT / "snippets" / "starter"

HEADER = '''"""{message}"""

import sqlalchemy as sa
from alembic import context, op

revision = "{rev}"
down_revision = {down!r}
'''

NOTHING = "def upgrade():\n    pass\n\n\ndef downgrade():\n    pass\n"

BASE = """
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from snippets.base import NAMING_CONVENTION, UtcDateTime


class Base(DeclarativeBase):
    metadata = sa.MetaData(naming_convention=NAMING_CONVENTION)


"""


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when `condition` holds; after half a minute it never will."""
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.01)


def closure(*names: str) -> set[str]:
    """Return the snippets and those that they import, as `add.py` would copy them."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            text = (ROOT / "snippets" / f"{name}.py").read_text(encoding="utf-8")
            waiting += re.findall(r"^from \.(\w+) import", text, re.MULTILINE)
    return found


class Migrations:
    """Revisions in a directory, and the database that they are for."""

    def __init__(self, path: Path, url: URL) -> None:
        self.path = path
        self.url = url
        self.versions = path / "migrations" / "versions"

    def revision(
        self, rev: str, down: str | tuple[str, ...] | None, body: str = NOTHING
    ) -> Path:
        """Write a revision file; `body` defines `upgrade` and `downgrade`."""
        file = self.versions / f"{rev}.py"
        head = HEADER.format(message=rev, rev=rev, down=down)
        file.write_text(f"{head}\n{body}\n", encoding="utf-8")
        return file

    async def read(self, statement: str, **options: Any) -> list[Any]:
        """Run one statement on an engine of its own, commit, and return the rows."""
        engine = new_engine(self.url, **options)
        try:
            async with engine.begin() as conn:
                result = await conn.exec_driver_sql(statement)
                return [tuple(row) for row in result] if result.returns_rows else []
        finally:
            await engine.dispose()

    async def inspect(self, look: Any) -> Any:
        """Return `look(connection)` of a synchronous connection."""

        def call(sync: Connection) -> Any:
            return look(sync)

        engine = new_engine(self.url)
        try:
            async with engine.connect() as conn:
                return await conn.run_sync(call)
        finally:
            await engine.dispose()

    async def version(self) -> str | None:
        rows = await self.read("SELECT version_num FROM alembic_version")
        return rows[0][0] if rows else None


class History(Migrations):
    """Migrations that run in this process; `env.py` is one call of `run_env`."""

    def __init__(self, path: Path, url: URL) -> None:
        super().__init__(path, url)
        self.versions.mkdir(parents=True)
        env = "from alembic import context\n\ncontext.config.attributes['env']()\n"
        (path / "migrations" / "env.py").write_text(env, encoding="utf-8")
        shutil.copy(STARTER / "migrations/script.py.mako", path / "migrations")
        self.options: dict[str, Any] = {"lock_timeout": 0.3, "patience": 60}
        self.module = self.models(
            "class Note(Base):\n    __tablename__ = 'note'\n"
            "    id: Mapped[int] = mapped_column(primary_key=True)\n"
        )

    def models(self, text: str, **others: str) -> ModuleType:
        """Write a package of models, which must be importable, and use it."""
        package = f"shop_{uuid4().hex[:8]}"
        folder = self.path / package
        folder.mkdir()
        for name, body in {"models": BASE + text, **others}.items():
            file = folder / f"{name}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(body.replace("shop.", f"{package}."), encoding="utf-8")
        importlib.invalidate_caches()
        self.module = importlib.import_module(f"{package}.models")
        return self.module

    def config(self, env: Any = None, **attributes: Any) -> Config:
        config = Config(stdout=io.StringIO())
        config.set_main_option("script_location", str(self.path / "migrations"))
        config.set_main_option("path_separator", "os")
        config.attributes.update(attributes, env=env or self.env)
        return config

    def env(self) -> None:
        run_env(
            self.module.Base.metadata,
            lambda: self.url,
            models=self.module,
            **self.options,
        )

    def run(self, name: str, *args: Any, env: Any = None, **options: Any) -> str:
        """Run `alembic.command.<name>`, and return what it printed."""
        config = self.config(env)
        getattr(command, name)(config, *args, **options)
        assert isinstance(config.stdout, io.StringIO)
        return config.stdout.getvalue()

    def upgrade(self, revision: str = "head", **options: Any) -> str:
        return self.run("upgrade", revision, **options)


class Migrated(Migrations):
    """The starter's migrations, in a project whose commands run as its user's would."""

    def __init__(self, project: Project, url: URL, *, bare: bool = True) -> None:
        super().__init__(project.path, url)
        self.project = project
        project.env["DATABASE_URL"] = url.render_as_string(hide_password=False)
        package = self.path / "app" / "db"
        package.mkdir(parents=True)
        for name in closure("migration_env", "settings", "base"):
            shutil.copy(ROOT / "snippets" / f"{name}.py", package)
        shutil.copy(STARTER / "alembic.ini", self.path)
        shutil.copytree(STARTER / "migrations", self.path / "migrations")
        shutil.copy(STARTER / "app/models.py", self.path / "app")
        if bare:
            for file in self.versions.glob("*.py"):
                file.unlink()

    def alembic(
        self, *args: str, check: bool = True, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return self.project.run("-m", "alembic", *args, check=check, env=env)

    def fails(self, *args: str, env: dict[str, str] | None = None) -> str:
        """Run a command that must fail without a traceback; return its message."""
        done = self.alembic(*args, check=False, env=env)
        assert done.returncode != 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        (line,) = [ln for ln in done.stdout.splitlines() if ln.startswith("FAILED: ")]
        return line.removeprefix("FAILED: ")
