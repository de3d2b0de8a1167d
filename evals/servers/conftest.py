"""Servers that no wheel brings: Debian's PgBouncer, PostgreSQL with TLS, and Redis.

They are asked for by path, never detected: one that is missing is an error.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evals.harness.postgres import OwnServer, run_directory
from evals.harness.project import free_port

# apt: pgbouncer postgresql redis-server openssl
INSTALL = "apt-get install -y pgbouncer postgresql redis-server openssl"
# PostgreSQL and PgBouncer refuse to run as root; Debian's packages make this user.
USER = "postgres" if os.geteuid() == 0 else None


def program(name: str) -> str:
    """Return where a server is installed."""
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin", *map(str, homes)])
    if found := shutil.which(name, path=path):
        return found
    raise FileNotFoundError(f"{name} is not installed: run `{INSTALL}`")


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory that the servers' user may write to."""
    directory = Path(tempfile.mkdtemp(dir=run_directory(), prefix="own-"))
    if USER:
        shutil.chown(directory, USER)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def running(*command: str, ready: str) -> Iterator[None]:
    """Run a server in the foreground until the block ends; wait for its own word."""
    process = subprocess.Popen(
        command,
        user=USER,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    assert process.stdout
    log = ""
    try:
        while ready not in log:
            line = process.stdout.readline()
            assert line, f"{command[0]} ended:\n{log}"
            log += line
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


@pytest.fixture
def pgbouncer(server: OwnServer, scratch: Path) -> Iterator[str]:
    """The URL of a PgBouncer in transaction mode with two server connections."""
    port = free_port()
    config = scratch / "pgbouncer.ini"
    config.write_text(
        f"""\
[databases]
* = host=127.0.0.1 port={server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
max_client_conn = 100
""",
        encoding="utf-8",
    )
    # Its user is "any": what connects as `postgres` gets there as that.
    text = config.read_text(encoding="utf-8").replace(
        f"port={server.port}", f"port={server.port} user=postgres"
    )
    config.write_text(text, encoding="utf-8")
    with running(program("pgbouncer"), str(config), ready="process up"):
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"


@pytest.fixture
def tls_server(scratch: Path) -> Iterator[tuple[str, Path]]:
    """A URL that is answered over TLS only, and the certificate of its authority."""
    port = free_port()
    key, certificate = scratch / "server.key", scratch / "server.crt"
    run(
        *f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout {key}"
        f" -out {certificate} -subj /CN=localhost"
        " -addext subjectAltName=DNS:localhost".split()
    )
    key.chmod(0o600)
    data = scratch / "data"
    run(program("initdb"), "-D", str(data), "-U", "ann", "-A", "trust", "--no-sync")
    (data / "pg_hba.conf").write_text("hostssl all all all trust\n", encoding="utf-8")
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "ssl": "on",
        "ssl_key_file": str(key),
        "ssl_cert_file": str(certificate),
        "fsync": "off",
    }
    options = [word for k, v in settings.items() for word in ("-c", f"{k}={v}")]
    command = (program("postgres"), "-D", str(data), *options)
    with running(*command, ready="ready to accept connections"):
        yield f"postgresql://ann@localhost:{port}/postgres", certificate


@pytest.fixture
def redis(scratch: Path) -> Iterator[str]:
    """The URL of a Redis that keeps nothing."""
    port = str(free_port())
    options = (
        "--port",
        port,
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        str(scratch),
    )
    with running(program("redis-server"), *options, ready="Ready to accept"):
        yield f"redis://127.0.0.1:{port}"


def run(*command: str) -> None:
    subprocess.run(
        command, user=USER, cwd="/", check=True, capture_output=True, timeout=60
    )
