"""Evals for snippets/revision_format.py."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from evals.harness.migrations import Migrated
from evals.harness.project import ROOT, Project

# What goes to the end of alembic.ini; `app.db` is where the snippet is.
HOOK = """
[post_write_hooks]
hooks = ruff
ruff.type = module
ruff.module = app.db.revision_format
ruff.options = REVISION_SCRIPT_FILENAME
ruff.cwd = %(here)s
"""
RUFF = HOOK.replace("app.db.revision_format", "ruff").replace("= REV", "= format REV")
UGLY = "x = {  'a':1 }\n"
PRETTY = 'x = {"a": 1}\n'


def lay_down(project: Project, url: URL) -> Migrated:
    """The starter's migrations, of which each new revision is badly formatted."""
    migrated = Migrated(project, url)
    shutil.copy(ROOT / "snippets/revision_format.py", migrated.path / "app/db")
    template = migrated.path / "migrations/script.py.mako"
    template.write_text(template.read_text("utf-8") + UGLY, encoding="utf-8")
    return migrated


def append(migrated: Migrated, text: str) -> None:
    ini = migrated.path / "alembic.ini"
    ini.write_text(ini.read_text("utf-8") + text, encoding="utf-8")


async def test_a_new_revision_is_formatted_as_the_project_is(
    project: Project, fresh_database: URL
) -> None:
    migrated = lay_down(project, fresh_database)
    append(migrated, HOOK)
    migrated.alembic("revision", "-m", "add weight")
    (file,) = migrated.versions.glob("*.py")
    assert PRETTY in file.read_text(encoding="utf-8")
    migrated.alembic("upgrade", "head")
    assert await migrated.version()


def run(file: Path, *, path: str) -> subprocess.CompletedProcess[str]:
    """Run the hook where no package is installed (-S)."""
    return subprocess.run(
        [sys.executable, "-S", "-m", "snippets.revision_format", str(file)],
        cwd=ROOT,
        env={"PATH": path, "SYSTEMROOT": os.environ.get("SYSTEMROOT", "")},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.trap("formatter-missing")
def test_alembics_own_hook_fails_after_it_wrote_the_revision(project: Project) -> None:
    migrated = lay_down(project, make_url("sqlite+aiosqlite:///never.db"))
    append(migrated, RUFF.replace("module = ruff", "module = no_such_formatter"))
    message = migrated.fails("revision", "-m", "add weight")
    assert "no_such_formatter" in message
    assert len(list(migrated.versions.glob("*.py"))) == 1


def test_without_ruff_the_revision_stays_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "revision.py"
    file.write_text(UGLY, encoding="utf-8")
    done = run(file, path="")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "there is no ruff: the revision is not formatted\n"
    assert file.read_text(encoding="utf-8") == UGLY


def test_a_ruff_outside_of_the_environment_is_found(tmp_path: Path) -> None:
    file = tmp_path / "revision.py"
    file.write_text(UGLY, encoding="utf-8")
    done = run(file, path=str(Path(sys.executable).parent))
    assert done.returncode == 0, done.stderr
    assert file.read_text(encoding="utf-8") == PRETTY
    file.write_text("x = (\n", encoding="utf-8")
    done = run(file, path=str(Path(sys.executable).parent))
    assert done.returncode == 2
    assert "revision.py" in done.stderr
