"""The matrix that ends a run: snippet x database, from the reports of the tests.

A cell counts only if its evals executed statements on that server, every
database that a snippet claims has a cell, and nothing is skipped. A run that
breaks one of these fails, however green its tests are.
"""

from __future__ import annotations

import html
import json
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest

DATABASES = ("sqlite", "postgresql")
PACKAGES = (
    "sqlalchemy",
    "alembic",
    "asyncpg",
    "aiosqlite",
    "fastapi",
    "pytest-asyncio",
)


def claims(stem: str) -> tuple[str, ...]:
    """Return the databases that a snippet (or its eval) claims by its name."""
    name = stem.removeprefix("test_")
    if name.startswith("pg_"):
        return ("postgresql",)
    return ("sqlite",) if name.startswith("sqlite_") else DATABASES


@dataclass
class Cell:
    passed: int = 0
    failed: int = 0
    seconds: float = 0.0
    statements: int = 0

    def __str__(self) -> str:
        bad = f", {self.failed} FAILED" if self.failed else ""
        return f"{self.passed} passed{bad} {self.seconds:6.1f} s"


class Matrix:
    """A pytest plugin; the controller's instance gathers what the workers report."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.cells: dict[str, dict[str, Cell]] = {}
        self.servers: dict[str, str] = {}
        self.faults: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        facts = dict(report.user_properties)
        if report.skipped:
            self.faults.append(f"{report.nodeid} was skipped: an eval never skips")
        snippet = facts.get("snippet")
        if not isinstance(snippet, str):
            return
        database = str(facts.get("database", "no database"))
        cell = self.cells.setdefault(snippet, {}).setdefault(database, Cell())
        cell.seconds += report.duration
        if report.when == "call" and report.passed:
            cell.passed += 1
        if report.failed:
            cell.failed += 1
        if report.when == "teardown":
            cell.statements += int(str(facts.get("statements", 0)))
            if "server" in facts:
                self.servers[database] = str(facts["server"])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self.whole_files() and exitstatus in (0, 1):
            self.faults += self.hollow()
        if self.faults and exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def whole_files(self) -> bool:
        """Tell whether the run left out no test of the files that it ran."""
        picked = any("::" in arg for arg in self.config.args)
        option = self.config.option
        return not (picked or option.keyword or option.markexpr or option.collectonly)

    def hollow(self) -> Iterable[str]:
        """Yield the cells that prove nothing."""
        chosen = self.config.getoption("--db")
        for snippet, row in sorted(self.cells.items()):
            for database in claims(snippet):
                if chosen in (None, database):
                    cell = row.get(database, Cell())
                    if not cell.statements:
                        yield f"{snippet}: its evals sent nothing to {database}"

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> None:
        if not self.cells:
            return
        terminalreporter.section("matrix")
        for line in self.text():
            terminalreporter.write_line(line)
        for fault in self.faults:
            terminalreporter.write_line(f"FAULT {fault}", red=True)
        if directory := self.config.getoption("--report"):
            self.write(Path(directory))
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write("\n".join(self.markdown()) + "\n")

    def columns(self) -> list[str]:
        found = {name for row in self.cells.values() for name in row}
        return [d for d in (*DATABASES, "no database") if d in found]

    def versions(self) -> dict[str, str]:
        names = {name: version(name) for name in PACKAGES}
        return {"Python": platform.python_version()} | names

    def title(self, database: str) -> str:
        return self.servers.get(database, database)

    def text(self) -> Iterable[str]:
        width = max(len(name) for name in self.cells)
        yield "  ".join(
            [" " * width, *(f"{self.title(c):<26}" for c in self.columns())]
        )
        for name, row in sorted(self.cells.items()):
            cells = (f"{row.get(c, '-')!s:<26}" for c in self.columns())
            yield "  ".join([f"{name:<{width}}", *cells]).rstrip()
        yield "  ".join(f"{name} {number}" for name, number in self.versions().items())

    def markdown(self) -> Iterable[str]:
        yield f"| snippet | {' | '.join(map(self.title, self.columns()))} |"
        yield "| --- " * (len(self.columns()) + 1) + "|"
        for name, row in sorted(self.cells.items()):
            cells = " | ".join(str(row.get(c, "")) for c in self.columns())
            yield f"| {name} | {cells} |"
        yield ""
        yield ", ".join(f"{name} {number}" for name, number in self.versions().items())

    def write(self, directory: Path) -> None:
        """Write the matrix as `matrix.json` and as one self-contained `matrix.html`."""
        directory.mkdir(parents=True, exist_ok=True)
        rows = {
            name: {database: vars(cell) for database, cell in row.items()}
            for name, row in sorted(self.cells.items())
        }
        facts = {
            "versions": self.versions(),
            "servers": self.servers,
            "snippets": rows,
            "faults": self.faults,
        }
        (directory / "matrix.json").write_text(
            json.dumps(facts, indent=2) + "\n", encoding="utf-8"
        )
        (directory / "matrix.html").write_text(self.html(), encoding="utf-8")

    def html(self) -> str:
        def cell(found: Cell | None) -> str:
            if found is None:
                return "<td></td>"
            kind = "bad" if found.failed or not found.passed else "good"
            return f'<td class="{kind}">{html.escape(str(found))}</td>'

        head = "".join(f"<th>{html.escape(self.title(c))}</th>" for c in self.columns())
        body = "".join(
            f"<tr><th>{html.escape(name)}</th>"
            + "".join(cell(row.get(c)) for c in self.columns())
            + "</tr>"
            for name, row in sorted(self.cells.items())
        )
        versions = ", ".join(f"{k} {v}" for k, v in self.versions().items())
        faults = "".join(f"<li>{html.escape(fault)}</li>" for fault in self.faults)
        return (
            '<!doctype html><html lang="en"><meta charset="utf-8">'
            "<title>async-sqlalchemy: evals</title><style>"
            "body{font:15px/1.5 system-ui;margin:2rem}table{border-collapse:collapse}"
            "td,th{border:1px solid #ccc;padding:.3rem .7rem;text-align:left}"
            ".good{background:#e7f6e7}.bad{background:#fbdada}</style>"
            f"<h1>async-sqlalchemy</h1><p>{html.escape(versions)}</p>"
            f"<table><tr><th>snippet</th>{head}</tr>{body}</table><ul>{faults}</ul></html>\n"
        )
