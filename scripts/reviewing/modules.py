"""Find and parse the modules of the same repository that a revision imports from.

Nothing is imported. The directories above the revision are looked through, up to the
one that holds .git or pyproject.toml.
"""

from __future__ import annotations

import ast
import warnings
from functools import lru_cache
from pathlib import Path

LEVELS = 8  # directories above a revision
LIMIT = 1_000_000  # bytes
ENDS = (".git", "pyproject.toml", "setup.py", "setup.cfg")


def find_module(origin: Path, name: str) -> Path | None:
    """Return the file of the module `name`, as the file `origin` would import it.

    A name that begins with dots is relative to `origin`, as in Python.
    """
    parts = [part for part in name.split(".") if part]
    level = len(name) - len(name.lstrip("."))
    if level:
        above = origin.resolve().parents
        return at(above[level - 1], parts) if level <= len(above) else None
    for directory in origin.resolve().parents[:LEVELS]:
        for root in (directory, directory / "src"):
            if parts and (found := at(root, parts)) is not None:
                return found
        if any((directory / end).exists() for end in ENDS):
            break
    return None


def at(root: Path, parts: list[str]) -> Path | None:
    place = root.joinpath(*parts)
    for path in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
        if path.is_file():
            return path
    return None


@lru_cache(maxsize=64)
def parse_module(path: Path) -> ast.Module | None:
    """Return the tree of a module, or None if it cannot be read."""
    try:
        if path.stat().st_size > LIMIT:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
