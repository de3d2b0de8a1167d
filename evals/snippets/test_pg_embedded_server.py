"""Evals for snippets/pg_embedded_server.py."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from evals.harness.postgres import run_directory
from snippets import pg_embedded_server
from snippets.connection_check import DatabaseUnavailable, check_connection
from snippets.engine import new_engine
from snippets.pg_embedded_server import EmbeddedServer, is_installed, remove_abandoned

ROOT = Path(__file__).resolve().parents[2]
HOLDER = """
import tempfile, time
from snippets.pg_embedded_server import EmbeddedServer

server = EmbeddedServer()
print(server.url.render_as_string(hide_password=False), flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    # Not pytest's directory: the server's user may not enter that.
    with tempfile.TemporaryDirectory(dir=run_directory()) as path:
        Path(path).chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", path)
        monkeypatch.setenv("TMPDIR", path)
        yield Path(path)


def left(directory: Path) -> list[Path]:
    return list(directory.glob("pytest-*"))


def holder() -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLDER]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


async def ask(url: str, *names: str) -> list[str]:
    engine = new_engine(url)
    async with engine.connect() as connection:
        show = text("SELECT current_setting(:name)")
        found = [str(await connection.scalar(show, {"name": n})) for n in names]
    await engine.dispose()
    return found


async def test_it_answers_until_it_is_stopped_and_leaves_nothing(
    directory: Path, database: str
) -> None:
    assert is_installed()
    server = EmbeddedServer()
    url = server.url.render_as_string(hide_password=False)
    names = ("fsync", "synchronous_commit", "full_page_writes")
    assert await ask(url, *names) == ["off", "off", "off"]
    assert await ask(url, "is_superuser", "listen_addresses") == ["on", ""]
    server.stop()

    assert left(directory) == []
    engine = new_engine(url)
    with pytest.raises(DatabaseUnavailable):
        await check_connection(engine)
    await engine.dispose()


async def test_the_server_of_a_killed_run_is_stopped_by_the_next(
    directory: Path,
) -> None:
    with holder() as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        remove_abandoned()
        assert await ask(url, "fsync") == ["off"]
        process.send_signal(signal.SIGKILL)
    assert await ask(url, "fsync") == ["off"]

    remove_abandoned()

    assert left(directory) == []
    engine = new_engine(url)
    with pytest.raises(DatabaseUnavailable):
        await check_connection(engine)
    await engine.dispose()


def test_a_server_that_does_not_start_leaves_nothing(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pg_embedded_server, "SETTINGS", "no_such_setting = 1\n")
    with pytest.raises(subprocess.SubprocessError):
        EmbeddedServer()

    assert left(directory) == []


def test_what_was_killed_before_the_server_started_is_removed(directory: Path) -> None:
    dead = directory / "pytest-postgresql-1"
    dead.mkdir()
    (dead / "alive.lock").touch()
    (dead / "locked").touch()
    remove_abandoned()

    assert left(directory) == []
