"""Which packages copied files need, and how uv, pip and Poetry install them.

What a file imports says what it needs, and the skill's pyproject.toml the range that
is proven; a driver may be named in a URL only, as in "sqlite+aiosqlite". What the
project declares already is left out of the uv and Poetry lines: its pins stay.
"""

from __future__ import annotations

import ast
import configparser
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

# Where pytest looks for its options, in its order: the first that has them counts.
# https://docs.pytest.org/en/stable/reference/customize.html#configuration-file-formats
PYTEST_OPTIONS = [
    ("pytest.toml", "pytest"),
    ("pytest.ini", "pytest"),
    (".pytest.ini", "pytest"),
    ("pyproject.toml", "tool.pytest.ini_options"),
    ("tox.ini", "pytest"),
    ("setup.cfg", "tool:pytest"),
]
# A project with one of these, and no pyproject.toml, declares its packages there.
DECLARED_ELSEWHERE = ["requirements.txt", "setup.py", "setup.cfg", "Pipfile"]


class Unreadable(ValueError):
    """A file cannot be read; the message says which, and what to do."""


class Packages:
    """What some files need, in the ranges that this skill is proven with."""

    def __init__(
        self,
        meta: Mapping[str, Any],
        files: Mapping[str, str],
        also: Iterable[str] = (),
    ) -> None:
        """Look through `files` (path: text); `meta` is the skill's pyproject.toml."""
        names = set(also)
        for path, text in files.items():
            if path.endswith(".py"):
                names |= named_in(text)
            if re.search(r"(?:^|/)(?:test_\w+|conftest)\.py$", path):
                # A test of this skill is a coroutine, with or without the import.
                names |= {"pytest", "pytest-asyncio"}
        self.meta = meta
        self.runtime = [
            r for r in meta["project"]["dependencies"] if canonical(r) in names
        ]
        self.test = [
            r for r in meta["dependency-groups"]["test"] if canonical(r) in names
        ]

    def install(self, project: Path, *, whole: bool = False) -> dict[str, list[str]]:
        """Return the commands for each installer that the project still needs.

        `whole`: for all of a project that `pyproject` describes.
        """
        declared = declarations(project)
        runtime, test = lacking(self.runtime, declared), lacking(self.test, declared)
        pip = "python -m pip install"
        elsewhere = declares_elsewhere(project)
        described = not (runtime or test) or not (project / "pyproject.toml").exists()
        if whole and described and not elsewhere:
            return {
                "uv": ["uv sync"],
                "pip": lines((pip, self.runtime), (pip, self.test)),
                "poetry": ["poetry install --no-root"],
            }
        commands = {"pip": lines((pip, runtime), (pip, test))}
        if elsewhere:
            return {"uv": lines(("uv pip install", runtime + test)), **commands}
        ranged = lacking(self.runtime, declared, ranges=True)
        return {
            "uv": lines(("uv add", runtime), ("uv add --dev", test)),
            **commands,
            "poetry": lines(("poetry add", ranged), ("poetry add --group dev", test)),
        }

    def pyproject(self, project: Path, root: str) -> str:
        """Return a pyproject.toml for `project`, whose packages lie in `root`.

        It is empty when the project has other files for all that would be in it.
        """
        tables = []
        if not declares_elsewhere(project):
            name = re.sub(r"[^a-z0-9]+", "-", project.name.lower()).strip("-")
            if canonical(name) in map(canonical, ["", *self.runtime, *self.test]):
                name = f"{name}-project".strip("-")  # nothing can depend on itself
            described = {
                "name": name,
                "version": "0.1.0",
                "requires-python": self.meta["project"]["requires-python"],
                "dependencies": self.runtime,
            }
            tables.append(toml("project", described))
            tables.append(toml("dependency-groups", {"dev": self.test}))
            tables.append(toml("tool.uv", {"package": False}))
        if pytest_home(project)[0] == "pyproject.toml":
            tables.append(toml("tool.pytest.ini_options", self.pytest_options(root)))
        return "\n".join(tables)

    def pytest_options(self, root: str) -> dict[str, Any]:
        mine = self.meta["tool"]["pytest"]["ini_options"]
        shared = {k: v for k, v in mine.items() if k.startswith("asyncio_")}
        return {**shared, "pythonpath": [root], "testpaths": ["tests"]}

    def missing(self, project: Path, root: str | None) -> dict[str, str]:
        """Return the lines that the project's own files lack, by file name.

        `root`: where the packages lie, when there is to be a whole project.
        """
        found: dict[str, str] = {}
        needed = lacking(self.runtime + self.test, declarations(project))
        if needed and declares_elsewhere(project) == "requirements.txt":
            found["requirements.txt"] = "".join(f"{line}\n" for line in needed)
        if root is None:
            return found
        file, section, have = pytest_home(project)
        wanted = {}
        for key, value in self.pytest_options(root).items():
            if isinstance(value, list):
                there = have.get(key, [])
                there = there.split() if isinstance(there, str) else there
                value = there + [item for item in value if item not in there]
                if value != there:
                    wanted[key] = value
            elif have.get(key) != value:
                wanted[key] = value
        if wanted and (project / file).exists():
            text = (toml if file.endswith("toml") else ini)(section, wanted)
            found[file] = text.partition("\n")[2] if have else text
        return found


def named_in(text: str) -> set[str]:
    """Return the distributions that a Python file imports, or names in a URL."""
    tree = ast.parse(text)
    names = {name.partition(".")[0] for name in imported(text, ("",))}
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in prose:
            names.update(re.findall(r"\w\+(\w+)", str(node.value)))
    return set(map(canonical, names))


def imported(text: str, package: tuple[str, ...]) -> Iterator[str]:
    """Yield the dotted name of each module and name that `text` imports.

    `package` is where the file lies: relative imports start there.
    """
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def canonical(requirement: str) -> str:
    """Return the name in `requirement` in the form that PyPI compares."""
    found = re.match(r"\s*([A-Za-z0-9._-]+)", requirement)
    return re.sub(r"[._-]+", "-", found[1]).lower() if found else ""


def lacking(
    needed: Iterable[str], declared: Mapping[str, list[str]], *, ranges: bool = False
) -> list[str]:
    """Return what the project does not declare.

    Where it does, but without the extra, only that is asked for, and `ranges` says
    the project's own range again: Poetry would replace it, uv and pip do not.
    """
    found = []
    for requirement in needed:
        there = declared.get(canonical(requirement), [])
        named = re.match(r"[\w.-]+\[(\w+)\]", requirement)
        if not there:
            found.append(requirement)
        elif named and not any(named[1] in one for one in there):
            own = re.sub(r"^\s*[\w.-]+(\[.*?\])?", "", there[0])
            found.append(named[0] + own if ranges else named[0])
    return found


def declarations(project: Path) -> dict[str, list[str]]:
    """Return what pyproject.toml and requirements*.txt declare, by name."""
    meta = read_toml(project / "pyproject.toml")
    listed: list[Any] = list(meta.get("project", {}).get("dependencies", []))
    for group in meta.get("project", {}).get("optional-dependencies", {}).values():
        listed += group
    for group in meta.get("dependency-groups", {}).values():
        listed += group
    poetry = meta.get("tool", {}).get("poetry", {})
    tables = [poetry.get("dependencies", {}), poetry.get("dev-dependencies", {})]
    tables += [g.get("dependencies", {}) for g in poetry.get("group", {}).values()]
    for name, value in (item for table in tables for item in table.items()):
        its = value if isinstance(value, dict) else {"version": value}
        extras = f"[{','.join(its['extras'])}]" if its.get("extras") else ""
        version = its.get("version", "*")
        listed.append(f"{name}{extras}" + (f"@{version}" if version != "*" else ""))
    for path in sorted(project.glob("requirements*.txt")):
        listed += read(path).splitlines()
    found: dict[str, list[str]] = {}
    for item in listed:
        if isinstance(item, str):  # a group may also include another group
            found.setdefault(canonical(item), []).append(item)
    return found


def declares_elsewhere(project: Path) -> str:
    """Return the file other than pyproject.toml that lists the packages, or ""."""
    meta = read_toml(project / "pyproject.toml")
    if "project" in meta or "poetry" in meta.get("tool", {}):
        return ""
    return next((f for f in DECLARED_ELSEWHERE if (project / f).exists()), "")


def pytest_home(project: Path) -> tuple[str, str, dict[str, Any]]:
    """Return the file and section of the project's pytest options, and the options."""
    for file, section in PYTEST_OPTIONS:
        if file.endswith("toml"):
            options: Any = read_toml(project / file)
            for key in section.split("."):
                options = options.get(key, {})
        else:
            ini = configparser.ConfigParser(interpolation=None)
            if (project / file).is_file():
                try:
                    ini.read_string(read(project / file))
                except configparser.Error as error:
                    raise Unreadable(f"{file} cannot be read: {error}") from None
            options = dict(ini[section]) if ini.has_section(section) else {}
        if options:
            return file, section, options
    return "pyproject.toml", "tool.pytest.ini_options", {}


def read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable(f"{path.name} is not UTF-8: save it as UTF-8") from None


def read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read(path)) if path.is_file() else {}
    except tomllib.TOMLDecodeError as error:
        raise Unreadable(f"{path.name} is not valid TOML: {error}") from None


def lines(*commands: tuple[str, list[str]]) -> list[str]:
    """Return the commands that have arguments; double quotes hold in every shell."""
    quoted = ((command, [f'"{r}"' for r in args]) for command, args in commands)
    return [" ".join([command, *args]) for command, args in quoted if args]


def toml(section: str, values: Mapping[str, Any]) -> str:
    """Return a table of TOML; JSON's strings, lists and booleans are TOML's too."""
    return f"[{section}]\n" + "".join(
        f"{key} = {json.dumps(value, indent=2 if len(value) > 2 else None)}\n"
        if isinstance(value, list)
        else f"{key} = {json.dumps(value)}\n"
        for key, value in values.items()
    )


def ini(section: str, values: Mapping[str, Any]) -> str:
    return f"[{section}]\n" + "".join(
        f"{key} = {' '.join(value) if isinstance(value, list) else value}\n"
        for key, value in values.items()
    )
