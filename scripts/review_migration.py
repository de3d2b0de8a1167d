"""Review Alembic revisions before anybody runs them. Nothing is executed.

    review_migration.py                          every revision of the project
    review_migration.py --since ae1027a6acf      those that a database at ae10 lacks
    review_migration.py migrations/versions/x.py ...      these, as one deploy
    git diff --name-only main | review_migration.py --files-from -
    alembic upgrade ae10:head --sql | review_migration.py --sql -

Each operation of upgrade() gets the worst of these verdicts that applies:
  safe             nobody waits, nothing is lost
  locks            reads or writes wait while rows are read
  blocks-old-code  the release that is still running fails
  rewrites         every row is written anew, under a lock
  fails            it stops with an error, or does not do what it says, on a database
                   that has rows or that ran the earlier revisions one by one
  cannot-judge     it was not understood: read it yourself
  destroys-data    rows or values are gone, and no downgrade brings them back

Tables that the reviewed revisions themselves create are empty, so that nearly all is
safe on them. That holds for the tables of one revision, of the files that are named
together, and after --since (--since base: no database exists yet). The other
revisions of the same directory are read to know what is there, and not judged. Helpers
that a revision imports from the same repository are read as they are today.
PostgreSQL is assumed, and SQLite too where a revision uses batch mode. Calls of this
pack's online_*.py and backfill.py are known; a copy must keep the file's name.

Text or --json on stdout. Exit codes, the highest that applies:
  0  nothing to stop for
  1  needs care: locks, rewrites, blocks-old-code or fails
  2  wrong usage, nothing was judged
  4  something cannot be judged: read it before you run it
  3  destroys data: stop, show it to your user, and run it only with their word
(3 goes before 4, and 4 before 1.)
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from scripts.reviewing import sql
    from scripts.reviewing.judge import Finding, Judge, Reason, worst
    from scripts.reviewing.revision import Revision
    from scripts.reviewing.rules import RULES
    from scripts.reviewing.source import LIMIT, read_file
    from scripts.reviewing.sql import Operation
    from scripts.reviewing.state import State
else:
    # The skill may be read-only; `python -I` leaves this directory out of the path.
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    try:
        from reviewing import sql
        from reviewing.judge import Finding, Judge, Reason, worst
        from reviewing.revision import Revision
        from reviewing.rules import RULES
        from reviewing.source import LIMIT, read_file
        from reviewing.sql import Operation
        from reviewing.state import State
    except ImportError as exc:
        message = f"the skill is incomplete: {exc}. Install it again"
        print(f"review_migration.py: {message}", file=sys.stderr)
        sys.exit(2)

EXITS = {"safe": 0, "cannot-judge": 4, "destroys-data": 3}
PLACES = ("migrations/versions", "alembic/versions")
SQL_LIMIT = 20_000_000  # characters


class UsageError(Exception):
    """Nothing is judged; the text says what was expected."""


class History:
    """The revisions of one directory, as they follow each other."""

    def __init__(self, revisions: Iterable[Revision]) -> None:
        self.revisions = list(revisions)
        self.by_id = {r.revision: r for r in self.revisions if r.revision}
        self.states: dict[int, State] = {}

    def parents(self, revision: Revision) -> list[Revision]:
        ids = [*revision.down, *revision.depends]
        return [self.by_id[name] for name in ids if name in self.by_id]

    def ordered(self) -> list[Revision]:
        """Return the revisions, each after those it follows; cycles last."""
        found: list[Revision] = []
        ready: set[int] = set()
        waiting = list(self.revisions)
        while waiting:
            now = [r for r in waiting if {id(p) for p in self.parents(r)} <= ready]
            if not now:
                return found + waiting
            for revision in now:
                ready.add(id(revision))
            found += now
            waiting = [r for r in waiting if id(r) not in ready]
        return found

    def cyclic(self) -> list[Revision]:
        """Return the revisions that follow themselves."""
        return [r for r in self.revisions if r in self.ancestors(r)]

    def ancestors(self, revision: Revision) -> list[Revision]:
        found: list[Revision] = []
        open_ones = self.parents(revision)
        while open_ones:
            here = open_ones.pop()
            if not any(here is other for other in found):
                found.append(here)
                open_ones += self.parents(here)
        return found

    def judge(
        self, chosen: list[Revision], fresh: set[str], database: str, down: bool
    ) -> Any:
        """Return the findings of each chosen revision, by the revision's `id()`."""
        needed = {id(r) for r in chosen}
        for revision in chosen:
            needed |= {id(r) for r in self.ancestors(revision)}
        results: dict[int, list[Finding]] = {}
        for revision in self.ordered():
            if id(revision) not in needed:
                continue
            parents = self.parents(revision)
            states = [self.states[id(p)] for p in parents if id(p) in self.states]
            known = len(parents) == len([*revision.down, *revision.depends])
            state = State.after(states, known and not revision.problem)
            findings = Judge(revision, state, fresh, database, down=False).run()
            self.states[id(revision)] = state
            if down:
                findings = Judge(revision, state, set(), database, down=True).run()
            results[id(revision)] = findings
        return {id(r): results[id(r)] for r in chosen}

    def faults(self) -> list[tuple[str, Reason]]:
        """Say what is wrong with the chain: heads, gaps, doubles, cycles."""
        found = []
        followed = {name for r in self.revisions for name in r.down}
        labels = {label for r in self.revisions for label in r.labels}
        seen: dict[str, Revision] = {}
        for revision in self.revisions:
            if revision.problem or not revision.revision:
                continue
            if revision.revision in seen:
                other = seen[revision.revision].path
                found.append((revision.path, Reason("duplicate-revision", other)))
            seen[revision.revision] = revision
            for name in [*revision.down, *revision.depends]:
                if name not in self.by_id and name not in labels:
                    found.append((revision.path, Reason("broken-chain", name)))
        cycle = self.cyclic()
        if cycle:
            found.append((cycle[0].path, Reason("cycle")))
        heads = sorted(name for name in self.by_id if name not in followed)
        if len(heads) > 1 and not labels:
            found.append(("", Reason("several-heads", ", ".join(heads))))
        return found


# --- choosing what to review --------------------------------------------------------


def is_revision(revision: Revision) -> bool:
    return bool(revision.problem or revision.revision or revision.has.get("upgrade"))


def read_directory(path: Path) -> History:
    files = sorted(p for p in path.rglob("*.py") if "__pycache__" not in p.parts)
    return History([r for r in map(read_file, files) if is_revision(r)])


def find_directory() -> Path:
    """Return the project's versions directory, as alembic.ini or habit names it."""
    for name in ("alembic.ini", "pyproject.toml"):
        if (ini := Path(name)).is_file():
            text = ini.read_text(encoding="utf-8", errors="replace")
            match = re.search(r"^script_location\s*=\s*[\"']?([^\"'\n]+)", text, re.M)
            if match:
                place = re.sub(r"%\(here\)s[/\\]?", "", match[1].strip())
                if (found := Path(place) / "versions").is_dir():
                    return found
    for place in PLACES:
        if Path(place).is_dir():
            return Path(place)
    raise UsageError(
        "no versions directory here: name it, or the revision files"
        f" (looked for script_location in alembic.ini, and for {', '.join(PLACES)})"
    )


def after(history: History, since: str) -> list[Revision]:
    """Return what a database at revision `since` still lacks."""
    if since == "base":
        return history.ordered()
    matches = [r for r in history.revisions if since and r.revision.startswith(since)]
    exact = [r for r in matches if r.revision == since]
    if len(exact or matches) != 1:
        known = ", ".join(r.revision for r in history.ordered()[-3:] if r.revision)
        many = f"{len(matches)} revisions begin with" if matches else "no revision is"
        raise UsageError(
            f"--since: {many} {since!r}; the last ones here: {known or 'none'}"
        )
    applied = [(exact or matches)[0], *history.ancestors((exact or matches)[0])]
    return [r for r in history.ordered() if not any(r is other for other in applied)]


def group(paths: list[Path]) -> list[tuple[History, list[Revision], bool]]:
    """Read the named files and directories: history, what to review, whole or not."""
    found: list[tuple[History, list[Revision], bool]] = []
    named: dict[Path, list[Path]] = {}
    for path in paths:
        if path.is_dir():
            history = read_directory(path)
            if not history.revisions:
                raise UsageError(f"{path} holds no revision")
            found.append((history, history.ordered(), True))
        elif not path.exists():
            raise UsageError(f"{path} does not exist")
        else:
            named.setdefault(path.parent, []).append(path)
    for directory, files in named.items():
        chosen = [read_file(path) for path in files]
        for revision in chosen:
            if not is_revision(revision):
                revision.problem = (
                    "it is no revision: it has no revision id and no upgrade()"
                )
        around = before(chosen, sorted(set(directory.glob("*.py")) - set(files)))
        history = History([*around, *chosen])
        wanted = [r for r in history.ordered() if any(r is c for c in chosen)]
        found.append((history, wanted, False))
    return found


def before(chosen: list[Revision], others: list[Path]) -> list[Revision]:
    """Read those of the other files that the chosen revisions follow."""
    found: list[Revision] = []
    known = {r.revision for r in chosen}
    wanted = {name for r in chosen for name in [*r.down, *r.depends]} - known
    texts = {path: path.read_bytes() for path in others if path.stat().st_size <= LIMIT}
    while wanted:
        names = [name.encode() for name in wanted]
        files = [path for path, text in texts.items() if any(n in text for n in names)]
        known |= wanted
        wanted = set()
        for path in files:
            del texts[path]
            revision = read_file(path)
            if revision.revision and not revision.problem:
                found.append(revision)
                wanted |= {*revision.down, *revision.depends} - known
    return found


# --- generated SQL ------------------------------------------------------------------

RUNNING = re.compile(r"^-- Running (?:upgrade|downgrade) (\S*) -> (\S*)", re.M)


def read_script(name: str, text: str) -> History:
    """Cut what `alembic upgrade --sql` printed into its revisions."""
    if len(text) > SQL_LIMIT:
        raise UsageError(
            f"{name} has more than {SQL_LIMIT} characters: cut it by revision"
        )
    marks = [*RUNNING.finditer(text)]
    edges = [(0, "", "")] + [(m.start(), m[1], m[2].rstrip(",")) for m in marks]
    begun = re.search(r"^\s*BEGIN\b", text, re.M | re.I) is not None
    inside, found = False, []
    for at, (start, old, new) in enumerate(edges):
        end = edges[at + 1][0] if at + 1 < len(edges) else len(text)
        first = text.count("\n", 0, start)
        revision = Revision(name, new, (old,) if at > 1 else ())
        for op in sql.read_sql(text[start:end]):
            word = op.facts.get("text", "").split(" ")[0]
            if word in ("begin", "commit", "rollback"):
                inside = word == "begin"
            elif op.table != "alembic_version":
                op.line += first
                op.autocommit = begun and not inside
                op.facts["sql"] = True
                revision.upgrade.append(op)
        if revision.upgrade or at:
            found.append(revision)
    return History(found)


# --- the report ---------------------------------------------------------------------


def reason_json(reason: Reason) -> dict[str, str]:
    rule = RULES[reason.rule]
    return {
        "rule": reason.rule,
        "verdict": rule.verdict,
        "why": reason.why,
        "instead": rule.instead,
        "page": f"references/{rule.page}.md",
    }


def revision_json(revision: Revision, findings: list[Finding]) -> dict[str, Any]:
    if revision.problem:
        op = Operation("file")
        findings = [Finding(op, [Reason("unread-file", revision.problem)])]
    return {
        "file": revision.path,
        "revision": revision.revision,
        "down_revision": list(revision.down),
        "verdict": worst(f.verdict for f in findings),
        "operations": [
            {
                "line": f.operation.line,
                "operation": str(f.operation),
                "databases": sorted(f.operation.databases & {"postgresql", "sqlite"}),
                "verdict": f.verdict,
                "reasons": [reason_json(reason) for reason in f.reasons],
            }
            for f in findings
        ],
    }


def print_text(report: dict[str, Any], out: TextIO) -> None:
    for revision in report["revisions"]:
        name = f" ({revision['revision']})" if revision["revision"] else ""
        print(f"{revision['file']}{name}: {revision['verdict']}", file=out)
        safe = 0
        for op in revision["operations"]:
            safe += op["verdict"] == "safe"
            if op["reasons"]:
                print(
                    f"  line {op['line']}  {op['verdict']}  {op['operation']}", file=out
                )
            for reason in op["reasons"]:
                print_reason(reason, op["verdict"], out)
        if safe:
            print(f"  {safe} safe", file=out)
    for fault in report["chain"]:
        print(
            f"{fault['file'] or 'the chain of revisions'}: {fault['verdict']}", file=out
        )
        print_reason(fault, fault["verdict"], out)


def print_reason(reason: dict[str, str], verdict: str, out: TextIO) -> None:
    kind = reason["verdict"]
    label = "note: " if kind == "safe" else "" if kind == verdict else f"{kind}: "
    print(f"    {label}{reason['why']} [{reason['rule']}]", file=out)
    print(f"      instead: {reason['instead']}", file=out)
    print(f"      read: {reason['page']}", file=out)


SUMMARY = {
    0: "nothing to stop for",
    1: "needs care: read the reasons before you run it",
    3: "stop: it destroys data. Show it to your user, run it only with their word",
    4: "stop: something cannot be judged. Read it before you run it",
}


def review(options: argparse.Namespace) -> dict[str, Any]:
    """Judge what was asked for, and return the report as it is printed with --json."""
    revisions: list[dict[str, Any]] = []
    chain: list[dict[str, str]] = []
    paths = [Path(name) for name in options.paths]
    if options.files_from is not None:
        names = read_text(options.files_from).splitlines()
        paths += [Path(n) for n in names if n.endswith(".py") and Path(n).exists()]
    elif not paths and options.sql is None:
        paths = [find_directory()]
    jobs = group(paths)
    for history, chosen, whole in jobs:
        fresh = {r.revision or r.path for r in chosen} if not whole else set()
        if options.since is not None:
            if not whole:
                raise UsageError(
                    "--since needs the versions directory, not single files"
                )
            chosen = after(history, options.since)
            fresh = {r.revision or r.path for r in chosen}
        results = history.judge(chosen, fresh, options.database, options.downgrade)
        revisions += [revision_json(r, results[id(r)]) for r in chosen]
        if whole:
            chain += [{"file": f, **reason_json(r)} for f, r in history.faults()]
    if options.sql is not None:
        history = read_script(options.sql, read_text(options.sql))
        fresh = {r.revision or r.path for r in history.revisions}
        results = history.judge(history.revisions, fresh, options.database, False)
        revisions += [revision_json(r, results[id(r)]) for r in history.revisions]
    verdict = worst(
        [*(r["verdict"] for r in revisions), *(c["verdict"] for c in chain)]
    )
    code = EXITS.get(verdict, 1)
    return {
        "verdict": verdict,
        "exit": code,
        "stop": code in (3, 4),
        "summary": SUMMARY[code],
        "revisions": revisions,
        "chain": chain,
    }


def read_text(name: str) -> str:
    if name == "-":
        return sys.stdin.buffer.read().decode("utf-8", "replace")
    try:
        return Path(name).read_bytes().decode("utf-8", "replace")
    except OSError as exc:
        raise UsageError(f"{name} cannot be read: {exc.strerror}") from None


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "paths", nargs="*", help="revision files or versions directories"
    )
    parser.add_argument("--since", metavar="REVISION", help="what the database is at")
    parser.add_argument(
        "--files-from", metavar="FILE", help="a list of files, - for stdin"
    )
    parser.add_argument("--sql", metavar="FILE", help="generated SQL, - for stdin")
    parser.add_argument(
        "--database", choices=["postgresql", "sqlite", "both"], default=""
    )
    parser.add_argument("--downgrade", action="store_true", help="judge downgrade()")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parser.parse_args(argv)
    if isinstance(sys.stdout, __import__("io").TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="replace", newline="\n")
    try:
        report = review(options)
    except UsageError as exc:
        print(f"review_migration.py: {exc}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        print_text(report, sys.stdout)
    print(report["summary"], file=sys.stderr)
    return int(report["exit"])


if __name__ == "__main__":
    sys.exit(main())
