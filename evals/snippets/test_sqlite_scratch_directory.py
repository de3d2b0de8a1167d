"""Evals for snippets/sqlite_scratch_directory.py."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import URL, text

from snippets.engine import new_engine
from snippets.sqlite_scratch_directory import ScratchDirectory, abandoned_directories

ROOT = Path(__file__).resolve().parents[2]
HOLDER = """
import sys, time
from snippets.sqlite_scratch_directory import ScratchDirectory

directory = ScratchDirectory(sys.argv[1])
print(directory.path, flush=True)
time.sleep(60)
"""


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return f"scratch-{uuid4().hex}-"


async def test_it_holds_a_database_until_it_is_removed(
    prefix: str, database: str
) -> None:
    directory = ScratchDirectory(prefix)
    file = directory.path / "test.db"
    engine = new_engine(URL.create(database, database=str(file)))
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE song (id INTEGER)"))
    await engine.dispose()
    assert file.exists()
    directory.remove()

    assert not directory.path.exists()


def test_two_directories_of_one_prefix_do_not_meet(prefix: str) -> None:
    one, two = ScratchDirectory(prefix), ScratchDirectory(prefix)
    assert one.path != two.path
    assert one.path.name.startswith(prefix)
    one.remove()
    assert two.path.exists()
    two.remove()


def test_a_directory_in_use_is_not_abandoned(prefix: str) -> None:
    directory = ScratchDirectory(prefix)
    assert list(abandoned_directories(prefix)) == []
    directory.remove()


def test_the_directory_of_a_killed_process_is_abandoned(
    prefix: str, tmp_path: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, prefix],
        cwd=ROOT,
        env={"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout
        path = Path(holder.stdout.readline().strip())
        assert list(abandoned_directories(prefix)) == []
        holder.send_signal(signal.SIGKILL)

    assert list(abandoned_directories(prefix)) == [path]
    assert list(abandoned_directories("other-")) == []


def test_one_of_two_sweepers_gets_an_abandoned_directory(
    prefix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"{prefix}1"
    path.mkdir()
    (path / "alive.lock").touch()
    (path / "locked").touch()
    first = abandoned_directories(prefix)

    assert next(first) == path
    assert list(abandoned_directories(prefix)) == []
    assert list(first) == []
    assert list(abandoned_directories(prefix)) == [path]


@pytest.mark.parametrize("made", ["alive.lock", "locked"])
def test_a_directory_that_is_being_made_or_removed_is_left_alone(
    prefix: str, tmp_path: Path, made: str
) -> None:
    path = tmp_path / f"{prefix}1"
    path.mkdir()
    (path / made).touch()

    assert list(abandoned_directories(prefix)) == []
    assert [file.name for file in path.iterdir()] == [made]
