"""Run eval files again and again, fast: a fork for each, beside copies of the pack.

A run costs a fifth of a process of its own, as all that a clean run has imported is
there before the fork. Nothing of the pack is among it: a run imports the snippets,
the harness and the evals from its copy, where one file may be changed.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACK = ("evals", "scripts", "snippets")
PRIVATE = ("PYTEST_", "GITHUB_", "EVALS_RUN_DIR")
OPTIONS = ("-x", "-q", "--assert=plain", "--tb=native", "-p", "no:cacheprovider")
GRACE = 5.0  # seconds that a run has to clean up after itself


@dataclass(eq=False)
class Trial:
    """A run of one eval file, which stops at the first failure."""

    file: str
    change: tuple[str, str] | None = None
    """A file of the pack, and the text that it has in this run."""
    timeout: float = 600
    outcome: str = ""
    """passed, failed or timeout."""
    by: str = ""
    """The test that failed."""
    seconds: float = 0
    output: str = ""


class Probe:
    """A plugin of the run: the likely failures first, then SQLite; tells the parent."""

    def __init__(self, pipe: int, failed: list[str]) -> None:
        self.pipe = pipe
        self.failed = failed

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        rank = {nodeid: place for place, nodeid in enumerate(self.failed)}
        items.sort(
            key=lambda item: (
                rank.get(item.nodeid, len(rank)),
                "postgresql" in item.nodeid,
            )
        )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.tell(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.tell(report)

    def tell(self, report: pytest.CollectReport | pytest.TestReport) -> None:
        if report.failed:
            os.write(self.pipe, f"{report.nodeid}\n".encode())

    def pytest_unconfigure(self) -> None:
        names = [n for n in sys.modules if n.partition(".")[0] not in PACK]
        os.write(self.pipe, "\n".join(["", *names]).encode())


@dataclass
class Fork:
    """A trial on its way, in a copy of the pack of its own."""

    trial: Trial
    copy: Path
    failed: list[str]
    """The tests that failed in trials of the same file, the last one first."""
    original: bytes = b""
    pid: int = 0
    told: bytes = b""
    started: float = field(default_factory=time.monotonic)
    signals: list[int] = field(default_factory=lambda: [signal.SIGKILL, signal.SIGINT])

    @property
    def deadline(self) -> float:
        return self.started + self.trial.timeout + GRACE * (2 - len(self.signals))

    def start(self) -> int:
        """Start the run; return the pipe that is closed when it is over."""
        if self.trial.change:
            name, text = self.trial.change
            self.original = (self.copy / name).read_bytes()
            (self.copy / name).write_bytes(text.encode())
        reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                code = self.run(writing)
                sys.stdout.flush()
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(writing)
        return reading

    def run(self, pipe: int) -> int:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.chdir(self.copy)
        with Path("trial.log").open("wb") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        # A second version of a file would be taken for the first, if they are equally
        # long and made in the same second.
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        for name in [n for n in os.environ if n.startswith(PRIVATE)]:
            del os.environ[name]
        sys.path[:] = [p for p in sys.path if not inside(p)]
        for name in [n for n in sys.modules if n.partition(".")[0] in PACK]:
            del sys.modules[name]
        args = [*OPTIONS, "--rootdir=.", "-c", "pyproject.toml", self.trial.file]
        return int(pytest.main(args, plugins=[Probe(pipe, self.failed)]))

    def interrupt(self) -> None:
        """End a run that takes too long: so that it can clean up, then at once."""
        self.trial.outcome = "timeout"
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, self.signals.pop())

    def finish(self) -> list[str]:
        """Note how the run ended; return the names of what it had imported."""
        _, status = os.waitpid(self.pid, 0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # what it started and left
        if self.trial.change:
            (self.copy / self.trial.change[0]).write_bytes(self.original)
        trial = self.trial
        trial.by, *modules = self.told.decode().split("\n")
        trial.seconds = time.monotonic() - self.started
        trial.outcome = trial.outcome or ("failed" if status else "passed")
        log = self.copy / "trial.log"
        trial.output = log.read_text(encoding="utf-8", errors="replace")
        if trial.by:
            self.failed[:] = [trial.by, *(n for n in self.failed if n != trial.by)]
        return modules


def run_trials(
    trials: list[Trial], copies: list[Path], failed: dict[str, list[str]]
) -> Iterator[Trial]:
    """Run the trials, one in each copy at a time; yield each when it is over.

    `failed` has the tests of each file that failed so far: they run first.
    """
    waiting, idle = trials[::-1], list(copies)
    running: dict[int, Fork] = {}
    try:
        while waiting or running:
            while waiting and idle:
                trial = waiting.pop()
                fork = Fork(trial, idle.pop(), failed.setdefault(trial.file, []))
                running[fork.start()] = fork
            wait = min(fork.deadline for fork in running.values()) - time.monotonic()
            for pipe in select.select(list(running), [], [], max(0, wait))[0]:
                if told := os.read(pipe, 65536):
                    running[pipe].told += told
                    continue
                os.close(pipe)
                fork = running.pop(pipe)
                modules = fork.finish()
                idle.append(fork.copy)
                if not fork.trial.change:
                    preload(modules)
                yield fork.trial
            for fork in running.values():
                if fork.signals and fork.deadline <= time.monotonic():
                    fork.interrupt()
    finally:
        for fork in running.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(fork.pid, signal.SIGKILL)
            os.waitpid(fork.pid, 0)


def preload(names: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in filter(None, names):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    gc.freeze()


def copy_pack(target: Path) -> None:
    """Copy the pack, but for what git or an environment keeps beside it."""
    shutil.copytree(ROOT, target, ignore=ignored)


def ignored(directory: str, names: list[str]) -> list[str]:
    hidden = [n for n in names if n.startswith(".") and Path(directory) == ROOT]
    environments = [n for n in names if Path(directory, n, "pyvenv.cfg").exists()]
    return ["__pycache__", *hidden, *environments]


def inside(path: str) -> bool:
    """Tell whether a place to import from is the pack's own."""
    place = Path(path).resolve()
    return place == ROOT or place.is_relative_to(ROOT / "scripts")
