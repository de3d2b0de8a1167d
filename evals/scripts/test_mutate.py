"""Evals for scripts/maintain/mutate.py and mutants.py, on small packs of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.maintain.mutants import diff, mutants
from scripts.maintain.mutate import accepted

ROOT = Path(__file__).resolve().parents[2]
FILES = (
    "scripts/maintain/mutate.py",
    "scripts/maintain/mutants.py",
    "evals/harness/forks.py",
    "evals/harness/postgres.py",
    "evals/harness/project.py",
    "evals/harness/shared_server.py",
)
PYPROJECT = """\
[tool.pytest.ini_options]
pythonpath = ["."]
addopts = "--import-mode=importlib"
"""
TARIFF = '''\
"""What a seat costs."""

PRICES = {
    1: 31, 2: 32, 3: 33, 4: 34, 5: 35, 6: 36, 7: 37, 8: 38, 9: 39, 10: 40,
    11: 41, 12: 42, 13: 43, 14: 44, 15: 45, 16: 46, 17: 47, 18: 48, 19: 49, 20: 50,
}


def price(row: int) -> int:
    """Return euros."""
    if row > 99:
        raise LookupError(row)
    return PRICES[row]
'''
GOOD = """\
import pytest

from snippets.tariff import PRICES, price


def test_every_row_has_its_price():
    assert PRICES == {row: row + 30 for row in range(1, 21)}
    assert price(7) == 37


def test_a_row_that_does_not_exist_is_refused(monkeypatch):
    monkeypatch.setitem(PRICES, 99, 1)
    monkeypatch.setitem(PRICES, 100, 2)
    assert price(99) == 1
    with pytest.raises(LookupError):
        price(100)
"""
# Nobody asks whether row 99 is sold.
LAX = GOOD.replace("    assert price(99) == 1\n", "")
BOUNDARY = ("tariff", "price", "if row > 99:", "> becomes >=")
EMPTY = "import snippets.tariff\n\n\ndef test_nothing():\n    pass\n"


class Pack:
    """A pack with the scripts and what a test gives it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in FILES:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
        self.write("pyproject.toml", PYPROJECT)

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text, encoding="utf-8")

    def snippet(self, name: str, source: str, eval_: str) -> None:
        self.write(f"snippets/{name}.py", source)
        self.write(f"evals/snippets/test_{name}.py", eval_)

    def accept(self, *survivors: tuple[str, ...]) -> None:
        names = ("snippet", "where", "line", "mutation", "reason")
        entries = (
            "\n".join(f"{n} = {json.dumps(v)}" for n, v in zip(names, s, strict=False))
            for s in survivors
        )
        text = "".join(f"[[survivor]]\n{entry}\n" for entry in entries)
        self.write("scripts/maintain/survivors.toml", text)

    def run(self, *command: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        hidden = ("EVALS_", "PYTEST_", "GITHUB_")
        clean = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
        return subprocess.run(
            command,
            cwd=self.root.parent,
            env=clean | env,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    def mutate(
        self, *args: str, url: str = "postgresql://not.used"
    ) -> subprocess.CompletedProcess[str]:
        script = self.root / "scripts/maintain/mutate.py"
        env = {"EVALS_POSTGRES_URL": url} if url else {}
        return self.run(sys.executable, script, *args, **env)

    def outcomes(self, *args: str) -> dict[str, Any]:
        return dict(json.loads(self.mutate("--json", *args).stdout))

    def files(self) -> dict[Path, tuple[bytes, int]]:
        return {
            path: (path.read_bytes(), path.stat().st_mtime_ns)
            for path in self.root.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    return Pack(tmp_path / "pack")


def changes(source: str) -> dict[str, str]:
    """Return the mutants of a source: what each does, and the text that it adds."""
    found = {}
    for mutant in mutants(source):
        lines = diff(source, mutant, "x.py").splitlines()[2:]
        new = "\n".join(line[1:] for line in lines if line.startswith("+"))
        found[mutant.mutation] = new
    return found


@pytest.mark.parametrize(
    ("source", "mutation", "new"),
    [
        ("x = [1]\ny = x\n", "deleted", "pass"),
        ("a = b == c\n", "== becomes !=", "a = b != c"),
        ("a = b < c\n", "< becomes <=", "a = b <= c"),
        ("a = b < c\n", "< becomes >=", "a = b >= c"),
        ("a = b is not c\n", "is not becomes is", "a = b is c"),
        ("a = b not in c\n", "not in becomes in", "a = b in c"),
        ("a = b < c <= d\n", "<= becomes >", "a = b < c > d"),
        ("a = b and c\n", "and becomes or", "a = b or c"),
        ("a = (b or c) or d\n", "or becomes and (2)", "a = (b or c) and d"),
        ("a = not (b or c)\n", "without not", "a = (b or c)"),
        ("a = -b\n", "without -", "a = b"),
        ("a = b + c\n", "+ becomes -", "a = b - c"),
        ("a += b\n", "+ becomes -", "a -= b"),
        ("a = (ü) % b\n", "% becomes *", "a = (ü) * b"),
        ("if a:\n    b()\n", "condition turned", "if not (a):"),
        (
            "a = [b for b in c if b]\n",
            "condition turned",
            "a = [b for b in c if not (b)]",
        ),
        ("a = b if c() else d\n", "condition turned", "a = b if not (c()) else d"),
        ("a = 5\n", "5 becomes 6", "a = 6"),
        ("a = 0.5\n", "0.5 becomes 1.5", "a = 1.5"),
        ("a = True\n", "True becomes False", "a = False"),
        ("a = None\n", "None becomes True", "a = True"),
        ("a = 'ü'\n", "'ü' becomes \"\"", 'a = ""'),
        ("a = ''\n", "'' becomes \"mutated\"", 'a = "mutated"'),
        ("a = f'{b}!'\n", "f'{b}!' becomes \"\"", 'a = ""'),
        ("a = b'x'\n", "b'x' becomes b\"\"", 'a = b""'),
        ("a = b''\n", "b'' becomes b\"mutated\"", 'a = b"mutated"'),
        ("def f(a=5): ...\n", "5 becomes 6", "def f(a=6): ..."),
        ("def f():\n    return a\n", "deleted", "    pass"),
        ("if a:\n    return b\nc()\n", "None instead", "    return None"),
        (
            "async def f():\n    return await a\n",
            "None instead",
            "    return (await a, None)[-1]",
        ),
        ("def f():\n    yield a\n", "None instead", "    yield None"),
        ("a(b, c=d)\n", "without c=", "a(b, )"),
        ("a(b=c, d=e)\n", "without b=", "a( d=e)"),
        ("a(**b)\n", "without **=", "a()"),
        ("class A(B, c=d):\n    x = y\n", "without c=", "class A(B, ):"),
        ("@a.b(c)\ndef f(): ...\n", "without @a.b(c)", ""),
        ("a.b().c(d)\n", "without .c()", "a.b()"),
        ("async def f():\n    (await a).b(c)\n", "without .b()", "    (await a)"),
        ("with a(b):\n    c()\n", "without its context", "if True:"),
        (
            "try:\n    a()\nexcept (B, C):\n    d()\n",
            "without B",
            "except (C,):",
        ),
        ("try:\n    a()\nexcept B:\n    d()\n", "without B", "except ():"),
        ("a = [\n    b,\n    c,\n]\n", "line deleted", ""),
        ("a = (\n    b\n    .c()\n)\n", "line deleted", ""),
        ("if a:\n    b()\nelse:\n    c()\n", "line deleted", ""),
    ],
)
def test_what_runs_is_mutated(source: str, mutation: str, new: str) -> None:
    found = changes(source)

    assert mutation in found, list(found)
    assert found[mutation] == new


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""\n',
        "from __future__ import annotations\nimport a\nfrom b import c\n",
        "if TYPE_CHECKING:\n    x = 1\n",
        'T = TypeVar("T", bound=int)\n',
        'Mode = Literal["r", "w"]\n',
        "Row: TypeAlias = dict[str, int]\n",
        "@overload\ndef f(a: int) -> int: ...\n",
        "@override\ndef f(a: Annotated[int, Gt(5)]) -> Literal[5]: ...\n",
        "class A(Protocol):\n    def f(self) -> int: ...\n",
        "def f(\n    a,\n    b,\n): ...\n",
    ],
)
def test_what_only_a_reader_or_a_type_checker_sees_is_not_mutated(source: str) -> None:
    assert changes(source) == {}


def test_no_two_mutants_of_a_file_are_the_same_program() -> None:
    found = [
        (m.line, m.mutation) for m in mutants("def f(a):\n    b()\n    return a\n")
    ]

    # `return a` deleted, its line deleted and `return None` are the same.
    assert found == [("b()", "deleted"), ("return a", "deleted")]


def test_a_mutant_is_named_by_its_function_and_the_text_of_its_line() -> None:
    source = "class A:\n    def f(self):\n        return x(5, 5)\n"
    names = [(m.where, m.line, m.mutation) for m in mutants(source)]

    line = "return x(5, 5)"
    assert names == [
        ("A.f", line, "deleted"),
        ("A.f", line, "5 becomes 6"),
        ("A.f", line, "5 becomes 6 (2)"),
    ]
    moved = f"import y\n\n\n{source}"
    assert [(m.where, m.line, m.mutation) for m in mutants(moved)] == names


def test_an_eval_that_notices_everything_kills_every_mutant(pack: Pack) -> None:
    pack.snippet("tariff", TARIFF, GOOD)
    before = pack.files()
    done = pack.mutate()

    assert done.returncode == 0, done
    assert done.stdout.split("\n")[1].split()[:6] == [
        "tariff",
        "49",
        "49",
        "0",
        "0",
        "0.0",
    ]
    assert pack.files() == before


def test_an_eval_that_asserts_nothing_lets_them_survive(pack: Pack) -> None:
    pack.snippet("tariff", TARIFF, EMPTY)
    done = pack.mutate("--json")

    assert done.returncode == 1, done
    found = json.loads(done.stdout)
    outcomes = {mutant["outcome"] for mutant in found["mutants"]}
    assert (len(found["mutants"]), outcomes) == (49, {"survived"})
    assert "100.0% of 49 mutants survive: 3% may" in found["problems"]


def test_a_survivor_is_an_error_until_its_reason_is_written(pack: Pack) -> None:
    pack.snippet("tariff", TARIFF, LAX)
    unknown = pack.mutate()
    pack.accept((*BOUNDARY, "row 99 is never asked for"))
    known = pack.mutate()

    assert (unknown.returncode, known.returncode) == (1, 0), (unknown, known)
    assert "-    if row > 99:\n+    if row >= 99:\n" in unknown.stderr
    assert '[[survivor]]\nsnippet = "tariff"\nwhere = "price"\n' in unknown.stderr
    assert known.stdout.split("\n")[1].split()[1:6] == ["49", "48", "0", "1", "2.0"]
    assert "survived:" not in known.stderr


def test_a_reason_whose_mutant_is_killed_or_gone_must_be_removed(pack: Pack) -> None:
    pack.snippet("tariff", TARIFF, GOOD)
    gone = ("tariff", "price", "if row > 98:", "> becomes >=")
    pack.accept((*BOUNDARY, "never asked for"), (*gone, "never asked for"))
    done = pack.mutate()

    assert done.returncode == 1, done
    assert done.stderr == (
        "\ntariff / price / if row > 99: / > becomes >= is killed now:"
        " remove it from survivors.toml\n"
        "\ntariff / price / if row > 98: / > becomes >= is no mutant any more:"
        " remove it from survivors.toml\n"
    )


def test_more_than_three_percent_are_too_many_even_with_reasons(pack: Pack) -> None:
    small = "def double(x: int) -> int:\n    return x * 2\n"
    weak = (
        "import snippets.double as s\n\n\ndef test_it():\n    assert s.double(2) == 4\n"
    )
    pack.snippet("double", small, weak.replace("== 4", "> 0"))
    line = ("double", "double", "return x * 2")
    pack.accept(
        (*line, "* becomes /", "any number will do"),
        (*line, "2 becomes 3", "any number will do"),
    )
    done = pack.mutate()

    assert done.returncode == 1, done
    assert done.stderr.endswith("\n\n66.7% of 3 mutants survive: 3% may\n")


@pytest.mark.parametrize("survivor", [(*BOUNDARY, ""), BOUNDARY, ("tariff",)])
def test_a_survivor_without_a_reason_is_refused(
    pack: Pack, survivor: tuple[str, ...]
) -> None:
    pack.snippet("tariff", TARIFF, LAX)
    pack.accept(survivor)
    done = pack.mutate()

    assert done.returncode == 2, done
    assert "give snippet, where, line, mutation, reason, once" in done.stderr


def test_a_survivor_that_is_listed_twice_is_refused(pack: Pack) -> None:
    pack.snippet("tariff", TARIFF, LAX)
    pack.accept((*BOUNDARY, "never asked for"), (*BOUNDARY, "never sold"))
    done = pack.mutate()

    assert done.returncode == 2, done
    assert "once" in done.stderr


def test_the_list_may_be_empty_but_must_be_toml(pack: Pack) -> None:
    pack.snippet("tariff", TARIFF, GOOD)
    pack.write("scripts/maintain/survivors.toml", "# none\n")
    empty = pack.mutate("--sample", "1")
    pack.write("scripts/maintain/survivors.toml", "[[survivor]\n")
    broken = pack.mutate("--sample", "1")

    assert (empty.returncode, broken.returncode) == (0, 2), (empty, broken)
    assert "survivors.toml is no TOML" in broken.stderr


def test_nothing_is_mutated_while_an_eval_fails(pack: Pack) -> None:
    pack.snippet("tariff", TARIFF, GOOD.replace("== 37", "== 38"))
    done = pack.mutate()

    assert (done.returncode, done.stdout) == (3, ""), done
    assert "assert price(7) == 38" in done.stderr
    expected = "evals/snippets/test_tariff.py fails with no mutant: mend it first"
    assert done.stderr.endswith(f"{expected}\n")


def test_an_environment_that_breaks_on_the_way_kills_no_mutant(pack: Pack) -> None:
    # The disk is full, say, from the second run on.
    breaks = (
        "from pathlib import Path\n\n\ndef test_it():\n"
        f"    used = Path({str(pack.root.parent / 'used')!r})\n"
        "    assert not used.exists()\n    used.touch()\n"
    )
    pack.snippet("tariff", TARIFF, breaks)
    done = pack.mutate()

    assert done.returncode == 3, done
    assert "fails with no mutant" in done.stderr


HANGS = """\
import os
import signal
from pathlib import Path

import pytest

from snippets.countdown import count


@pytest.fixture
def cleaned():
    yield
    Path({cleaned!r}, str(os.getpid())).touch()


def test_it(cleaned):
    {deaf}
    assert count(3) == 0
"""


@pytest.mark.parametrize(
    ("deaf", "cleaned_up"),
    [("pass", 7), ("signal.signal(signal.SIGINT, signal.SIG_IGN)", 5)],
)
def test_a_mutant_that_hangs_is_ended_and_counts_as_killed(
    pack: Pack, deaf: str, cleaned_up: int
) -> None:
    cleaned = pack.root.parent / "cleaned"
    cleaned.mkdir()
    source = "def count(n: int) -> int:\n    while n:\n        n = 0\n    return n\n"
    pack.snippet("countdown", source, HANGS.format(cleaned=str(cleaned), deaf=deaf))
    found = pack.outcomes("--timeout", "1", "--jobs", "2")
    outcomes = {(m["line"], m["mutation"]): m["outcome"] for m in found["mutants"]}

    assert outcomes == {
        ("while n:", "deleted"): "killed",
        ("while n:", "condition turned"): "killed",
        ("n = 0", "deleted"): "timeout",
        ("n = 0", "0 becomes 1"): "timeout",
        ("return n", "deleted"): "killed",
    }
    assert found["problems"] == []
    # Five mutants and two clean runs: who is deaf cannot clean up.
    assert len([*cleaned.iterdir()]) == cleaned_up


def test_evals_that_depend_on_their_order_are_no_judges(pack: Pack) -> None:
    # The second spoils the first, which passes as long as it comes first.
    spoils = GOOD.replace("monkeypatch.setitem(PRICES, 99, 1)", "PRICES[99] = 1")
    pack.snippet("tariff", TARIFF, spoils)
    done = pack.mutate()

    assert done.returncode == 3, done
    assert "test_tariff.py fails with no mutant" in done.stderr


def test_only_what_changed_since_a_revision_is_mutated(pack: Pack) -> None:
    def git(*args: str) -> None:
        names = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        done = pack.run("git", "-C", pack.root, *names, *args)
        assert done.returncode == 0, done

    for name in ("one", "two", "three", "four"):
        eval_ = (
            f"import snippets.{name} as s\n\n\ndef test_it():\n    assert s.X == 1\n"
        )
        pack.snippet(name, "X = 1\n", eval_)
    (pack.root / "snippets/four.py").unlink()
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "all")
    pack.write("snippets/one.py", "X = 1  # changed\n")
    eval_ = "import snippets.two as s\n\n\ndef test_it():\n    assert 1 == s.X\n"
    pack.write("evals/snippets/test_two.py", eval_)
    pack.write("snippets/four.py", "X = 1\n")

    found = pack.outcomes("--changed", "HEAD")
    assert {m["snippet"] for m in found["mutants"]} == {"one", "two", "four"}
    found = pack.outcomes("--changed", "HEAD", "one", "three")
    assert {m["snippet"] for m in found["mutants"]} == {"one"}
    unknown = pack.mutate("--changed", "nowhere")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "git knows no nowhere" in unknown.stderr


def test_a_sample_is_the_same_for_the_same_seed_and_judges_no_other_mutant(
    pack: Pack,
) -> None:
    pack.snippet("tariff", TARIFF, GOOD)
    # Killed, which a sample without this mutant cannot know.
    line = TARIFF.split("\n")[4].strip()
    pack.accept(("tariff", "", line, "50 becomes 51", "nobody buys it"))
    samples = {
        seed: [
            (m["line"], m["mutation"])
            for m in pack.outcomes("--sample", "5", "--seed", seed)["mutants"]
        ]
        for seed in ("1", "2")
    }

    assert len(samples["1"]) == 5
    assert samples["1"] != samples["2"]
    again = pack.mutate("--sample", "5", "--seed", "1", "--json")
    found = json.loads(again.stdout)
    assert [(m["line"], m["mutation"]) for m in found["mutants"]] == samples["1"]
    assert (line, "50 becomes 51") not in samples["1"]
    assert (again.returncode, found["problems"]) == (0, [])


def test_one_postgresql_serves_every_run_and_is_gone_afterwards(pack: Pack) -> None:
    seen = pack.root.parent / "seen"
    eval_ = (
        "import asyncio, os\nfrom pathlib import Path\n\nimport asyncpg\n\n"
        "from snippets.tariff import PRICES, price\n\n\n"
        "async def started():\n"
        '    url = os.environ["EVALS_POSTGRES_URL"].replace("+asyncpg", "")\n'
        "    conn = await asyncpg.connect(url)\n"
        '    at = await conn.fetchval("SELECT pg_postmaster_start_time()::text")\n'
        "    await conn.close()\n"
        f"    with Path({str(seen)!r}).open('a') as file:\n"
        '        file.write(f"{url} {at}\\n")\n\n\n'
        "def test_it():\n    asyncio.run(started())\n"
    )
    pack.snippet("tariff", TARIFF, eval_)
    done = pack.mutate("--sample", "6", url="")

    assert done.returncode == 1, done
    lines = seen.read_text(encoding="utf-8").splitlines()
    assert (len(lines), len(set(lines))) == (8, 1)
    socket = lines[0].partition("host=")[2].partition(" ")[0]
    assert socket
    assert not Path(socket).exists()


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (("tarif",), "no snippet is called tarif"),
        (("--jobs", "0"), "--jobs and --sample must be 1 or more"),
        (("--sample", "0"), "--jobs and --sample must be 1 or more"),
    ],
)
def test_wrong_arguments_are_told_what_is_expected(
    pack: Pack, args: tuple[str, ...], problem: str
) -> None:
    pack.snippet("tariff", TARIFF, GOOD)
    done = pack.mutate(*args)

    assert (done.returncode, done.stdout) == (2, "")
    assert problem in done.stderr


def test_help_documents_every_exit_code(pack: Pack) -> None:
    text = pack.mutate("--help").stdout

    assert all(f"{n} " in text.partition("Exit codes:")[2] for n in range(4))


def test_the_mutants_of_a_file_are_printed_as_diffs(pack: Pack) -> None:
    pack.snippet("tariff", TARIFF, GOOD)
    script = pack.root / "scripts/maintain/mutants.py"
    done = pack.run(sys.executable, script, "pack/snippets/tariff.py")
    missing = pack.run(sys.executable, script, "pack/snippets/tarif.py")

    assert (done.returncode, done.stdout.count("\n@@ ")) == (0, 49)
    assert missing.returncode == 2
    assert "is no file: name a snippet" in missing.stderr


def test_each_accepted_survivor_is_a_mutant_of_its_snippet() -> None:
    entries = accepted()
    there = {
        (name, m.where, m.line, m.mutation)
        for name in {entry[0] for entry in entries}
        for m in mutants((ROOT / f"snippets/{name}.py").read_text(encoding="utf-8"))
    }
    assert entries.keys() - there == set()
