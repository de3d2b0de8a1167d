"""A project's files: each that can matter is read once, within bounds, and noted.

Nothing of the project is imported, run or written.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import packages, source
from .source import Found, Unreadable

if TYPE_CHECKING:
    from scripts.adding.pack import Pack, digest
    from scripts.adding.project import Copy
else:
    from adding.pack import Pack, digest
    from adding.project import Copy

FILES = 20_000
SIZE = 1_000_000  # bytes read of a file; of a lock file twenty times that

LISTS = {
    "projects": "each pyproject.toml; what: its folder",
    "managers": "what: uv, Poetry, PDM, pip-tools, pip; note: what tells",
    "python": "note: the versions asked for",
    "ranges": "what: a package that matters here; note: the range asked for",
    "locked": "what: such a package; note: the release in a lock file",
    "engines": "note: sync or async, and whether in tests, env.py or a revision",
    "sessions": "factories (note as above), functions that yield a session",
    "bases": "declarative bases; SQLModel stands at its first table",
    "models": "what: a mapped class",
    "alembic": "configuration, env.py, history (note: how many revisions and heads)",
    "heads": "what: a revision that no other one follows",
    "settings": "settings classes, names of settings with a database URL",
    "apps": "FastAPI, Flask, Starlette, Litestar",
    "tests": "conftest.py, folders of tests (note: files), asyncio_mode",
    "databases": "what: dialect+driver of a URL, or a server's image",
    "copies": "what: a file of this pack; note: version, (un)changed, outdated",
    "keep": "note: why it stays",
    "in_the_way": "note: what is wrong and what to do",
    "pages": "at: a page of this skill that fits; note: the findings it is for",
    "notes": "what was not read",
}
SKIP = {"node_modules", "site-packages", "__pycache__", "build", "dist"}
SKIP_MARKS = ("pyvenv.cfg", "conda-meta", "SKILL.md")
TESTS = re.compile(r"(^|/)(tests?/|test_[^/]*$|[^/]*_test\.py$|conftest\.py$)")
SETTINGS = re.compile(
    r"(^|[./])env(rc|\.[^/]*)?$|\.ini$|compose[^/]*\.ya?ml$|workflows/[^/]*\.ya?ml$"
)
LOCKS = {"uv.lock": "uv", "poetry.lock": "Poetry", "pdm.lock": "PDM"}


@dataclass(frozen=True)
class Place:
    """One thing that was found: where, what, and a word about it."""

    at: str
    what: str
    note: str = ""

    @property
    def file(self) -> str:
        return re.sub(r":\d+$", "", self.at)


class Project:
    """What was found under `root`, in `found` by the names of `LISTS`."""

    def __init__(self, root: Path, pack: Pack) -> None:
        self.root, self.pack = root, pack
        self.found: dict[str, list[Place]] = {key: [] for key in LISTS}
        # What means something only beside the rest: classes, revisions, habits, ...
        self.rest: list[tuple[str, Place, tuple[str, ...]]] = []
        self.test_files: Counter[str] = Counter()
        self.seen: set[object] = set()

    def add(self, key: str, at: str, what: str, note: str = "") -> None:
        place = Place(at, what, note)
        if (key, place) not in self.seen:
            self.seen.add((key, place))
            self.found[key].append(place)

    def at(self, path: Path, line: int = 0) -> str:
        shown = path.relative_to(self.root).as_posix()
        return f"{shown}:{line}" if line else shown

    def walk(self) -> None:
        left = FILES
        for folder, folders, names in os.walk(self.root, onerror=self.closed):
            folders[:] = sorted(name for name in folders if enters(folder, name))
            for name in sorted(names):
                path = Path(folder, name)
                # A symlink may lead out of the project, and a pipe never ends.
                if os.path.isfile(path) and not os.path.islink(path):
                    left -= self.visit(path)
                if not left:
                    self.add("notes", ".", f"stopped at {FILES} files: survey a part")
                    return

    def closed(self, error: OSError) -> None:
        self.add("notes", self.at(Path(error.filename)), "cannot be read")

    def visit(self, path: Path) -> bool:
        """Read `path` if it can matter; return whether it was read."""
        name, suffix, where = path.name, path.suffix, self.at(path)
        if name in LOCKS or re.fullmatch(r"pylock(\.[\w-]+)?\.toml", name):
            text = self.read(path, 20 * SIZE)
            self.take(path, packages.lock(text, LOCKS.get(name, "pylock.toml")))
        elif suffix in (".txt", ".in") and "requirements" in where:
            self.requirements(path)
        elif name == ".python-version":
            version = self.read(path).partition("\n")[0]
            self.take(path, packages.requirement(1, f"python {version}"))
        elif suffix == ".py":
            self.python(path, self.read(path))
        elif name in ("pyproject.toml", "setup.cfg"):
            text = self.read(path)
            if suffix == ".toml":
                self.add("projects", where, self.at(path.parent))
            parse = packages.pyproject if suffix == ".toml" else packages.setup_cfg
            self.take(path, parse(text))
            self.take(path, source.in_settings(text))
        elif SETTINGS.search(where):
            self.take(path, source.in_settings(self.read(path)))
        elif suffix == ".mako":
            self.read(path)
        else:
            return False
        return True

    def read(self, path: Path, size: int = SIZE) -> str:
        """Return the text of `path`, or what can be had of it; note copies."""
        try:
            with path.open("rb") as file:
                data = file.read(size + 1)
        except OSError:
            self.add("notes", self.at(path), "cannot be read")
            return ""
        if len(data) > size:
            self.add("notes", self.at(path), f"only its first {size} bytes were read")
        # PowerShell's `>` writes UTF-16.
        wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        raw = data[:size].decode("utf-16" if wide else "utf-8", errors="replace")
        copy = Copy.parse(raw)
        if copy.stamp.lstrip("# ").startswith(f"From {self.pack.name} "):
            name = copy.source.removeprefix("snippets/")
            changed = "unchanged" if copy.untouched else "changed"
            note = f"{copy.version}, {changed}{self.age(copy, name)}"
            self.add("copies", self.at(path), name, note)
        return copy.text if not copy.stamp else f"{copy.stamp}\n{copy.text}"

    def age(self, copy: Copy, name: str) -> str:
        """Say whether the pack has a newer text than the copy was made from."""
        if name.removeprefix("starter/") in self.pack.starter:
            # Its hash depends on the package's name: the version must do.
            return "" if copy.version == self.pack.version else ", outdated"
        ours = self.pack.snippets.get(name.removesuffix(".py"))
        if ours is None:
            return ", no longer in the pack"
        return "" if digest(ours) == copy.hash else ", outdated"

    def requirements(self, path: Path) -> None:
        """Read pip's format, and what it includes of the project, each file once."""
        if path in self.seen:
            return
        self.seen.add(path)
        for found in packages.requirements(self.read(path), path.suffix):
            if found.kind != "includes":
                self.take(path, [found])
                continue
            target = Path(os.path.realpath(path.parent / found.what))
            if target.is_relative_to(self.root) and os.path.isfile(target):
                self.requirements(target)
            else:  # not shown: it may be a URL with a token in it
                at = self.at(path, found.line)
                self.add("notes", at, "includes what is missing or outside")

    def python(self, path: Path, text: str) -> None:
        where = self.at(path)
        label = "in tests" if TESTS.search(where) else ""
        if path.name == "conftest.py":
            self.add("tests", where, path.name)
        elif label:
            top = re.match(r"(.*?(?:^|/)tests?)/", where)
            self.test_files[top[1] if top else self.at(path.parent)] += 1
        elif re.search(r"^down_revision\b", text, re.MULTILINE):
            label = "in a revision"
        elif path.name == "env.py" and (
            "alembic" in text or path.with_name("script.py.mako").is_file()
        ):
            label = "in env.py"
            self.add("alembic", where, path.name)
        self.take(path, source.in_python(text), label)

    def take(self, path: Path, found: Iterable[Found], label: str = "") -> None:
        try:
            for kind, line, what, note, refs in found:
                at, note = self.at(path, line), ", ".join(filter(None, [note, label]))
                if kind in LISTS:
                    self.add(kind, at, what, note)
                elif not label or kind not in ("habits", "depends", "commits"):
                    self.rest.append((kind, Place(at, what, note), refs))
        except Unreadable as error:
            self.add("notes", self.at(path), str(error))


def enters(parent: str, name: str) -> bool:
    """Tell whether a folder holds the project's own code."""
    if name.startswith(".") and name not in (".github", ".devcontainer"):
        return False
    marks = (os.path.join(parent, name, mark) for mark in SKIP_MARKS)
    skipped = name in SKIP or name.endswith(".egg-info")
    return not skipped and not any(map(os.path.exists, marks))
