"""Find the mutants of a Python file: the changes that an eval has to notice.

    mutants.py snippets/engine.py    print them as diffs

A mutant is one change that still parses: a statement, a line, a decorator, a
keyword argument, a chained call, a context manager or a caught exception taken
away; a comparison, `and`/`or`, `not`, a condition or arithmetic turned; a constant
or a returned value replaced. An `await` still happens. Docstrings, imports,
annotations and what else only a type checker sees are left alone.

Exit codes: 0 printed; 2 wrong arguments, or no such file.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import difflib
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

TOKENS = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">",
    ast.GtE: ">=", ast.Is: "is", ast.IsNot: "is not", ast.In: "in",
    ast.NotIn: "not in", ast.And: "and", ast.Or: "or", ast.Add: "+", ast.Sub: "-",
    ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.BitOr: "|", ast.BitAnd: "&", ast.BitXor: "^", ast.LShift: "<<",
    ast.RShift: ">>", ast.MatMult: "@", ast.Not: "not ", ast.USub: "-",
    ast.UAdd: "+", ast.Invert: "~",
}  # fmt: skip
TURNED = {
    "==": ("!=",), "!=": ("==",), "<": ("<=", ">="), "<=": ("<", ">"),
    ">": (">=", "<="), ">=": (">", "<"), "is": ("is not",), "is not": ("is",),
    "in": ("not in",), "not in": ("in",), "and": ("or",), "or": ("and",),
    "+": ("-",), "-": ("+",), "*": ("/",), "/": ("*",), "//": ("/",), "%": ("*",),
    "**": ("*",), "|": ("&",), "&": ("|",), "^": ("&",), "<<": (">>",),
    ">>": ("<<",), "@": ("*",),
}  # fmt: skip
MARKS = {"overload", "override", "final"}
TYPES = {"TypeVar", "ParamSpec", "TypeVarTuple", "NewType"}

FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
KEPT = FUNCTION | ast.ClassDef | ast.Pass  # what is in them is mutated
OPERATED = ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Constant

Edit = tuple[int, int, str, str]
"""First byte, last byte, the text between them instead, what that does."""


@dataclass(frozen=True)
class Mutant:
    """One change to a file. `where`, `line` and `mutation` name it across versions."""

    where: str
    line: str
    mutation: str
    source: str


def mutants(source: str) -> list[Mutant]:
    """Return the mutants of a file, in the order of its lines, no two the same."""
    text = Source(source)
    tree = ast.parse(source)
    seen = {canonical(ast.parse(source))}
    kept: list[tuple[int, str, str]] = []
    for start, end, new, mutation in [*text.edits(tree), *text.line_edits(tree)]:
        mutated = (text.data[:start] + new.encode() + text.data[end:]).decode()
        with contextlib.suppress(SyntaxError):
            if (shape := canonical(ast.parse(mutated))) not in seen:
                seen.add(shape)
                kept.append((start, mutation, mutated))
    owners = dict(owned(tree))
    names: Counter[tuple[str, str, str]] = Counter()
    found = []
    for start, mutation, mutated in sorted(kept):
        number = text.data.count(b"\n", 0, start)
        name = (owners.get(number + 1, ""), text.lines[number].strip(), mutation)
        names[name] += 1
        nth = f" ({names[name]})" if names[name] > 1 else ""
        found.append(Mutant(name[0], name[1], mutation + nth, mutated))
    return found


def diff(source: str, mutant: Mutant, name: str) -> str:
    """Return what the mutant changes, as a unified diff."""
    lines = difflib.unified_diff(
        source.splitlines(), mutant.source.splitlines(), name, mutant.mutation, n=1,
        lineterm="",
    )  # fmt: skip
    return "\n".join(lines)


class Source:
    """The text of a file, and the edits that make its mutants."""

    def __init__(self, source: str) -> None:
        self.data = source.encode()
        self.lines = source.splitlines(keepends=True)
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line.encode()))

    def span(self, node: Any) -> tuple[int, int]:
        start = self.starts[node.lineno - 1] + node.col_offset
        return start, self.starts[node.end_lineno - 1] + node.end_col_offset

    def text(self, node: Any) -> str:
        start, end = self.span(node)
        return self.data[start:end].decode()

    def edits(self, tree: ast.Module) -> Iterator[Edit]:
        for node in live(tree):
            if isinstance(node, ast.stmt) and not isinstance(node, KEPT):
                yield *self.span(node), "pass", "deleted"
            yield from self.inside(node)

    def inside(self, node: ast.AST) -> Iterator[Edit]:
        """Yield the edits of one node, but for its deletion."""
        match node:
            case ast.Compare(left=left, ops=ops, comparators=rights):
                for a, op, b in zip([left, *rights], ops, rights, strict=False):
                    yield from self.turn(a, op, b)
            case ast.BoolOp(op=op, values=values):
                for a, b in pairwise(values):
                    yield from self.turn(a, op, b)
            case ast.BinOp(left=a, op=op, right=b):
                yield from self.turn(a, op, b)
            case ast.AugAssign(target=a, op=op, value=b):
                yield from self.turn(a, op, b)
            case ast.UnaryOp(op=op):
                start, token = self.span(node)[0], TOKENS[type(op)]
                yield start, start + len(token), "", f"without {token.strip()}"
            case ast.Constant() | ast.JoinedStr():
                if (new := other(node)) is not None:
                    mutation = f"{short(self.text(node))} becomes {new}"
                    yield *self.span(node), new, mutation
            case (
                ast.Return(value=ast.expr() as value)
                | ast.Yield(value=ast.expr() as value)
            ):
                awaits = any(isinstance(part, ast.Await) for part in ast.walk(value))
                new = f"({self.text(value)}, None)[-1]" if awaits else "None"
                yield *self.span(value), new, "None instead"
            case ast.With(items=items) | ast.AsyncWith(items=items):
                if not any(item.optional_vars for item in items):
                    colon = self.data.index(b":", self.span(items[-1].context_expr)[1])
                    yield self.span(node)[0], colon, "if True", "without its context"
            case ast.ExceptHandler(type=ast.Tuple(elts=elts) as caught):
                for dropped in elts:
                    rest = ", ".join(self.text(e) for e in elts if e is not dropped)
                    mutation = f"without {self.text(dropped)}"
                    yield *self.span(caught), f"({rest},)", mutation
            case ast.ExceptHandler(type=ast.expr() as caught):
                yield *self.span(caught), "()", f"without {self.text(caught)}"
            case ast.keyword(arg="strict", value=ast.Constant(value=False)):
                pass  # what zip does without it
            case ast.keyword(arg=arg):
                yield *self.argument(node), "", f"without {arg or '**'}="
            case ast.Call(func=ast.Attribute(value=ast.Call() | ast.Await() as inner)):
                dot = self.data.index(b".", self.span(inner)[1])
                name = ast.unparse(node.func).rpartition(".")[2]
                yield dot, self.span(node)[1], "", f"without .{name}()"
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                for mark in node.decorator_list:
                    if ast.unparse(mark) not in MARKS:
                        start = self.starts[mark.lineno - 1]
                        end = self.starts[mark.end_lineno or mark.lineno]
                        yield start, end, "", f"without @{short(self.text(mark))}"
        for test in tests(node):
            yield *self.span(test), f"not ({self.text(test)})", "condition turned"

    def turn(self, a: ast.AST, op: ast.AST, b: ast.AST) -> Iterator[Edit]:
        """Yield the edits of the operator that stands between two nodes."""
        token, start = TOKENS[type(op)], self.span(a)[1]
        at = self.data.index(token.encode(), start, self.span(b)[0])
        for new in TURNED[token]:
            yield at, at + len(token), new, f"{token} becomes {new}"

    def argument(self, node: ast.keyword) -> tuple[int, int]:
        """Return the bytes of an argument, and of the comma after it."""
        start, end = self.span(node)
        rest = self.data[end:].lstrip()
        comma = len(self.data) - len(rest) + 1
        return start, comma if rest.startswith(b",") else end

    def line_edits(self, tree: ast.Module) -> Iterator[Edit]:
        """Yield the deletion of every line, but for those that nothing runs."""
        idle = {n for node in ast.walk(tree) for n in idle_lines(node)}
        for number, (start, end) in enumerate(pairwise(self.starts), 1):
            if number not in idle:
                yield start, end, "", "line deleted"


def live(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and all in it that runs."""
    yield node
    if isinstance(node, ast.JoinedStr):
        return
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and not is_idle(child):
                    yield from live(child)


def idle_lines(node: ast.AST) -> range:
    """Return the lines of a node that nothing runs, or of a definition's head."""
    if isinstance(node, ast.ClassDef | FUNCTION) and not is_idle(node):
        return range(head(node), max(node.lineno + 1, node.body[0].lineno))
    if isinstance(node, ast.stmt) and is_idle(node):
        return range(head(node), (node.end_lineno or node.lineno) + 1)
    return range(0)


def head(node: ast.stmt) -> int:
    marks: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(mark.lineno for mark in marks)])


def is_idle(node: ast.AST) -> bool:
    """Tell whether only a reader or a type checker sees the node."""
    match node:
        case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Assign(value=value):
            return is_idle(value)
        case ast.AnnAssign(annotation=ast.Name(id="TypeAlias")):
            return True
        case ast.Call(func=ast.Name(id=name)):
            return name in TYPES
        case ast.Subscript(value=ast.Name(id="Literal")):
            return True
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return any(ast.unparse(mark) == "overload" for mark in node.decorator_list)
    return False


def tests(node: ast.AST) -> list[ast.expr]:
    """Return the node's conditions that hold no operator to turn."""
    found: list[ast.expr] = []
    match node:
        case ast.If() | ast.While() | ast.IfExp() | ast.Assert():
            found = [node.test]
        case ast.comprehension(ifs=ifs):
            found = ifs
    return [test for test in found if not isinstance(test, OPERATED)]


def other(node: ast.Constant | ast.JoinedStr) -> str | None:
    """Return a constant that is none of the file's, as source."""
    match getattr(node, "value", ""):
        case bool(value):
            return str(not value)
        case None:
            return "True"
        case int(value) | float(value):
            return repr(value + 1)
        case str(value) if value or isinstance(node, ast.JoinedStr):
            return '""'
        case str():
            return '"mutated"'
        case bytes(value):
            return 'b"mutated"' if not value else 'b""'
    return None


def short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 40 else f"{line[:37]}..."


def owned(node: ast.AST, owner: str = "") -> Iterator[tuple[int, str]]:
    """Yield each line that is in a definition, and the definition's dotted name."""
    for child in ast.iter_child_nodes(node):
        name = owner
        if isinstance(child, ast.ClassDef | FUNCTION):
            name = f"{owner}.{child.name}".lstrip(".")
            for number in range(head(child), (child.end_lineno or 0) + 1):
                yield number, name
        yield from owned(child, name)


def canonical(tree: ast.Module) -> str:
    """Return the tree as text, the same for all files that run the same.

    Docstrings do not count, nor a `pass` beside another statement, nor a last
    `return None`.
    """
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            if isinstance(body := getattr(node, name, None), list):
                runs = [step for step in body if not is_empty(step)]
                if isinstance(node, FUNCTION) and runs and is_end(runs[-1]):
                    runs.pop()
                if name == "body" and not runs:
                    runs = [ast.Pass()]
                setattr(node, name, runs)
    return ast.dump(tree)


def is_empty(node: ast.stmt) -> bool:
    constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return constant or isinstance(node, ast.Pass)


def is_end(node: ast.stmt) -> bool:
    """Tell whether a function that stops before the node returns the same."""
    return isinstance(node, ast.Return) and (
        node.value is None
        or (isinstance(node.value, ast.Constant) and node.value.value is None)
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    for file in parser.parse_args().files:
        if not file.is_file():
            parser.error(f"{file} is no file: name a snippet, as snippets/engine.py")
        source = file.read_text(encoding="utf-8")
        for mutant in mutants(source):
            print(diff(source, mutant, file.as_posix()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
