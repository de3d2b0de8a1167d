"""Say what database code a project has, before anybody changes it.

    survey.py               the project in this folder
    survey.py PATH          the project in PATH; of a monorepo, every project below it
    survey.py PATH --json   the same as data, and whole: the text shortens long lists

Nothing of the project is imported, run or written. Of a database URL it tells the
dialect, the driver, the line and the setting's name: never a user, a password, a
host or a value. Left out: symlinks, virtual environments, build output, packages,
installed skills, hidden folders (but .github and .devcontainer).

Exit codes:
  0  surveyed; what could not be read stands in `notes`
  2  wrong usage: PATH is not a folder, or Python is older than 3.11
  3  the skill is incomplete: an installer dropped some of its files

The JSON is one object: `root` (path), `style` ("none", "sync", "async", "both") and
the lists below. Each item is an object of three strings: `at` (a path from `root`,
with :line where there is one), `what` and `note`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scripts.adding.pack import ROOT, Pack, Refused, incomplete, release
    from scripts.adding.packages import canonical
    from scripts.surveying.project import LISTS, Place, Project
else:
    # The skill may be read-only, and `python -I` searches no script's directory.
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    try:
        from adding.pack import ROOT, Pack, Refused, incomplete, release
        from adding.packages import canonical
        from surveying.project import LISTS, Place, Project
    except ModuleNotFoundError as missing:
        if missing.name == "tomllib":
            print("survey.py: Python 3.11 or newer is needed", file=sys.stderr)
            sys.exit(2)
        folder = str(missing.name).replace(".", "/")
        print(
            f"survey.py: the skill is incomplete: scripts/{folder} is missing; install"
            " it again with `npx skills@latest add`",
            file=sys.stderr,
        )
        sys.exit(3)

SHOWN = 6  # items in one line of the text
# A page fits when one of these was found. A page that SKILL.md does not lead to is
# not offered.
PAGES = {
    "set-up": ("no-layer",),
    "adopt": ("own-layer", "second-base", "second-engine", "old-release"),
    "sync-to-async": ("sync-code", "sync-driver", "query-api", "flask-sqlalchemy"),
    "engine": ("import-engine", "second-engine", "pooler"),
    "session": ("commit-after-yield", "own-sessions"),
    "models": ("second-base", "models"),
    "pagination": ("offset",),
    "migrations": ("no-revisions", "create-all", "many-heads"),
    "live-schema": ("revisions",),
    "testing": ("sqlite-tests", "tests"),
}
IN_THE_WAY = {
    "second-base": "two metadatas: foreign keys and autogenerate see half; keep one",
    "second-engine": "two pools, unless it runs in a process of its own",
    "import-engine": "tests cannot replace it, no event loop owns it: make it at start",
    "sync-driver": "blocks the event loop: add asyncpg, drop this one last",
    "query-api": "AsyncSession has no query(): write select()",
    "flask-sqlalchemy": "its db is a sync engine, session and base of its own",
    "create-all": "makes tables that no revision knows: leave tables to Alembic",
    "commit-after-yield": "the response may leave before this commit: commit in the"
    ' route, or Depends(..., scope="function")',
    "many-heads": "`alembic upgrade head` refuses more than one: merge them",
    "sqlite-tests": "the app runs on PostgreSQL, these tests do not",
    "old-release": "older than this pack is proven on: upgrade first",
    "other-database": "this pack is proven on PostgreSQL and SQLite only",
}
# What of a list stays, unless it is in the way: a pattern for "what note", and why.
KEEP = (
    ("bases", "", "models inherit from it; copies import it, not a base of their own"),
    (
        "engines",
        "async",
        "copies use it; the engine of this pack would be a second one",
    ),
    ("sessions", "yields", "callers know its name: change its body"),
    ("settings", "[a-z]", "new settings go here, not into a second class"),
    ("alembic", r"env\.py", "it runs the migrations: change only what is in the way"),
    ("alembic", "history", "revisions that were applied are never edited"),
    ("tests", "conftest", "fixtures are added to it"),
)
RANKS = ("lock file", "tool table", "requirements", "pyproject.toml")
SYNC_DRIVERS = {"psycopg2", "psycopg2-binary", "pg8000"}
OUTSIDE = ("in tests", "in env.py", "in a revision")
OTHER = ("mysql", "mariadb", "oracle", "mssql", "cockroachdb")
ROW = re.compile(r"^\|.*", re.MULTILINE)
PAGE = re.compile(r"\(references/([\w-]+)\.md\)")


class Survey(Project):
    """What the files of a project mean together."""

    def judge(self, pages: set[str]) -> None:
        """Fill the lists that need all files; `pages` are those of the skill."""
        for folder, number in self.test_files.items():
            self.add("tests", folder, "tests", str(number))
        self.managers()
        self.bases_and_models()
        copied = {place.at for place in self.found["copies"]}
        self.found["databases"] = [  # a copy names each dialect that it supports
            place
            for place in self.found["databases"]
            if not (place.file.endswith(".py") and place.file in copied)
        ]
        findings = [*self.history(), *self.findings()]
        for place in findings:
            if place.what in IN_THE_WAY:
                self.add("in_the_way", place.at, place.what, IN_THE_WAY[place.what])
        blocked = {place.at for place in self.found["in_the_way"]}
        for key, pattern, why in KEEP:
            for place in self.own(key):
                words = f"{place.what} {place.note}"
                if place.at not in blocked and re.search(pattern, words):
                    self.add("keep", place.at, place.what, why)
        made = {place.what for place in findings}
        for page, reasons in PAGES.items():
            fit = [reason for reason in reasons if reason in made]
            if fit and page in pages:
                self.add("pages", f"references/{page}.md", page, ", ".join(fit))
        if len(self.found["projects"]) > 1:
            self.add(
                "notes", ".", "several projects: survey one alone to see what fits it"
            )

    def of(self, *kinds: str) -> list[tuple[Place, tuple[str, ...]]]:
        return [(place, refs) for kind, place, refs in self.rest if kind in kinds]

    def app(self, key: str) -> list[Place]:
        """Return what is neither in tests nor in Alembic's files."""
        return [p for p in self.found[key] if not p.note.endswith(OUTSIDE)]

    def own(self, key: str) -> list[Place]:
        """Return what of the app was not copied from this pack."""
        copies = {place.at for place in self.found["copies"]}
        return [place for place in self.app(key) if place.file not in copies]

    def project(self, place: Place) -> str:
        """Return the folder of the nearest pyproject.toml."""
        folders = (project.what for project in self.found["projects"])
        above = [f for f in folders if place.at.startswith(f"{f}/")]
        return max(above, default=".")

    def managers(self) -> None:
        """Leave only the best evidence: a lock file says more than a table.

        A member of a workspace has its lock file further up.
        """
        ranks = [
            (p, self.project(p), RANKS.index(p.note)) for p in self.found["managers"]
        ]
        self.found["managers"] = [
            place
            for place, project, rank in ranks
            if not any(
                better < rank
                and (other == project or (rank == 3 and is_above(other, project)))
                for _, other, better in ranks
            )
        ]

    def bases_and_models(self) -> None:
        """Tell models from other classes: their parents lead to a base."""
        first: dict[tuple[str, ...], Place] = {}
        for place in self.found["bases"]:
            each = "" if place.what == "SQLModel" else place.at
            first.setdefault((each, place.note, self.project(place)), place)
        self.found["bases"] = list(first.values())
        known = [*self.found["bases"], *self.found["models"]]
        mapped = {place.what.rpartition(".")[2] for place in known}
        classes = self.of("classes", "candidates")
        while new := {p.what for p, up in classes if mapped & {*up}} - mapped:
            mapped |= new
        for place, up in self.of("candidates"):
            if mapped & {*up}:
                self.add("models", place.at, place.what, place.note)

    def history(self) -> Iterator[Place]:
        """Count the revisions and heads of each env.py."""
        envs = {folder(p) for p in self.found["alembic"] if p.what == "env.py"}
        histories: dict[str, list[tuple[Place, tuple[str, ...]]]] = defaultdict(list)
        for place, refs in self.of("revisions"):
            above = [env for env in envs if place.at.startswith(f"{env}/")]
            home = max(above, default=folder(place))  # the nearest
            histories[home].append((place, refs))
        for home, revisions in histories.items():
            followed = {ref for _, refs in revisions for ref in refs}
            heads = [place for place, _ in revisions if place.what not in followed]
            note = f"revisions {len(revisions)}, heads {len(heads)}"
            self.add("alembic", home, "history", note)
            for head in heads:
                self.add("heads", head.at, head.what)
                if len(heads) > 1:
                    yield Place(head.at, "many-heads")

    def findings(self) -> Iterator[Place]:
        """Yield what to know: `what` is a name in `PAGES` or `IN_THE_WAY`."""
        for place, _ in self.of("habits"):
            yield place
        for key, what in ("bases", "second-base"), ("engines", "second-engine"):
            first: dict[str, Place] = {}
            own = self.own(key)
            for place in [*own, *(p for p in self.app(key) if p not in own)]:
                if first.setdefault(self.project(place), place) != place:
                    yield Place(place.at, what)
        depends = {ref for _, refs in self.of("depends") for ref in refs}
        for place, _ in self.of("commits"):
            if place.what in depends:
                yield Place(place.at, "commit-after-yield")

        asked = {(self.project(p), p.what) for p in self.found["ranges"]}
        for place in self.found["ranges"]:
            if (
                place.what in SYNC_DRIVERS
                and (self.project(place), "asyncpg") not in asked
            ):
                yield Place(place.at, "sync-driver")
        floors = self.floors()
        for key in "python", "ranges", "locked":
            for place in self.found[key]:
                if place.what in floors and is_old(key, place.note, floors[place.what]):
                    yield Place(place.at, "old-release")
        for place in self.found["databases"]:
            if place.what.startswith(OTHER):
                yield Place(place.at, "other-database")
        urls = self.found["databases"]
        tested = [place for place in urls if place.note.endswith("in tests")]
        served = {place.what.partition("+")[0] for place in self.app("databases")}
        on_sqlite = all(place.what.startswith("sqlite") for place in tested)
        if tested and on_sqlite and "postgresql" in served:
            yield Place(tested[0].at, "sqlite-tests")

        models, layer = self.app("models"), self.app("engines") + self.app("bases")
        revisions = self.of("revisions")
        for what, holds in {
            "no-layer": not (layer or models),
            "own-layer": self.own("engines") + self.own("bases"),
            "own-sessions": self.own("sessions"),
            "sync-code": self.style() in ("sync", "both"),
            "models": models,
            "revisions": revisions,
            "no-revisions": models and not revisions,
            "tests": self.found["tests"],
        }.items():
            if holds:
                yield Place(".", what)

    def style(self) -> str:
        notes = {p.note for p in self.app("engines") + self.app("sessions")}
        styles = sorted(notes & {"sync", "async"})
        return "both" if len(styles) == 2 else (styles or ["none"])[0]

    def floors(self) -> dict[str, tuple[int, ...]]:
        """Return the oldest releases that this pack is proven on."""
        meta = self.pack.meta
        wants = [f"python{meta['project']['requires-python']}"]
        wants += meta["project"]["dependencies"] + meta["dependency-groups"]["test"]
        pairs = (want.partition(">=") for want in wants if isinstance(want, str))
        return {
            canonical(name): release(spec.partition(";")[0]) for name, _, spec in pairs
        }


def folder(place: Place) -> str:
    return PurePosixPath(place.file).parent.as_posix()


def is_above(folder: str, other: str) -> bool:
    return folder == "." or other.startswith(f"{folder}/")


def is_old(key: str, spec: str, floor: tuple[int, ...]) -> bool:
    """Tell whether a range or a release shuts out what the pack is proven on."""
    if key == "python":
        return any(release(v) < floor for v in re.findall(r"\d+\.\d+", spec))
    pinned = f"=={spec}" if key == "locked" else spec
    bounds = re.findall(r"(==|\^|<=?)\s*(\d[\d.]*+)(?!\*)", pinned)
    return any(ends_below(how, version, floor) for how, version in bounds)


def ends_below(operator: str, version: str, floor: tuple[int, ...]) -> bool:
    found = release(version)
    # ^1.4 means 1.x, and ^0.110 means 0.110.x.
    size = len(floor) if operator != "^" else 2 if found[0] == 0 else 1
    return found[:size] < floor[:size]


def printable(text: str) -> str:
    """Return `text` without what a terminal would act on."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def told(root: str, style: str, found: dict[str, list[Place]]) -> Iterator[str]:
    """Yield the text: a line for each list, and one for each piece of advice."""
    yield from (f"root: {root}", f"style: {style}")
    for key, places in found.items():
        groups: dict[tuple[str, str], list[str]] = defaultdict(list)
        for place in places:
            if key != "databases" and place.note.endswith(
                ("in tests", "in a revision")
            ):
                continue
            if key in ("ranges", "locked", "models"):
                groups[place.file, ""].append(f"{place.what} {place.note}".strip())
            elif key == "copies":
                groups[place.note, ""].append(place.at)
            else:
                groups[place.what, place.note].append(place.at)
        if key in ("keep", "in_the_way", "pages", "notes"):
            yield from [f"{key}:"] if groups else []
            for (what, note), items in groups.items():
                words = f"  {what} {few([at for at in items if at != '.'])}".rstrip()
                yield f"{words}: {note}" if note else words
        elif groups:
            short = ", ".join if key in ("ranges", "locked") else few
            rows = [
                f"{what}{f' ({note})' if note else ''} {short(items)}"
                for (what, note), items in groups.items()
            ]
            yield f"{key}: {few(rows, '; ')}"


def few(items: list[str], between: str = ", ") -> str:
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return between.join(items[:SHOWN]) + more


def routes() -> set[str]:
    """Return the pages that SKILL.md leads to."""
    try:
        text = (ROOT / "SKILL.md").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise incomplete("SKILL.md is missing") from None
    return {page for row in ROW.findall(text) for page in PAGE.findall(row)}


def main() -> int:
    lists = "\n".join(f"  {key:<11} {meaning}" for key, meaning in LISTS.items())
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\n{lists}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", nargs="?", default=".", metavar="PATH")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    arguments = parser.parse_args()
    root = Path(os.path.realpath(arguments.path))
    if not root.is_dir():
        parser.error(
            f"{arguments.path} is not a folder: give the folder of the project"
        )
    try:
        survey = Survey(root, Pack())
        survey.walk()
        survey.judge(routes())
    except Refused as error:
        print(f"survey.py: {error}", file=sys.stderr)
        return error.code
    style = survey.style()
    if arguments.json:
        lists_ = {key: [asdict(p) for p in survey.found[key]] for key in LISTS}
        text = json.dumps({"root": str(root), "style": style, **lists_}, indent=2)
    else:
        text = "\n".join(map(printable, told(str(root), style, survey.found)))
    # Not print(): a Windows pipe is not UTF-8.
    sys.stdout.buffer.write(f"{text}\n".encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
