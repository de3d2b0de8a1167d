"""One embedded PostgreSQL for many runs of pytest, for the maintainers' scripts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager

from evals.harness import postgres


@contextmanager
def shared_postgresql(major: int = 18) -> Iterator[str]:
    """Yield the URL that every run inside the block uses: its role makes databases.

    A server that `EVALS_POSTGRES_URL` names already is taken as it is.

    Raises:
        postgres.ServerUnavailable: no PostgreSQL can be had.
    """
    if given := os.environ.get("EVALS_POSTGRES_URL"):
        yield given
        return
    os.environ.pop("EVALS_RUN_DIR", None)
    postgres.sweep()
    directory = postgres.run_directory()
    try:
        url = postgres.admin_url(major)
        # Its data are thrown away: waiting for the disk proves nothing.
        settings = [f"ALTER SYSTEM SET {name} = off" for name in postgres.HARMLESS]
        asyncio.run(postgres.administer(url, *settings, "SELECT pg_reload_conf()"))
        os.environ["EVALS_POSTGRES_URL"] = url.render_as_string(hide_password=False)
        # A run removes the directory that it finds here: let it make its own.
        del os.environ["EVALS_RUN_DIR"]
        yield os.environ["EVALS_POSTGRES_URL"]
    finally:
        os.environ.pop("EVALS_RUN_DIR", None)
        os.environ.pop("EVALS_POSTGRES_URL", None)
        postgres.remove_run(directory)
