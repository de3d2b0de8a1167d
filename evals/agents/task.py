"""A task for a coding agent: where it starts, what is asked, and what must hold after.

A grader runs what the agent left, from outside and as its users would. It never reads
how a thing was done, so that any solution that works passes.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from evals.harness.project import ROOT, Project, free_port

Change = Callable[["Work"], None]


class Unmet(Exception):
    """What a check wanted and did not find."""


@dataclass
class Work:
    """The project that an agent works in, and what a grader may do to it."""

    project: Project
    scratch: Path  # the grader's own files
    postgres: Callable[[], str]  # the URL of an empty database, postgresql://...

    @property
    def path(self) -> Path:
        return self.project.path

    def write(self, files: dict[str, str]) -> None:
        self.project.write(files)

    def replace(self, name: str, old: str, new: str) -> None:
        """Put `new` in the place of `old`, which must be there."""
        text = (self.path / name).read_text(encoding="utf-8")
        want(old in text, f"{name} has no {old!r}")
        self.write({name: text.replace(old, new)})

    def add(self, *args: str) -> None:
        """Run the skill's add.py."""
        self.project.run(str(ROOT / "scripts/add.py"), *args, check=False)

    def run(self, *args: str, **env: str) -> str:
        """Run `python ARGS` in the project; a failure is a check that is not met."""
        try:
            done = self.project.run(*args, check=False, timeout=120, env=env)
        except subprocess.TimeoutExpired as error:
            raise Unmet(f"{' '.join(args)[:80]} did not end in 120 s") from error
        said = (done.stdout + done.stderr).strip()
        want(done.returncode == 0, f"{' '.join(args)[:80]} failed: {said[-600:]}")
        return done.stdout

    def fails(self, *args: str, **env: str) -> bool:
        return self.project.run(*args, check=False, env=env).returncode != 0

    @contextmanager
    def serving(self, app: str = "app.main:app", **env: str) -> Iterator[httpx.Client]:
        """Serve the application with uvicorn on a free port while the block runs."""
        port = free_port()
        words = ["-m", "uvicorn", app, "--port", str(port), "--no-access-log"]
        with self.project.running(*words, env=env) as process:
            assert process.stdout
            log = ""
            while "Uvicorn running" not in log:
                line = process.stdout.readline()
                want(bool(line), f"the server ended: {log[-600:]}")
                log += line
            # uvicorn ends a connection after a handler that raised.
            alone = {"connection": "close"}
            url = f"http://127.0.0.1:{port}"
            with httpx.Client(base_url=url, timeout=30, headers=alone) as web:
                yield web


@dataclass(frozen=True)
class Task:
    """One task; `checks` are sentences that hold after a right solution."""

    kind: str  # greenfield, adopt, feature, symptom, live-schema, slow-suite
    minutes: int  # what a developer would take
    prompt: str
    start: dict[str, str]
    checks: dict[str, Callable[[Work], None]]
    reference: Change  # a right solution, made with the skill's code
    wrong: dict[str, Change]  # typical wrong ones
    databases: str = "sqlite"  # or postgresql: what DATABASE_URL names meanwhile


@dataclass(frozen=True)
class Check:
    """How one check ended."""

    text: str
    passed: bool
    evidence: str


def want(holds: object, told: str) -> None:
    """Raise `Unmet` unless something holds."""
    if not holds:
        raise Unmet(told)


def status(answer: httpx.Response, *codes: int) -> Any:
    """Return the JSON of an answer that has one of these codes."""
    want(answer.status_code in codes, f"{answer.request.url}: {answer.status_code}")
    return answer.json() if answer.content else None


def grade(task: Task, work: Work, *only: str) -> list[Check]:
    """Run every check, or those whose text begins with one of `only`.

    What an agent left behind may fail in any way.
    """
    found = []
    for text, check in task.checks.items():
        if only and not text.startswith(only):
            continue
        try:
            check(work)
        except (Unmet, OSError, ValueError, LookupError, TypeError, httpx.HTTPError,
                subprocess.SubprocessError) as error:  # fmt: skip
            found.append(Check(text, False, f"{type(error).__name__}: {error}"[:800]))
        else:
            found.append(Check(text, True, ""))
    return found
