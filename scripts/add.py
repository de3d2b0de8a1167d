"""Copy proven code into a project: snippets, single files, or the whole starter.

    add.py                          list what there is
    add.py engine session           copy snippets, and what they import
    add.py starter                  lay down a whole project around the package app/
    add.py starter --package src/shop --bare      another package, no example
    add.py starter/alembic.ini      one file of the starter, and the snippets it needs
    add.py --update                 bring every copy to the present version
    add.py --agents-block           point the project's AGENTS.md at the pages

Run it in the project, or say --project. Snippets go where earlier copies are, else to
app/db. A file that is there is never overwritten: when it differs, the difference is
printed, the exit code is 1, and the merge is yours; Windows line ends are no
difference. Each copy begins with a stamp, the version and a hash of the text, by which
--update knows the copies that nobody changed and replaces them; for a changed one it
prints the difference and what the changelog says since that version.

pyproject.toml is made where there is none. One that is there is never edited: the
lines that it lacks are printed. --agents-block writes AGENTS.md (CLAUDE.md if only
that exists, or FILE.md) and replaces only what stands between its own two markers.

stdout has the answer, with --json as one object: `files` (status, path, source, note,
diff, changelog), `install` (commands by installer), `paste` (text by file), `next`;
or `error`. stderr has the talk. --dry-run has the same answer and exit code.

Exit codes:
  0  done, or everything is there already
  1  something differs: it was not touched, everything else is done
  2  wrong usage, or refused and nothing was written: an unknown name, a path or a
     symlink that leads out of the project, a target that is no file or not UTF-8
  3  the skill is incomplete: an installer dropped some of its files
"""

from __future__ import annotations

import argparse
import difflib
import fnmatch
import io
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scripts.adding import agents_block
    from scripts.adding.pack import Pack, Package, Piece, Refused, incomplete
    from scripts.adding.packages import Packages, Unreadable
    from scripts.adding.project import Copy, Project
else:
    # The skill may be read-only, and `python -I` searches no script's directory.
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    try:
        from adding import agents_block
        from adding.pack import Pack, Package, Piece, Refused, incomplete
        from adding.packages import Packages, Unreadable
        from adding.project import Copy, Project
    except ModuleNotFoundError as missing:
        if missing.name == "tomllib":
            print("add.py: Python 3.11 or newer is needed", file=sys.stderr)
            sys.exit(2)
        print(
            f"add.py: the skill is incomplete: no {missing.name}; some installers drop"
            " files, so install it again with `npx skills@latest add`",
            file=sys.stderr,
        )
        sys.exit(3)


@dataclass
class Change:
    """What happens to one file of the project."""

    status: str  # added, same, differs, updated or kept
    path: str
    source: str
    note: str = ""
    diff: str = ""
    changelog: list[str] = field(default_factory=list)
    content: bytes | None = None  # what is to be written, if anything is


def compare(pack: Pack, project: Project, piece: Piece, *, renew: bool) -> Change:
    """Say what `piece` is to the file in its place; `renew` one that nobody changed."""
    change = Change("same", piece.path, piece.source)
    stamp = pack.stamp(piece)
    ours = f"{stamp}\n{piece.text}" if stamp else piece.text
    theirs = project.copy(piece.path)
    if theirs is None:
        return replace(change, status="added", content=ours.encode())
    if theirs.text == piece.text:
        return change
    if theirs.stamp:
        change.changelog = pack.changes(piece.source, theirs.version)
    newer = pack.is_older_than(theirs.version)
    if renew and theirs.untouched and not newer:
        note = f"{theirs.version} -> {pack.version}"
        return replace(change, status="updated", note=note, content=theirs.encode(ours))
    if newer:
        change.note = f"copied from {theirs.version}, which is newer: update the skill"
    elif theirs.untouched:
        change.note = "nobody changed this copy: --update replaces it"
    diff = difflib.unified_diff(
        theirs.text.splitlines(),
        piece.text.splitlines(),
        f"{piece.path} ({theirs.stamp.lstrip('# ') or 'no stamp'})",
        f"{piece.source} ({stamp.lstrip('# ') or pack.version})",
        lineterm="",
    )
    return replace(change, status="differs", diff="\n".join(diff))


def add(pack: Pack, project: Project, args: argparse.Namespace) -> dict[str, Any]:
    """Copy what `args.names` mean, and say what the project needs for it."""
    flat, paths = pack.select(args.names)
    whole = "starter" in args.names
    if whole and args.bare:
        paths = [path for path in paths if not pack.is_example(path)]
    if paths and args.into is not None:
        raise Refused("the starter imports PACKAGE.db: say --package, not --into")
    copies = project.copies(pack)
    package, folder = Package(), folder_of(project, copies, args)
    if paths or folder is None:
        package = package_of(pack, copies, args.package)
        folder = f"{package.directory}/db"
    pieces = [pack.laid_down(path, package, bare=args.bare) for path in paths]
    pieces += [pack.flat(name, folder) for name in pack.closure(flat, paths)]
    changes = [compare(pack, project, piece, renew=False) for piece in pieces]
    changes += markers(project, folder, package.directory if whole else None)
    needed = Packages(
        pack.meta,
        {piece.path: piece.text for piece in pieces},
        also=["uvicorn"] if whole else [],  # the last step starts it
    )
    answer = {
        "files": changes,
        "install": needed.install(project.path, whole=whole),
        "paste": needed.missing(project.path, package.root if whole else None),
    }
    if whole:
        made = needed.pyproject(project.path, package.root)
        if made and project.raw("pyproject.toml") is None:
            changes.append(Change("added", "pyproject.toml", "", content=made.encode()))
        answer["next"] = steps(project, package, bare=args.bare)
    return answer


def markers(project: Project, folder: str, package: str | None) -> list[Change]:
    """Return the `__init__.py` that tools want: type checkers and packagers refuse a
    package of which one part is regular and another a namespace."""
    inside = (
        package is not None or project.raw(f"{parent(folder)}/__init__.py") is not None
    )
    levels = package.removeprefix("src/").count("/") + 1 if package else 0
    above = [str(p) for p in PurePosixPath(folder).parents][:levels]
    places = [*reversed(above), *([folder] if inside else [])]
    missing = [place for place in places if project.raw(f"{place}/__init__.py") is None]
    return [Change("added", f"{p}/__init__.py", "", content=b"") for p in missing]


def parent(folder: str) -> str:
    return PurePosixPath(folder).parent.as_posix()


def package_of(pack: Pack, copies: dict[str, Copy], given: str | None) -> Package:
    """Return the user's package: as given, else that of earlier copies, else app."""
    if given is not None:
        return Package.parse(given, pack.taken())
    found = set()
    for path, copy in copies.items():
        inner = copy.source.removeprefix("snippets/starter/app/")
        if copy.source.count("/") == 1:
            inner = f"db/{PurePosixPath(path).name}"
        if path.endswith(f"/{inner}") and not copy.home:
            found.add(path.removesuffix(f"/{inner}"))
    if len(found) > 1:
        raise Refused(
            f"copies are in the packages {' and '.join(sorted(found))}:"
            " say --package, or --project for one of them"
        )
    return Package(*found)


def folder_of(
    project: Project, copies: dict[str, Copy], args: argparse.Namespace
) -> str | None:
    """Return where snippets go, or None for the place in the package."""
    if args.into is not None:
        real = Path(os.path.realpath(project.path / args.into))
        if not real.is_relative_to(project.path):
            raise Refused(f"--into {args.into} leads out of the project {project.path}")
        if real == project.path or not real.name.isidentifier():
            raise Refused(
                f"--into {args.into}: snippets import each other as one package:"
                " expected a directory that Python can import, like app/db"
            )
        return real.relative_to(project.path).as_posix()
    flat = {
        PurePosixPath(path).parent.as_posix()
        for path, copy in copies.items()
        if copy.source.count("/") == 1 and not copy.home
    }
    if args.package or "starter" in args.names or not flat:
        return None
    if len(flat) > 1:
        raise Refused(f"copies are in {' and '.join(sorted(flat))}: say --into")
    return flat.pop()


def steps(project: Project, package: Package, *, bare: bool) -> list[str]:
    """Return what is left to do once the packages are installed."""
    ignored = project.copy(".gitignore")
    patterns = ignored.text.split() if ignored else []
    private = [
        pattern
        for pattern, name in ((".env", ".env"), ("*.db*", "app.db-wal"))
        if not any(fnmatch.fnmatchcase(name, p.lstrip("/")) for p in patterns)
    ]
    todo = [f"add to .gitignore: {' '.join(private)}"] if private else []
    if not (project.path / ".env").exists():
        todo.append("cp .env.example .env")
    if bare:
        todo.append(f"write your models in {package.directory}/models.py")
        todo.append('alembic revision --autogenerate -m "first models"')
    server = f"uvicorn {package.name}.main:app"
    if package.root != ".":
        server += f" --app-dir {package.root}"
    return [*todo, "alembic upgrade head", server, "pytest"]


def update(pack: Pack, project: Project, args: argparse.Namespace) -> dict[str, Any]:
    """Bring the copies of `args.names`, or all, to the present version."""
    if args.into:
        raise Refused("--update finds the copies by their stamps: leave out --into")
    copies = all_copies = project.copies(pack)
    if args.names:
        flat, paths = pack.select(args.names)
        wanted = {f"snippets/{name}.py" for name in pack.closure(flat, paths)}
        wanted |= {f"snippets/starter/{path}" for path in paths}
        copies = {path: c for path, c in copies.items() if c.source in wanted}
        if not copies:
            raise Refused(
                f"{project.path} has no copy of {' or '.join(args.names)}:"
                " leave out --update to add one"
            )
    changes: dict[str, Change] = {}
    for path, copy in copies.items():
        inner = copy.source.removeprefix("snippets/")
        if inner.removesuffix(".py") in pack.snippets:
            name, folder = inner.removesuffix(".py"), str(PurePosixPath(path).parent)
            piece, needs = pack.flat(name, folder), pack.closure([name], [])
        elif copy.home:
            note = f"of a project of its own: say --project {copy.home}"
            changes[path] = Change("kept", path, copy.source, note)
            continue
        elif inner.removeprefix("starter/") in pack.starter:
            package = package_of(pack, all_copies, args.package)
            inner, folder = inner.removeprefix("starter/"), f"{package.directory}/db"
            # With or without the example: whichever is more like the copy.
            pieces = (
                pack.laid_down(inner, package, bare=bare) for bare in (False, True)
            )
            piece = max(pieces, key=lambda piece: likeness(piece.text, copy.text))
            needs = pack.closure([], [inner])
        else:
            changes[path] = Change("kept", path, copy.source, "no longer in the skill")
            changes[path].changelog = pack.changes(copy.source, copy.version)
            continue
        # Where a copy was moved or renamed, its package may have changed as well.
        stays = piece.path == path
        change = compare(pack, project, replace(piece, path=path), renew=stays)
        if change.status == "differs" and not stays:
            change.note = "moved or renamed: merge by hand"
        changes[path] = change
        if change.status == "updated":
            for new in (pack.flat(name, folder) for name in needs):
                if new.path not in changes and project.raw(new.path) is None:
                    changes[new.path] = compare(pack, project, new, renew=False)
    written = {
        change.path: change.content.decode("utf-8-sig")
        for change in changes.values()
        if change.content
    }
    install = Packages(pack.meta, written).install(project.path)
    return {"files": list(changes.values()), "install": install}


def likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(
        None, one.splitlines(), other.splitlines(), autojunk=False
    ).ratio()


def point(project: Project, args: argparse.Namespace) -> Change:
    """Put the block that leads to the pages into AGENTS.md, CLAUDE.md or FILE.md."""
    alone = (project.path / "CLAUDE.md").exists()
    alone = alone and not (project.path / "AGENTS.md").exists()
    name = args.agents_block or ("CLAUDE.md" if alone else "AGENTS.md")
    if not name.endswith(".md"):
        raise Refused(
            f"--agents-block {name}: expected a Markdown file, like AGENTS.md"
        )
    try:
        block = agents_block.block(Path(args.project))
    except (FileNotFoundError, ValueError) as error:
        raise incomplete(str(error)) from None
    old = project.raw(name)
    try:
        new = agents_block.put(old or "", block)
    except ValueError as error:
        raise Refused(f"{name}: {error}") from None
    if new == old:
        return Change("same", name, "SKILL.md")
    status = "added" if old is None else "updated"
    return Change(status, name, "SKILL.md", content=new.encode())


def catalogue(pack: Pack) -> dict[str, Any]:
    return {
        "name": pack.name,
        "version": pack.version,
        "snippets": {
            name: pack.summary(f"{name}.py", text)
            for name, text in pack.snippets.items()
        },
        "starter": {
            f"starter/{path}": pack.summary(path, text)
            for path, text in pack.starter.items()
        },
    }


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Do what `args` ask for, and return the answer."""
    pack = Pack()
    if not args.names and not args.update and args.agents_block is None:
        return catalogue(pack)
    project = Project(args.project)
    answer: dict[str, Any] = {"project": str(project.path), "dry_run": args.dry_run}
    answer["files"] = []
    if args.update:
        answer |= update(pack, project, args)
    elif args.names:
        answer |= add(pack, project, args)
    if args.agents_block is not None:
        answer["files"].append(point(project, args))
    for change in answer["files"]:
        if change.content is not None and not args.dry_run:
            project.write(change.path, change.content)
    answer["files"] = [asdict(change) for change in answer["files"]]
    return answer


def told(answer: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of an answer, for people and agents to read."""
    for title in ("snippets", "starter"):
        for name, summary in answer.get(title, {}).items():
            yield f"{name}: {summary}" if summary else name
    for change in answer.get("files", []):
        would = (
            "would be " if answer["dry_run"] and change["content"] is not None else ""
        )
        note = f" ({change['note']})" if change["note"] else ""
        yield f"{would}{change['status']} {change['path']}{note}"
        yield from (f"  {entry}" for entry in change["changelog"])
        yield from filter(None, [change["diff"]])
    for installer, commands in answer.get("install", {}).items():
        yield from [f"\ninstall with {installer}:"] if commands else []
        yield from (f"  {command}" for command in commands)
    for file, text in answer.get("paste", {}).items():
        yield f"\n{file} is yours and stays as it is; it lacks these lines or values:"
        yield text.rstrip()
    if answer.get("next"):
        yield "\nthen (uv: `uv run ...`, Poetry: `poetry run ...`):"
        yield from (f"  {step}" for step in answer["next"])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    option = parser.add_argument
    option("names", nargs="*", metavar="NAME", help="a snippet, starter, starter/FILE")
    option("--project", default=".", metavar="DIR", help="the project (default: here)")
    option("--into", metavar="DIR", help="package directory for snippets, like app/db")
    option("--package", metavar="NAME", help="your package, like shop or src/shop")
    option("--bare", action="store_true", help="the starter without its example")
    option("--update", action="store_true", help="renew the copies of NAMEs, or all")
    option("--agents-block", nargs="?", const="", metavar="FILE.md", help="see above")
    option(
        "--dry-run", action="store_true", help="say what would happen, write nothing"
    )
    option("--json", action="store_true", help="one JSON object on stdout")
    args = parser.parse_args()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a Windows pipe is not UTF-8
            stream.reconfigure(encoding="utf-8")
    try:
        answer = run(args)
        differs = any(c["status"] == "differs" for c in answer.get("files", []))
        code = int(differs)
    except (Refused, Unreadable, OSError) as error:
        print(f"add.py: {error}", file=sys.stderr)
        answer, code = {"error": str(error)}, getattr(error, "code", 2)
    if args.json:
        for change in answer.get("files", []):
            del change["content"]
        print(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        for line in told(answer):
            print(line)
    return code


if __name__ == "__main__":
    sys.exit(main())
