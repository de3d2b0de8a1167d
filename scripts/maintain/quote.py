"""Keep the code in the pages equal to the code that the evals run.

Every fence names its source: a path, then the names it quotes. A definition
comes with its decorators and with the comment right above it.

    ```python snippets/engine.py::new_engine,Settings.url
    ```ini snippets/starter/alembic.ini

Without `::` a fence quotes its whole file. Only shell and text fences hold text
of their own. The script refreshes SKILL.md, README.md, CONTRIBUTING.md and
references/*.md; with `--check` it writes nothing.

Exit codes: 0 all is current, or was refreshed; 1 a fence is stale (--check);
2 wrong arguments; 3 a fence has no source, or one that does not exist.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import dedent, indent

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("SKILL.md", "README.md", "CONTRIBUTING.md", "references/*.md")
FENCE = re.compile(
    r"^(?P<opening>(?P<indent> *)(?P<mark>`{3,}|~{3,}) *(?P<info>[^`\n]*)\n)"
    r".*?(?:^(?P<end> *(?P=mark)[`~]* *)$|\Z)",
    re.MULTILINE | re.DOTALL,
)
OWN_TEXT = {"sh", "bash", "shell", "console", "powershell", "text", "markdown"}


def refresh(text: str) -> tuple[str, list[str]]:
    """Return a page with its fences read afresh, and `line: what is wrong`."""
    wrong: list[str] = []

    def fence(match: re.Match[str]) -> str:
        try:
            if not match["end"]:
                raise ValueError("this fence is never closed")
            code = source(*match["info"].split(maxsplit=1))
        except ValueError as exc:
            wrong.append(f"{text.count(chr(10), 0, match.start()) + 1}: {exc}")
            return match[0]
        if code is None:
            return match[0]
        return f"{match['opening']}{indent(code, match['indent'])}\n{match['end']}"

    return FENCE.sub(fence, text), wrong


def source(language: str = "", address: str = "") -> str | None:
    """Return the code of a fence that opens so; None where its text is its own."""
    if not address and language in OWN_TEXT:
        return None
    path, _, names = address.strip().partition("::")
    file = (ROOT / path).resolve()
    if not path:
        form = f"```{language or 'text'} path::Name"
        raise ValueError(f"this fence names no source: {form}")
    if not (file.is_relative_to(ROOT) and file.is_file()):
        raise ValueError(f"{path} is no file of the pack: give its path from the root")
    text = file.read_text(encoding="utf-8").rstrip("\n")
    return quote(path, text, names.split(",")) if names else text


def quote(path: str, text: str, names: list[str]) -> str:
    """Return the code that defines `names`; a method is `Class.method`."""
    lines = text.split("\n")
    found = dict(definitions(ast.parse(text).body, lines))
    if missing := [name for name in names if name not in found]:
        raise ValueError(f"{path} defines no {', '.join(missing)}")
    code, end = "", -1
    for start, stop in (found[name] for name in names):
        between = "\n" if start == end else "\n\n\n"
        code += (between if code else "") + dedent("\n".join(lines[start:stop]))
        end = stop
    return code


def definitions(
    body: Iterable[ast.stmt], lines: list[str]
) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield each name that `body` defines, and the range of its lines."""
    for node in body:
        start, stop = node.lineno - 1, node.end_lineno or node.lineno
        names: list[str] = []
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                names = [node.name]
                start = min([start, *(d.lineno - 1 for d in node.decorator_list)])
                for name, span in definitions(node.body, lines):
                    yield f"{node.name}.{name}", span
            case ast.Assign(targets=targets):
                names = [t.id for t in targets if isinstance(t, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name)):
                names = [name]
        while start and lines[start - 1].lstrip().startswith("#"):
            start -= 1
        yield from ((name, (start, stop)) for name in names)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="fail instead of writing")
    check: bool = parser.parse_args().check
    code = 0
    for page in sorted(page for pattern in PAGES for page in ROOT.glob(pattern)):
        raw = page.read_bytes().decode("utf-8")
        name, text = page.relative_to(ROOT).as_posix(), raw.replace("\r\n", "\n")
        fresh, wrong = refresh(text)
        for problem in wrong:
            print(f"{name}:{problem}", file=sys.stderr)
        if fresh != text:
            print(f"{'stale' if check else 'refreshed'}: {name}")
            if not check:
                newline = "\r\n" if "\r\n" in raw else "\n"
                page.write_text(fresh, encoding="utf-8", newline=newline)
        code = max(code, 3 if wrong else int(check and fresh != text))
    return code


if __name__ == "__main__":
    sys.exit(main())
