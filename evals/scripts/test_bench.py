"""Evals for scripts/maintain/bench.py, on small packs of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = (
    "scripts/maintain/bench.py",
    "evals/harness/postgres.py",
    "evals/harness/project.py",
    "evals/harness/shared_server.py",
)
# Contestants that measure themselves, so that every number is known. The first value
# of each is that of the warm-up.
KNOWN = """\
from pathlib import Path

from scripts.maintain.bench import contestant

SUBJECT = "one row"
BASELINE = "by hand"
LOG = Path(__file__).parents[3] / "log"


def log(text):
    with LOG.open("a", encoding="utf-8") as file:
        file.write(text + "\\n")


async def setup(url):
    log("setup " + url.partition(":")[0])
    return {
        "by hand": iter([9.0, 0.002, 0.004, 0.001]),
        "ours": iter([1.0, 0.003, 0.004, 0.002]),
    }


async def teardown(state):
    log("teardown")


@contestant("by hand")
async def by_hand(state):
    log("by hand")
    return next(state["by hand"])


@contestant("ours", at_most=LIMIT)
async def ours(state):
    log("ours")
    return next(state["ours"])
"""


class Pack:
    def __init__(self, root: Path) -> None:
        self.root = root
        for name in FILES:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)

    def subject(self, name: str, text: str) -> None:
        path = self.root / f"evals/peers/{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def bench(self, *args: str) -> subprocess.CompletedProcess[str]:
        hidden = ("EVALS_RUN_DIR", "PYTEST_")
        return subprocess.run(
            [sys.executable, self.root / "scripts/maintain/bench.py", *args],
            cwd=self.root.parent,
            env={k: v for k, v in os.environ.items() if not k.startswith(hidden)},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    def rows(self, *args: str) -> list[dict[str, Any]]:
        done = self.bench("--json", *args)
        assert done.returncode in (0, 1), done
        return list(json.loads(done.stdout)["rows"])

    def log(self) -> list[str]:
        return (self.root.parent / "log").read_text(encoding="utf-8").split("\n")[:-1]


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    return Pack(tmp_path / "pack")


def test_a_row_has_the_times_and_the_ratio_within_the_same_rounds(pack: Pack) -> None:
    pack.subject("row", KNOWN.replace("LIMIT", "None"))
    by_hand, ours = pack.rows("--db", "sqlite", "--rounds", "3")

    assert by_hand == {
        "subject": "row",
        "database": "sqlite",
        "label": "by hand",
        "median": 0.002,
        "min": 0.001,
        "max": 0.004,
        "ratio": 1.0,
        "at_most": None,
        "verdict": "",
    }
    # The ratios of the rounds are 1.5, 1 and 2; of the medians it would be 1.5 too,
    # of the minima 2, and with the warm-up 1.25.
    assert (ours["label"], ours["median"], ours["ratio"]) == ("ours", 0.003, 1.5)


def test_contestants_run_in_turn_and_each_round_begins_with_another(pack: Pack) -> None:
    pack.subject("row", KNOWN.replace("LIMIT", "None"))
    pack.rows("--db", "sqlite", "--rounds", "3")

    rounds = ["by hand", "ours", "ours", "by hand"] * 2
    assert pack.log() == ["setup sqlite+aiosqlite", *rounds, "teardown"]


@pytest.mark.parametrize(
    ("limit", "code", "verdict"), [("1.5", 0, "kept"), ("1.49", 1, "missed")]
)
def test_a_limit_is_kept_or_missed(
    pack: Pack, limit: str, code: int, verdict: str
) -> None:
    pack.subject("row", KNOWN.replace("LIMIT", limit))
    done = pack.bench("--db", "sqlite", "--rounds", "3")

    assert done.returncode == code, done
    title, _, *rows = done.stdout.splitlines()[1:5]
    assert title == "one row, sqlite"
    assert rows[0].split() == ["by", "hand", "2.000", "1.000", "4.000", "1.00"]
    assert rows[1].split() == [
        "ours",
        "3.000",
        "2.000",
        "4.000",
        "1.50",
        limit,
        verdict,
    ]


def test_each_subject_gets_an_empty_database_of_its_own_on_both_servers(
    pack: Pack,
) -> None:
    text = """\
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from scripts.maintain.bench import contestant

SUBJECT = "a table"
BASELINE = "both"
CALLS = 3


async def setup(url):
    engine = create_async_engine(url)
    async with engine.begin() as conn:
        await conn.execute(text("CREATE TABLE call (id INTEGER)"))
    return engine


async def teardown(engine):
    async with engine.connect() as conn:
        print(engine.dialect.name, await conn.scalar(text("SELECT count(*) FROM call")))
    await engine.dispose()


@contestant("both")
async def both(engine):
    async with engine.begin() as conn:
        await conn.execute(text("INSERT INTO call VALUES (1)"))


@contestant("one", database="postgresql")
async def one(engine):
    async with engine.begin() as conn:
        assert await conn.scalar(text("SELECT current_database()")) != "postgres"
"""
    pack.subject("first", text)
    pack.subject("second", text)
    done = pack.bench("--rounds", "1")

    assert done.returncode == 0, done
    lines = done.stdout.splitlines()
    # Three calls in each of two rounds.
    assert [line for line in lines if line in ("sqlite 6", "postgresql 6")] == [
        "sqlite 6",
        "postgresql 6",
    ] * 2
    labels = [line.split()[0] for line in lines if "." in line[:20]]
    assert labels.count("both") == 4
    assert labels.count("one") == 2
    only = pack.bench("--only", "second", "--db", "sqlite", "--rounds", "1")
    assert only.stderr == "second on sqlite ...\n"


def test_what_is_not_timed_by_the_contestant_is_timed_by_the_bench(pack: Pack) -> None:
    pack.subject("row", KNOWN.replace("LIMIT", "None").replace("return next", "next"))
    by_hand, _ = pack.rows("--db", "sqlite", "--rounds", "3")

    assert 0 < by_hand["min"] <= by_hand["median"] <= by_hand["max"]
    assert by_hand["median"] != 0.002


def test_a_contestant_that_raises_is_no_result_and_is_torn_down(pack: Pack) -> None:
    broken = KNOWN.replace("LIMIT", "None").replace(
        'log("ours")', 'raise OSError("no")'
    )
    pack.subject("row", broken)
    done = pack.bench("--db", "sqlite")

    assert done.returncode == 3, done
    assert done.stderr.endswith("OSError: no\n")
    assert done.stdout == ""
    assert pack.log()[-1] == "teardown"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("SUBJECT =", "THEME =", "evals.peers.row has no SUBJECT: see --help"),
        ("BASELINE =", "BASE =", "evals.peers.row has no BASELINE: see --help"),
        ("def setup", "def start", "evals.peers.row has no setup: see --help"),
        ("def teardown", "def stop", "evals.peers.row has no teardown: see --help"),
        (
            'contestant("by hand"',
            'contestant("by hand", database="postgresql"',
            "evals.peers.row has no 'by hand' on sqlite",
        ),
    ],
)
def test_a_subject_that_is_not_as_described_is_refused(
    pack: Pack, old: str, new: str, problem: str
) -> None:
    pack.subject("row", KNOWN.replace("LIMIT", "None").replace(old, new))
    done = pack.bench()

    assert (done.returncode, done.stdout) == (2, ""), done
    assert problem in done.stderr


def test_a_library_that_is_missing_is_named_with_the_way_to_have_it(pack: Pack) -> None:
    pack.subject("row", "import no_such_library\n")
    done = pack.bench()

    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        "bench.py: No module named 'no_such_library': run it with `--group peers`\n"
    )


def test_a_server_that_does_not_answer_is_named(
    pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack.subject("row", KNOWN.replace("LIMIT", "None"))
    monkeypatch.setenv("EVALS_POSTGRES_URL", "postgresql://me@127.0.0.1:1/x")
    done = pack.bench("--db", "postgresql")

    assert (done.returncode, done.stdout) == (3, "")
    assert "127.0.0.1:1/x does not answer" in done.stderr


@pytest.mark.parametrize("args", [("--only", "row"), ("--rounds", "0"), ("--db", "x")])
def test_wrong_arguments_are_refused(pack: Pack, args: tuple[str, str]) -> None:
    assert pack.bench(*args).returncode == 2


def test_help_documents_every_exit_code(pack: Pack) -> None:
    done = pack.bench("--help")

    assert done.returncode == 0
    assert all(f"{n} " in done.stdout.partition("Exit codes:")[2] for n in range(4))
