"""Lay the starter down as a project that Alembic migrates, and look at the outcome."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from evals.harness.project import ROOT, Project
from snippets.engine import new_engine

STARTER = ROOT / "snippets" / "starter"

HEADER = '''"""{message}"""

import sqlalchemy as sa
from alembic import context, op

revision = "{rev}"
down_revision = {down!r}
'''


class Migrated:
    """A project with the starter's migrations, and a database of its own."""

    def __init__(self, project: Project, url: URL, *, bare: bool = True) -> None:
        self.project = project
        self.path: Path = project.path
        self.url = url
        project.env["DATABASE_URL"] = url.render_as_string(hide_password=False)
        package = self.path / "app" / "db"
        package.mkdir(parents=True)
        for file in (ROOT / "snippets").glob("*.py"):
            shutil.copy(file, package)
        shutil.copy(STARTER / "alembic.ini", self.path)
        shutil.copytree(STARTER / "migrations", self.path / "migrations")
        shutil.copy(STARTER / "app/models.py", self.path / "app")
        self.versions = self.path / "migrations" / "versions"
        if bare:
            for file in self.versions.glob("*.py"):
                file.unlink()

    def models(self, text: str) -> None:
        """Write `app/models.py`, after the imports that most models need."""
        head = (
            "import sqlalchemy as sa\n"
            "from sqlalchemy.orm import Mapped, mapped_column\n"
            "from .db.base import Base as Base\n\n"
        )
        self.project.write({"app/models.py": head + text})

    def revision(self, rev: str, down: str | None, body: str) -> Path:
        """Write a revision file; `body` defines `upgrade` and `downgrade`."""
        file = self.versions / f"{rev}.py"
        head = HEADER.format(message=rev, rev=rev, down=down)
        file.write_text(f"{head}\n{body}\n", encoding="utf-8")
        return file

    def alembic(
        self, *args: str, check: bool = True, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return self.project.run("-m", "alembic", *args, check=check, env=env)

    def fails(self, *args: str) -> str:
        """Run a command that must fail without a traceback; return its message."""
        done = self.alembic(*args, check=False)
        assert done.returncode != 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        (line,) = [ln for ln in done.stdout.splitlines() if ln.startswith("FAILED: ")]
        return line.removeprefix("FAILED: ")

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
        engine = new_engine(self.url)
        try:
            async with engine.connect() as conn:
                return await _sync(conn, look)
        finally:
            await engine.dispose()

    async def version(self) -> str | None:
        rows = await self.read("SELECT version_num FROM alembic_version")
        return rows[0][0] if rows else None


async def _sync(conn: AsyncConnection, look: Any) -> Any:
    def call(sync: Connection) -> Any:
        return look(sync)

    return await conn.run_sync(call)
