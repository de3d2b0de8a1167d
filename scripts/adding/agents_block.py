"""The block that points a project's AGENTS.md at the pages of this skill.

An agent reads that file at every start, and a skill only when it thinks of it. The
block is made from the table in SKILL.md: it has no list of its own to go stale.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

NAME = "async-sqlalchemy"
BEGIN = f"<!-- {NAME}: begin -->"
END = f"<!-- {NAME}: end -->"
ROOT = Path(__file__).resolve().parents[2]
ROUTES = re.compile(r"^\|\s*before you\b.*\n\|[-:| ]+\|\n((?:\|.*\n?)+)", re.M | re.I)
PAGE = re.compile(r"\((references/[\w-]+\.md)\)")


def block(project: Path) -> str:
    """Return the block for `project`, from marker to marker, with \\n line ends.

    Raises ValueError when SKILL.md has no row that leads to a page.
    """
    skill_md = (ROOT / "SKILL.md").read_text(encoding="utf-8")
    tables = ROUTES.findall(skill_md)
    rows = [row.split("|") for table in tables for row in table.splitlines()]
    pages = [
        f"- {task.strip()}: {', '.join(f'`{page}`' for page in found)}"
        for task, *cells in (row[1:] for row in rows)
        if (found := PAGE.findall("|".join(cells)))
    ]
    if not pages:
        raise ValueError("SKILL.md has no table `| before you | read |` of pages")
    where = location(project)
    skill = f"The skill `{NAME}`" + (f" (`{where}/`)" if where else "")
    add = f"`python3 {where}/scripts/add.py NAME`" if where else "its `scripts/add.py`"
    return "\n".join(
        [
            BEGIN,
            "## Database code",
            "",
            f"{skill} has database code that is proven on SQLite and PostgreSQL, and"
            " the traps of async SQLAlchemy, Alembic and their tests. Read its page"
            " before you:",
            "",
            *pages,
            "",
            f"Copy code with {add}; do not write it from memory.",
            END,
        ]
    )


def location(project: Path) -> str:
    """Return where the skill lies in `project`, or "" when it is elsewhere.

    A client's folder is often a symlink, so both the real and the written path count.
    """
    written = Path(os.path.abspath(sys.argv[0])).parents[1]
    for root, base in (
        (ROOT, project.resolve()),
        (written, Path(os.path.abspath(project))),
    ):
        if root.is_relative_to(base):
            return root.relative_to(base).as_posix()
    return ""


def put(text: str, new: str) -> str:
    """Return `text` with the block in it replaced by `new`, or with `new` at its end.

    Every other character stays, and the block takes the line ends of `text`.
    Raises ValueError when the markers are not one pair in order.
    """
    line = "\r\n" if "\r\n" in text else "\n"
    new = new.replace("\n", line)
    counts = text.count(BEGIN), text.count(END)
    if counts == (0, 0):
        gap = "" if not text else line if text.endswith("\n") else line * 2
        return f"{text}{gap}{new}{line}"
    start, end = text.find(BEGIN), text.find(END)
    if counts != (1, 1) or end < start:
        raise ValueError(
            f"expected one `{BEGIN}` and one `{END}` after it, and nothing was written;"
            " delete the odd marker"
        )
    return text[:start] + new + text[end + len(END) :]
