"""Run a scratch project in processes of its own, as its user would."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRIVATE = ("DATABASE_", "EVALS_", "PYTEST_", "COV_", "VIRTUAL_ENV", "TEST_DATABASE")


@dataclass
class Project:
    """A directory, and the environment its commands run in.

    The commands use the interpreter of the evals, so that the project's
    dependencies are there without an installation.
    """

    path: Path
    env: dict[str, str] = field(default_factory=dict)

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")

    def add(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run the pack's `add.py` here."""
        return self.run(str(ROOT / "scripts/add.py"), *args)

    def run(
        self,
        *args: str,
        timeout: float = 120,
        check: bool = True,
        env: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run `python ARGS`; with `check` a failure shows what was printed."""
        done = subprocess.run(
            [sys.executable, *args],
            cwd=self.path,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"{' '.join(args)} exited with {done.returncode}\n"
                f"{done.stdout}\n{done.stderr}"
            )
        return done

    @contextmanager
    def running(
        self, *args: str, env: dict[str, str] | None = None
    ) -> Iterator[subprocess.Popen[str]]:
        """Run `python ARGS` beside the block, and end it with the block."""
        process = subprocess.Popen(
            [sys.executable, *args],
            cwd=self.path,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdout
            process.stdout.close()

    def environment(self, extra: dict[str, str] | None) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(PRIVATE)}
        return clean | self.env | (extra or {})


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port
