"""What this skill holds that can be copied, and how it stands in a project."""

from __future__ import annotations

import ast
import difflib
import hashlib
import keyword
import re
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from .packages import canonical, imported

ROOT = Path(__file__).resolve().parents[2]
APP = "app"  # the package, as the starter's own files call it
COMMENT = {
    **dict.fromkeys([".py", ".ini", ".yaml", ".yml", ".toml", ".example"], "#"),
    ".mako": "##",
}
MARKER = r"[ \t]*#+ example: (?:begin|end)\n"
EXAMPLE = r"[ \t]*#+ example: begin\n(?:.*\n)*?[ \t]*#+ example: end\n"


class Refused(Exception):
    """Nothing was written; `code` is the exit code."""

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code


def incomplete(what: str) -> Refused:
    return Refused(
        f"the skill is incomplete: {what}; some installers drop files, so install it"
        " again with `npx skills@latest add`",
        code=3,
    )


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def release(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


def without(lines: str, text: str) -> str:
    """Return `text` less the lines that match; two gaps that meet become one."""
    gap = rf"(?<=\n\n)(?:{lines})\n"
    return re.sub(rf"^(?:{gap}|(?:{lines}))", "", text, flags=re.M)


@dataclass(frozen=True)
class Package:
    """The user's package: its directory in the project, and what imports call it."""

    directory: str = APP

    @classmethod
    def parse(cls, text: str, taken: Iterable[str]) -> Package:
        """Read `shop`, `shop.core`, `src/shop` or `src\\shop`."""
        parts = text.replace("\\", "/").rstrip("/").replace(".", "/").split("/")
        package = cls("/".join(parts))
        names = package.name.split(".")
        if not all(n.isidentifier() and not keyword.iskeyword(n) for n in names):
            raise Refused(
                f"--package {text}: expected a name that Python can import, like shop"
                " or src/shop"
            )
        if names[0] in {*sys.stdlib_module_names, *taken, "src"}:
            raise Refused(
                f"--package {text}: {names[0]} is the name of something else, which"
                " could not be imported any more: choose another"
            )
        return package

    @property
    def root(self) -> str:
        """The directory that must be on Python's path, relative to the project."""
        return "src" if self.directory.startswith("src/") else "."

    @property
    def name(self) -> str:
        return self.directory.removeprefix("src/").replace("/", ".")


@dataclass(frozen=True)
class Piece:
    """One file of the pack, as it is to stand in the project."""

    source: str  # its path in the pack
    path: str  # where it lands, relative to the project, with /
    text: str  # with \n line ends, without the stamp


class Pack:
    """The files that can be copied, and what they say of themselves."""

    def __init__(self) -> None:
        tree = ROOT / "snippets" / "starter"
        self.snippets = {
            file.stem: file.read_text(encoding="utf-8")
            for file in sorted((ROOT / "snippets").glob("*.py"))
        }
        self.starter = {
            file.relative_to(tree).as_posix(): file.read_text(encoding="utf-8")
            for file in sorted(tree.rglob("*"))
            if file.is_file() and file.suffix != ".pyc"
        }
        if not self.snippets:
            raise incomplete("snippets/ holds no snippet")
        try:
            text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        except FileNotFoundError:
            raise incomplete("pyproject.toml is missing") from None
        self.meta: dict[str, Any] = tomllib.loads(text)
        self.name: str = self.meta["project"]["name"]
        self.version: str = self.meta["project"]["version"]

    def select(self, names: list[str]) -> tuple[list[str], list[str]]:
        """Return the snippets and the paths in the starter that `names` mean."""
        files = {f"starter/{path}": path for path in self.starter}
        known = [*self.snippets, "starter", *files]
        for name in names:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=3)
                near = f": did you mean {' or '.join(close)}?" if close else ""
                raise Refused(
                    f"nothing is called {name}{near or ': run add.py to list'}"
                )
        if "starter" in names and not self.starter:
            raise incomplete("snippets/starter/ is empty")
        paths = [p for name, p in files.items() if {"starter", name} & set(names)]
        return [name for name in names if name in self.snippets], paths

    def closure(self, names: Iterable[str], paths: Iterable[str]) -> list[str]:
        """Return the snippets `names`, what the starter's `paths` import of them, and
        all that these import, each after what it needs."""
        ordered: list[str] = []
        seen: set[str] = set()

        def visit(name: str) -> None:
            if name not in seen:
                seen.add(name)
                for needed in self.needs(f"{APP}/db/{name}.py", self.snippets[name]):
                    visit(needed)
                ordered.append(name)

        for path in paths:
            for name in self.needs(path, self.starter[path]):
                visit(name)
        for name in names:
            visit(name)
        return ordered

    def needs(self, path: str, text: str) -> list[str]:
        """Return the snippets that a file imports, in any form, at any depth."""
        found: dict[str, None] = {}
        here = PurePosixPath(path).parent.parts
        for dotted in imported(text, here) if path.endswith(".py") else ():
            name = dotted.removeprefix(f"{APP}.db.").partition(".")[0]
            if (
                not dotted.startswith(f"{APP}.db.")
                or f"{APP}/db/{name}.py" in self.starter
            ):
                continue
            if name not in self.snippets:
                raise incomplete(f"{path} imports snippets/{name}.py, which is missing")
            found[name] = None
        return list(found)

    def summary(self, path: str, text: str) -> str:
        """Return the first line of the docstring, or of the comment on top."""
        if path.endswith(".py"):
            return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
        first = text.partition("\n")[0]
        return first.lstrip("# ") if first.startswith("#") else ""

    def is_example(self, path: str) -> bool:
        return "Example:" in self.summary(path, self.starter[path])

    def flat(self, name: str, folder: str) -> Piece:
        """Return a snippet as it stands in `folder`: its imports are relative."""
        path = PurePosixPath(folder, f"{name}.py").as_posix()
        return Piece(f"snippets/{name}.py", path, self.snippets[name])

    def laid_down(self, path: str, package: Package, *, bare: bool) -> Piece:
        """Return a file of the starter under the user's package name."""
        text = without(EXAMPLE if bare else MARKER, self.starter[path])
        text = text.rstrip("\n") + "\n"
        for pattern, new in (
            (rf"^([ \t]*(?:from|import) ){APP}(?=(?:\.\w+)+| import )", package.name),
            (rf"(\b){APP}(?=(?:\.\w+)+:\w)", package.name),  # uvicorn app.main:app
            (r"^(prepend_sys_path = )\.$", package.root),
        ):
            text = re.sub(pattern, rf"\g<1>{new}", text, flags=re.M)
        top, _, rest = path.partition("/")
        lands = f"{package.directory}/{rest}" if top == APP else path
        return Piece(f"snippets/starter/{path}", lands, text)

    def stamp(self, piece: Piece) -> str:
        """Return the first line of a copy, or "" where a comment cannot stand."""
        comment = COMMENT.get(PurePosixPath(piece.path).suffix)
        copy = f"From {self.name} {self.version}, {piece.source} sha256:"
        return f"{comment} {copy}{digest(piece.text)}" if comment else ""

    def is_older_than(self, version: str) -> bool:
        return release(self.version) < release(version)

    def taken(self) -> set[str]:
        """Return the top-level names that a user's package cannot have."""
        own = {PurePosixPath(path).parts[0] for path in self.starter} - {APP}
        return own | {canonical(r) for r in self.meta["project"]["dependencies"]}

    def changes(self, source: str, since: str) -> list[str]:
        """Return what CHANGELOG.md says of a file since a version, newest first."""
        try:
            text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
        except FileNotFoundError:
            raise incomplete("CHANGELOG.md is missing") from None
        name = source.removeprefix("snippets/").removesuffix(".py")
        found = []
        item = re.compile(r"^- ((?:`[^`\n]+`(?:, )?)+): (.*(?:\n +.*)*)", re.M)
        for section in re.split(r"^## ", text, flags=re.M)[1:]:
            version = section.split()[0]
            if release(version) > release(since):
                for names, said in item.findall(section):
                    about = re.findall(r"`(.+?)(?:\.py)?`", names)
                    if any(f"{name}/".startswith(f"{one}/") for one in about):
                        found.append(f"{version}: {' '.join(said.split())}")
        return found
