"""Import every module that declares a table, so that autogenerate sees all models.

A model that nobody imported is missing from the metadata, and autogenerate then
writes `op.drop_table()` for its table.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path

DECLARES_TABLES = re.compile(
    r"__tablename__|\bMapped\b|\bmapped_column\b|\bColumn\(|\bTable\(|\btable=True"
)


def import_models(package: str) -> list[str]:
    """Import each module below `package` that declares a table; return their names.

    The files are found by walking the directories: `pkgutil.walk_packages` leaves
    out every directory without an `__init__.py`. Other modules are not imported,
    so that a script that runs at import does not run here.
    """
    found: list[str] = []
    for root in map(Path, importlib.import_module(package).__path__):
        for file in sorted(root.rglob("*.py")):
            if DECLARES_TABLES.search(file.read_text(encoding="utf-8")):
                parts = file.relative_to(root).with_suffix("").parts
                if parts[-1] == "__init__":
                    parts = parts[:-1]
                found.append(".".join((package, *parts)))
    for name in found:
        importlib.import_module(name)
    return found
