"""The harness: empty tables, nothing left behind, and no green that proves nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from evals.harness.postgres import PREFIX, alive
from evals.harness.project import ROOT, Project

HEAD = """\
import asyncio
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "row"

    id: Mapped[int] = mapped_column(primary_key=True)


async def write(session):
    assert await session.scalar(select(func.count()).select_from(Row)) == 0
    session.add(Row())
    await session.commit()


"""
WRITES = "async def test_{}(session): await write(session)\n"


@pytest.fixture
def pack(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A pack with this harness and with evals that each test writes."""
    monkeypatch.delenv("EVALS_RUN_DIR")
    for name in ("evals/harness", "snippets"):
        shutil.copytree(ROOT / name, project.path / name)
    for name in ("evals/conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, project.path / name)
    return project


def evals(
    pack: Project, *args: str, source: str, name: str = "thing"
) -> tuple[int, str]:
    """Run `source` as the eval of a snippet; return the exit code and the output."""
    pack.write({f"evals/snippets/test_{name}.py": HEAD + source})
    done = pack.run("-m", "pytest", "-q", "evals/snippets", *args, check=False)
    return done.returncode, done.stdout + done.stderr


def runs() -> set[Path]:
    """Return the directories of runs that have ended, this one's own left out."""
    found = Path(tempfile.gettempdir()).glob(f"{PREFIX}*")
    return {path for path in found if not alive(int(path.name.split("-")[3]))}


def test_every_test_finds_its_tables_empty_on_both_databases(pack: Project) -> None:
    source = "".join(WRITES.format(number) for number in range(6))
    code, printed = evals(pack, "-n", "2", source=source)
    assert (code, "12 passed" in printed) == (0, True), printed
    row = re.search(r"^thing +(\d+) passed .* (\d+) passed", printed, re.MULTILINE)
    assert row, printed
    assert row.groups() == ("6", "6")


RAW = """\
async def test_raw(engine):
    async with engine.connect() as conn:
        driver = (await conn.get_raw_connection()).driver_connection
        await driver.execute("INSERT INTO row (id) VALUES (7)")
        if hasattr(driver, "commit"):
            await driver.commit()


async def test_nothing(session): pass
"""


def test_what_a_raw_connection_wrote_is_gone_too(pack: Project) -> None:
    code, printed = evals(pack, source=RAW + WRITES.format("after"))
    assert (code, "6 passed" in printed) == (0, True), printed


def test_two_modules_with_the_same_table_do_not_meet(pack: Project) -> None:
    pack.write({"evals/snippets/test_other.py": HEAD + WRITES.format("other")})
    code, printed = evals(pack, source=WRITES.format("this"))
    assert (code, "4 passed" in printed) == (0, True), printed


def test_a_cell_without_a_statement_fails_the_run(pack: Project) -> None:
    source = (
        WRITES.format("writes").replace("(session)", "(session, database)", 1)
        + "def test_hollow(): pass\n"
    )
    hollow = "async def test_nothing(database): pass\n"
    code, printed = evals(pack, "--db", "sqlite", source=hollow)
    assert code == 1
    assert "FAULT thing: its evals sent nothing to sqlite" in printed
    code, printed = evals(pack, "--db", "sqlite", source=source)
    assert code == 0, printed


def test_a_skip_fails_the_run(pack: Project) -> None:
    skipping = WRITES.format("writes") + "def test_not(): pytest.skip('later')\n"
    code, printed = evals(pack, "--db", "sqlite", source=skipping)
    assert code == 1
    assert "was skipped: an eval never skips" in printed


def test_a_connection_left_open_fails_its_test(pack: Project) -> None:
    source = (
        "async def test_leaks(engine):\n"
        "    conn = await engine.connect()\n"
        "    await conn.execute(text('SELECT 1'))\n" + WRITES.format("next")
    )
    code, printed = evals(pack, "--db", "sqlite", source=source)
    assert code == 1
    assert "the eval left 1 connections checked out" in printed
    assert "2 passed" in printed  # the leak's body, and the test after it


def test_a_prefix_is_a_claim(pack: Project) -> None:
    code, printed = evals(pack, source=WRITES.format("a"), name="sqlite_thing")
    assert (code, "1 passed" in printed) == (0, True), printed


def test_a_server_that_does_not_answer_is_one_clear_line(pack: Project) -> None:
    pack.env["EVALS_POSTGRES_URL"] = "postgresql://ann:s3cret@127.0.0.1:1/evals"
    code, printed = evals(pack, source=WRITES.format("a"))
    assert code == 3
    told = [line for line in printed.splitlines() if "does not answer" in line]
    assert len(told) == 1
    assert "unset EVALS_POSTGRES_URL to use the embedded one" in told[0]
    assert "s3cret" not in printed


def test_sqlite_alone_starts_no_server(pack: Project) -> None:
    source = WRITES.format("a") + (
        "def test_no_server():\n"
        "    import os, pathlib\n"
        "    run = pathlib.Path(os.environ['EVALS_RUN_DIR'])\n"
        "    assert not list(run.glob('postgresql-*'))\n"
    )
    code, printed = evals(pack, "--db", "sqlite", source=source)
    assert code == 0, printed


def test_the_report_is_json_and_one_html_file(pack: Project) -> None:
    code, printed = evals(pack, "--report", "out", source=WRITES.format("a"))
    assert code == 0, printed
    facts = json.loads((pack.path / "out/matrix.json").read_text("utf-8"))
    assert facts["snippets"]["thing"]["postgresql"]["passed"] == 1
    assert facts["servers"]["postgresql"].startswith("PostgreSQL")
    page = (pack.path / "out/matrix.html").read_text("utf-8")
    assert "1 passed" in page
    assert "http" not in page.replace("<!doctype html><html", "")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["int", "kill"])
def test_nothing_stays_behind(pack: Project, how: signal.Signals) -> None:
    hanging = (
        "async def test_hangs(session):\n"
        "    await write(session)\n"
        "    open('running', 'w').close()\n"
        "    print('RUNNING', flush=True)\n"
        "    await asyncio.sleep(60)\n"
    )
    pack.write({"evals/snippets/test_thing.py": HEAD + hanging})
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-s", "--db", "postgresql", "evals/snippets"],
        cwd=pack.path,
        env=pack.environment(None),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    assert run.stdout
    for line in run.stdout:
        if "RUNNING" in line:
            break
    else:
        raise AssertionError("the eval did not start")
    (directory,) = Path(tempfile.gettempdir()).glob(f"{PREFIX}{run.pid}-*")
    (pidfile,) = directory.rglob("postmaster.pid")
    server = int(pidfile.read_text("utf-8").split("\n", 1)[0])
    assert alive(server)
    os.kill(run.pid, how)
    run.communicate(timeout=60)

    if how == signal.SIGKILL:  # the next run removes what this one could not
        assert directory in runs()
        code, printed = evals(pack, "--db", "sqlite", source=WRITES.format("a"))
        assert code == 0, printed
    assert not directory.exists()
    assert not alive(server)
