"""A database that cannot be used: one clear message in the log, and no password."""

from __future__ import annotations

import pytest

from evals.harness.project import Project

WRONG = {
    "no url": ("", "set DATABASE_URL (see .env.example)"),
    "unreadable": ("ann:s3cret", "expected postgresql://USER:PASSWORD@HOST:PORT/NAME"),
    "another database": ("mysql://ann:s3cret@db/shop", "mysql is not supported"),
    "not encoded": ("postgresql://ann:s3cret@x@db/shop", "write @ as %40"),
    "closed port": (
        "postgresql://ann:s3cret@127.0.0.1:1/shop",
        "127.0.0.1:1 cannot be reached",
    ),
    "unknown host": (
        "postgresql://ann:s3cret@no-such-host.invalid/shop",
        "no-such-host.invalid:5432 cannot be reached",
    ),
    "missing folder": ("sqlite:///missing/app.db", "does not exist: create "),
}


@pytest.fixture(scope="module")
def laid_down(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("wrong"))
    project.add("starter")
    return project


@pytest.mark.parametrize("fault", WRONG)
def test_the_application_does_not_start_and_says_why(
    fault: str, laid_down: Project
) -> None:
    url, told = WRONG[fault]
    server = ("-m", "uvicorn", "app.main:app", "--port", "0")
    done = laid_down.run(*server, check=False, env={"DATABASE_URL": url})
    assert done.returncode != 0
    log = done.stdout + done.stderr
    assert told in log
    assert "s3cret" not in log
    # The message is the last thing that the traceback says, and that is short.
    assert len(log.splitlines()) < 40


@pytest.mark.parametrize("fault", WRONG)
def test_alembic_says_it_in_one_line(fault: str, laid_down: Project) -> None:
    url, told = WRONG[fault]
    upgrade = ("-m", "alembic", "upgrade", "head")
    done = laid_down.run(*upgrade, check=False, env={"DATABASE_URL": url})
    assert done.returncode != 0
    log = done.stdout + done.stderr
    assert told in log
    assert "s3cret" not in log
    assert "Traceback" not in log
    assert len(log.splitlines()) <= 3


def test_a_driver_that_is_missing_is_named(laid_down: Project) -> None:
    laid_down.write({"without.py": WITHOUT})
    env = {"DATABASE_URL": "postgresql://127.0.0.1:1/shop"}
    done = laid_down.run("without.py", check=False, env=env)
    assert done.returncode != 0
    assert "asyncpg is not installed: run `uv add asyncpg`" in done.stderr
    assert len(done.stderr.splitlines()) < 40


WITHOUT = """\
import sys

sys.modules["asyncpg"] = None  # as if it were not there

from app.db.settings import DatabaseSettings

DatabaseSettings().engine()
"""
