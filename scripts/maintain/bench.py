"""Measure the subjects of evals/peers: by hand, with ours, with what a user would take.

    bench.py                                    every subject, on both databases
    bench.py --only harness --db sqlite --rounds 15

Subjects that measure other libraries need the group that holds them:

    uv run --isolated --no-dev --group peers scripts/maintain/bench.py

A subject is a file evals/peers/<name>.py:

    from scripts.maintain.bench import contestant

    SUBJECT = "one row by its primary key"
    BASELINE = "by hand"              # the label that the others are divided by

    async def setup(url: str) -> State: ...      # an empty database; once for all
    async def teardown(state: State) -> None: ...

    @contestant("by hand")
    async def by_hand(state: State) -> None: ...

    @contestant("ours", at_most=1.1)             # a limit: times the baseline
    async def ours(state: State) -> None: ...

    @contestant("asyncpg alone", database="postgresql")
    async def driver(state: State) -> None: ...

All contestants of a subject run in one process, in turn: a round calls each one, CALLS
times (a constant of the subject, 1 unless given), and each round starts with another
one. The first round warms up and does not count. A contestant that returns a float
has measured itself: seconds.

Times hold for one machine in one hour. So each row also has its ratio: the median,
over the rounds, of its time divided by the baseline's in the same round. Limits are
about ratios.

Exit codes: 0 measured, all limits kept; 1 a limit is missed; 2 wrong arguments, or a
subject that is not as described here; 3 a contestant failed, no PostgreSQL could be
had, or a library is not installed.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any
from uuid import uuid4

ROOT = Path(__file__).resolve().parents[2]
DATABASES = ("sqlite", "postgresql")
PACKAGES = [
    *("sqlalchemy", "asyncpg", "aiosqlite", "pytest", "advanced-alchemy"),
    *("fastapi-pagination", "fastcrud", "sqlakeyset"),
]

Function = Callable[[Any], Awaitable[float | None]]


@dataclass(frozen=True)
class Contestant:
    label: str
    function: Function
    database: str | None
    at_most: float | None


@dataclass(frozen=True)
class Row:
    """What one contestant took: seconds a call, and the ratio to the baseline."""

    label: str
    median: float
    min: float
    max: float
    ratio: float
    at_most: float | None

    @property
    def verdict(self) -> str:
        if self.at_most is None:
            return ""
        return "kept" if self.ratio <= self.at_most else "missed"


def contestant(
    label: str, *, database: str | None = None, at_most: float | None = None
) -> Callable[[Function], Contestant]:
    """Enter a function; `at_most` limits its ratio, `database` where it runs."""

    def enter(function: Function) -> Contestant:
        return Contestant(label, function, database, at_most)

    return enter


async def measure(
    subject: ModuleType, entered: list[Contestant], url: str, rounds: int
) -> list[Row]:
    """Run the contestants in turn; return a row for each."""
    times: dict[str, list[float]] = {one.label: [] for one in entered}
    state = await subject.setup(url)
    try:
        for number in range(rounds + 1):
            first = number % len(entered)
            for one in entered[first:] + entered[:first]:
                seconds = await timed(one.function, state, getattr(subject, "CALLS", 1))
                times[one.label].append(seconds)
    finally:
        await subject.teardown(state)
    counted = {label: found[1:] for label, found in times.items()}
    rows = []
    for one in entered:
        own, base = counted[one.label], counted[subject.BASELINE]
        ratio = median(a / b for a, b in zip(own, base, strict=True))
        rows.append(Row(one.label, median(own), min(own), max(own), ratio, one.at_most))
    return rows


async def timed(function: Function, state: Any, calls: int) -> float:
    """Return the seconds of one call, on average."""
    own = 0.0
    started = time.perf_counter()
    for _ in range(calls):
        own += await function(state) or 0.0
    return (own or time.perf_counter() - started) / calls


def contestants(subject: ModuleType, database: str) -> list[Contestant]:
    """Return who runs on the database; an error names what the subject lacks."""
    for name in ("SUBJECT", "BASELINE", "setup", "teardown"):
        if not hasattr(subject, name):
            raise ValueError(f"{subject.__name__} has no {name}: see --help")
    entered = [one for one in vars(subject).values() if isinstance(one, Contestant)]
    here = [one for one in entered if one.database in (None, database)]
    if here and subject.BASELINE not in [one.label for one in here]:
        raise ValueError(
            f"{subject.__name__} has no {subject.BASELINE!r} on {database}"
        )
    return here


@contextmanager
def empty_database(database: str, server: str) -> Iterator[str]:
    """Yield the URL of a database of one subject's own."""
    if database == "sqlite":
        with tempfile.TemporaryDirectory(prefix="bench-") as directory:
            yield f"sqlite+aiosqlite:///{Path(directory).as_posix()}/bench.db"
        return
    from sqlalchemy import make_url

    from evals.harness.postgres import administer

    admin = make_url(server).set(drivername="postgresql+asyncpg")
    name = f"bench_{uuid4().hex}"
    asyncio.run(administer(admin, f'CREATE DATABASE "{name}"'))
    try:
        yield admin.set(database=name).render_as_string(hide_password=False)
    finally:
        asyncio.run(administer(admin, f'DROP DATABASE "{name}" WITH (FORCE)'))


@contextmanager
def postgresql(needed: bool) -> Iterator[str]:
    """Yield the URL of the server of the whole run."""
    if not needed:
        yield ""
        return
    from evals.harness import postgres, shared_server

    try:
        with shared_server.shared_postgresql() as server:
            yield server
    except postgres.ServerUnavailable as exc:
        print(f"bench.py: {exc}", file=sys.stderr)
        raise SystemExit(3) from None


def table(title: str, rows: list[Row]) -> str:
    lines = [["", "median ms", "min", "max", "ratio", "limit", ""]]
    for row in rows:
        times = [f"{1000 * t:.3f}" for t in (row.median, row.min, row.max)]
        limit = "" if row.at_most is None else f"{row.at_most:g}"
        lines.append([row.label, *times, f"{row.ratio:.2f}", limit, row.verdict])
    width = max(len(line[0]) for line in lines)
    body = [
        f"{first:{width}}" + "".join(f"{cell:>11}" for cell in rest)
        for first, *rest in lines
    ]
    return "\n".join([f"\n{title}", *(line.rstrip() for line in body)])


def versions() -> dict[str, Any]:
    found: dict[str, Any] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def main() -> int:
    files = sorted((ROOT / "evals/peers").glob("*.py"))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [file.stem for file in files]
    parser.add_argument("--only", action="append", choices=names, metavar="SUBJECT")
    parser.add_argument("--rounds", type=int, default=9, help="(default: 9)")
    parser.add_argument("--db", choices=DATABASES, help="run on this database only")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error("--rounds must be 1 or more")
    chosen = [database for database in DATABASES if args.db in (None, database)]
    subjects: list[tuple[str, ModuleType, str, list[Contestant]]] = []
    for name in args.only or names:
        try:
            module = importlib.import_module(f"evals.peers.{name}")
            for database in chosen:
                if entered := contestants(module, database):
                    subjects.append((name, module, database, entered))
        except ModuleNotFoundError as exc:
            print(f"bench.py: {exc}: run it with `--group peers`", file=sys.stderr)
            return 3
        except ValueError as exc:
            parser.error(str(exc))
    results: list[dict[str, Any]] = []
    with postgresql(any(s[2] == "postgresql" for s in subjects)) as server:
        for name, module, database, entered in subjects:
            print(f"{name} on {database} ...", file=sys.stderr, flush=True)
            with empty_database(database, server) as url:
                rows = asyncio.run(measure(module, entered, url, args.rounds))
            if not args.json:
                print(table(f"{module.SUBJECT}, {database}", rows), flush=True)
            facts = {"subject": name, "database": database}
            results += [facts | asdict(row) | {"verdict": row.verdict} for row in rows]
    machine = versions() | {"processors": os.cpu_count(), "rounds": args.rounds}
    if args.json:
        print(json.dumps({"machine": machine, "rows": results}, indent=2))
    else:
        print("\n" + "  ".join(f"{name} {value}" for name, value in machine.items()))
    return int(any(row["verdict"] == "missed" for row in results))


if __name__ == "__main__":
    # The subjects import this file by its name: it must be that module, not another.
    sys.path.insert(0, str(ROOT))
    try:
        sys.exit(importlib.import_module("scripts.maintain.bench").main())
    except Exception:
        traceback.print_exc()
        sys.exit(3)
