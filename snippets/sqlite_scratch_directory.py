"""A temporary directory that a later run removes when this one was killed."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = "alive.lock"
LOCKED = "locked"


class ScratchDirectory:
    """A directory of this process's own, marked as in use while the process lives.

    The mark is a lock that the system gives back when the process ends, however it
    ends: no process id that another process may have by then.
    """

    def __init__(self, prefix: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=prefix))
        self._lock = sqlite3.connect(self.path / LOCK, isolation_level=None)
        self._lock.execute("BEGIN EXCLUSIVE")
        # Before this another run, which begins now, would get the lock.
        (self.path / LOCKED).touch()

    def remove(self) -> None:
        self._lock.close()
        # From here on another run may be removing it too.
        shutil.rmtree(self.path, ignore_errors=True)


def abandoned_directories(prefix: str) -> Iterator[Path]:
    """Yield those whose process is gone, one by one; the caller removes them."""
    for mark in Path(tempfile.gettempdir()).glob(f"{prefix}*/{LOCKED}"):
        with _claim(mark.with_name(LOCK)) as claimed:
            if claimed:
                yield mark.parent


@contextmanager
def _claim(lock: Path) -> Generator[bool, None, None]:
    # mode=rw: make no lock where another run is removing the directory.
    uri = f"{lock.as_uri()}?mode=rw"
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None)
    except sqlite3.OperationalError:
        yield False
        return
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        yield False
    else:
        yield True
    finally:
        connection.close()
