"""Change the snippets, one place at a time, and see their evals fail.

    mutate.py                    every snippet
    mutate.py engine session     these
    mutate.py --changed main     those whose file or eval differs from a revision
    mutate.py --sample 200       some of the mutants, the same for the same --seed

mutants.py says what a mutant is. Each runs evals/snippets/test_<snippet>.py on both
databases, in a forked process and a scratch copy of the pack, beside one PostgreSQL
for all: EVALS_POSTGRES_URL, else the embedded one. A green run lets its mutant
survive; one that takes ten times the clean run, and --timeout, is ended and counts
as killed.

survivors.toml, beside this script, holds the survivors that a reviewer accepted:

    [[survivor]]
    snippet = "engine"
    where = "new_engine"            # the function or class
    line = "pool_pre_ping=True,"    # its text
    mutation = "line deleted"
    reason = "why no eval can tell"

Exit codes: 0 each survivor of the run is accepted, and at most 3 % of the pack's
mutants are; 1 not so, or an accepted one is killed now or gone; 2 wrong arguments
or list; 3 an eval fails without a mutant, or there is no PostgreSQL.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from scripts.maintain.mutants import Mutant, diff, mutants

if sys.platform != "win32":
    from evals.harness import forks

ROOT = Path(__file__).resolve().parents[2]
ACCEPTED = Path(__file__).with_name("survivors.toml")
LIMIT = 0.03
NAMED = ("snippet", "where", "line", "mutation")
OUTCOMES = {"failed": "killed", "timeout": "timeout", "passed": "survived"}

Key = tuple[str, str, str, str]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="SNIPPET")
    parser.add_argument("--changed", metavar="REV", help="only what differs from REV")
    parser.add_argument("--sample", type=int, metavar="N", help="only N mutants")
    parser.add_argument("--seed", type=int, default=0, help="which N (default: 0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N")
    parser.add_argument(
        "--timeout", type=float, default=20, metavar="SECONDS", help="(default: 20)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    args = parser.parse_args()
    if sys.platform == "win32":
        parser.error("this system has no fork: use Linux, macOS or WSL")
    if args.jobs < 1 or (args.sample is not None and args.sample < 1):
        parser.error("--jobs and --sample must be 1 or more")
    sources = {
        file.stem: file.read_text(encoding="utf-8")
        for file in sorted(ROOT.glob("snippets/*.py"))
    }
    if unknown := set(args.names) - set(sources):
        parser.error(f"no snippet is called {', '.join(sorted(unknown))}")
    reasons = accepted()
    pack: dict[Key, Mutant] = {
        (snippet, found.where, found.line, found.mutation): found
        for snippet, source in sources.items()
        for found in mutants(source)
    }
    chosen = set(args.names or sources)
    if args.changed:
        chosen &= changed_since(args.changed)
    keys = [key for key in pack if key[0] in chosen]
    if args.sample is not None and args.sample < len(keys):
        picked = random.Random(args.seed).sample(range(len(keys)), args.sample)
        keys = [keys[number] for number in sorted(picked)]
    trials = {key: trial(key[0], pack[key]) for key in keys}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with postgresql():
        run(trials, args.jobs, args.timeout)
    problems = judge(pack, trials, reasons, sources)
    report = json.dumps(as_json(trials, problems), indent=2) if args.json else ""
    print(report or table(trials))
    for problem in problems:
        print(f"\n{problem}", file=sys.stderr)
    return int(bool(problems))


def trial(snippet: str, mutant: Mutant | None = None) -> forks.Trial:
    change = (f"snippets/{snippet}.py", mutant.source) if mutant else None
    return forks.Trial(f"evals/snippets/test_{snippet}.py", change)


def run(trials: dict[Key, forks.Trial], workers: int, timeout: float) -> None:
    """Run the mutants' trials between two clean ones of each snippet."""
    names = {trial: key for key, trial in trials.items()}
    snippets = sorted({key[0] for key in trials})
    with tempfile.TemporaryDirectory(prefix="mutate-") as scratch:
        copies = [Path(scratch).resolve() / str(n) for n in range(workers)]
        for copy in copies:
            forks.copy_pack(copy)
        failed: dict[str, list[str]] = {}
        times = run_clean(snippets, copies, failed)
        for key, trial in trials.items():
            trial.timeout = max(timeout, 10 * times[key[0]])
        runs = forks.run_trials([*names], copies, failed)
        for number, trial in enumerate(runs, 1):
            if trial.outcome == "passed" or number % 50 == 0:
                name = " / ".join(names[trial]) if trial.outcome == "passed" else ""
                print(f"{number} of {len(trials)} {name}", file=sys.stderr, flush=True)
        # What fails for a reason outside, such as a full disk, or in the order in
        # which the mutants' trials ran, has killed nothing.
        run_clean(snippets, copies, failed)


def run_clean(
    snippets: list[str], copies: list[Path], failed: dict[str, list[str]]
) -> dict[str, float]:
    """Run the evals with no mutant; return their seconds."""
    trials = {snippet: trial(snippet) for snippet in snippets}
    for clean in forks.run_trials([*trials.values()], copies, failed):
        if clean.outcome != "passed":
            fail(3, f"{clean.output}\n{clean.file} fails with no mutant: mend it first")
    return {snippet: clean.seconds for snippet, clean in trials.items()}


def judge(
    pack: dict[Key, Mutant],
    trials: dict[Key, forks.Trial],
    reasons: dict[Key, str],
    sources: dict[str, str],
) -> list[str]:
    """Return what is wrong: survivors without a reason, and reasons without one."""
    survived = {key for key, trial in trials.items() if trial.outcome == "passed"}
    problems = []
    for key in trials:
        if key in survived - reasons.keys():
            entry = [f"{n} = {json.dumps(v)}" for n, v in zip(NAMED, key, strict=True)]
            change = diff(sources[key[0]], pack[key], f"snippets/{key[0]}.py")
            problems.append("\n".join(["survived:", change, "[[survivor]]", *entry]))
    for key in reasons:
        if key not in pack or key in trials.keys() - survived:
            why = "is killed now" if key in pack else "is no mutant any more"
            problems.append(f"{' / '.join(key)} {why}: remove it from {ACCEPTED.name}")
    share = len(survived | (reasons.keys() & pack.keys())) / max(1, len(pack))
    if share > LIMIT:
        problems.append(f"{share:.1%} of {len(pack)} mutants survive: {LIMIT:.0%} may")
    return problems


def table(trials: dict[Key, forks.Trial]) -> str:
    """Return the numbers of each snippet, and of all at the end."""
    lines = [("snippet", "mutants", *OUTCOMES.values(), "%", "seconds")]
    for name in [*dict.fromkeys(key[0] for key in trials), "all"]:
        own = [trial for key, trial in trials.items() if name in (key[0], "all")]
        count = Counter(trial.outcome for trial in own)
        numbers = [str(count[outcome]) for outcome in OUTCOMES]
        percent = f"{100 * count['passed'] / max(1, len(own)):.1f}"
        seconds = f"{sum(trial.seconds for trial in own):.1f}"
        lines.append((name, str(len(own)), *numbers, percent, seconds))
    width = max(len(line[0]) for line in lines)
    return "\n".join(
        f"{line[0]:{width}}" + "".join(f"{cell:>10}" for cell in line[1:])
        for line in lines
    )


def as_json(trials: dict[Key, forks.Trial], problems: list[str]) -> dict[str, Any]:
    """Return each mutant with what became of it, and the test that saw it."""
    found = [
        dict(zip(NAMED, key, strict=True))
        | {"outcome": OUTCOMES[trial.outcome], "by": trial.by}
        | {"seconds": round(trial.seconds, 2)}
        for key, trial in trials.items()
    ]
    return {"mutants": found, "problems": problems}


@contextmanager
def postgresql() -> Iterator[None]:
    """Start the one server of all runs, unless there is one."""
    if "EVALS_POSTGRES_URL" in os.environ:
        yield
        return
    from evals.harness import postgres, shared_server

    try:
        with shared_server.shared_postgresql():
            yield
    except postgres.ServerUnavailable as exc:
        fail(3, str(exc))


def changed_since(revision: str) -> set[str]:
    """Return the snippets whose file or eval differs from the revision."""
    found: set[str] = set()
    for command in (
        ["git", "diff", "--name-only", "--relative", revision],
        ["git", "ls-files", "--others", "--exclude-standard"],
    ):
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False
        )
        if done.returncode:
            fail(2, f"git knows no {revision}: {done.stderr.strip()}")
        paths = [Path(line) for line in done.stdout.splitlines()]
        folders = (Path("snippets"), Path("evals/snippets"))
        found |= {p.stem.removeprefix("test_") for p in paths if p.parent in folders}
    return found


def accepted() -> dict[Key, str]:
    """Return the reasons of the survivors that a reviewer accepted."""
    if not ACCEPTED.exists():
        return {}
    found: dict[Key, str] = {}
    try:
        entries = tomllib.loads(ACCEPTED.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as exc:
        fail(2, f"{ACCEPTED.name} is no TOML: {exc}")
    for entry in entries.get("survivor", []):
        snippet, where, line, mutation = (str(entry.get(name)) for name in NAMED)
        key = (snippet, where, line, mutation)
        if entry.keys() != {*NAMED, "reason"} or not entry["reason"] or key in found:
            expected = ", ".join((*NAMED, "reason"))
            fail(2, f"wrong survivor {entry}: give {expected}, once")
        found[key] = entry["reason"]
    return found


def fail(code: int, message: str) -> NoReturn:
    print(f"mutate.py: {message}", file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    sys.exit(main())
