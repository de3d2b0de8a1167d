"""A hash of what a statement asks for, the same in every process.

Python's `hash` and SQLAlchemy's own cache keys differ between two processes, and to
compile a statement costs a third of fetching a page of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from sqlalchemy import Select
from sqlalchemy.sql.visitors import ExternallyTraversible, HasTraverseInternals

# What tells elements of one kind apart, besides their children: names and operators;
# a fragment of SQL, a part of a timestamp, UNION or EXCEPT, the kind of a join, the
# escape character of a LIKE.
ATTRIBUTES = (
    *("name", "operator", "modifier", "text", "field", "collation", "keyword"),
    *("isouter", "full", "modifiers"),
)
# What tells apart whose children they are: WHERE or HAVING, PARTITION BY or ORDER BY.
PARTS = ("_having_criteria", "_group_by_clauses", "_distinct", "partition_by")


def statement_fingerprint(*elements: ExternallyTraversible) -> bytes:
    """Return a hash of tables, joins, conditions and their values: 32 bytes.

    What an entity brings along does not count (its columns, loader options): a new
    column in a model is no new question.

    Raises:
        TypeError: a value reads differently in each process.
    """
    tokens: list[str] = []
    # Aliases are named after their place in memory: number them as they come.
    aliases: dict[str, str] = {}
    queue: list[Any] = [*elements]
    while queue:
        node = queue.pop()
        kind: str = node.__visit_name__
        if kind == "table":
            tokens += (kind, node.fullname)
        elif kind == "column":
            tokens += (kind, node.name, _text(getattr(node.table, "name", ""), aliases))
        elif kind == "bindparam":
            tokens += (kind, _value(node.effective_value))
        else:
            # What it selects from, a SELECT would look up in its columns, slowly.
            own: Any = node.__class__
            if own is Select:
                own = HasTraverseInternals
            children: list[Any] = [*own.get_children(node)]
            queue += children
            # Kinds in this order, with the numbers of their children, are one tree.
            tokens += (type(node).__name__, str(len(children)))
            tokens += _attributes(node, aliases)
    return sha256("\0".join(tokens).encode()).digest()


def _attributes(node: Any, aliases: dict[str, str]) -> Iterator[str]:
    # Not getattr: what an element lacks, it looks for in its type, slowly.
    state = node.__dict__
    for name in ATTRIBUTES:
        if name in state:
            yield _text(state[name], aliases)
    for name in PARTS:
        if (part := state.get(name)) is not None:
            kind: type[Any] = part.__class__
            yield f"{name} {len(part)}" if kind is tuple else name
    for *_, flags in state.get("_setup_joins", ()):
        yield repr(flags)
    if "cast" in node.__visit_name__:
        yield repr(node.type)


def _text(attribute: object, aliases: dict[str, str]) -> str:
    # Of an operator the name: its own text is a place in memory.
    name = getattr(attribute, "opstring", getattr(attribute, "__name__", attribute))
    text = str(name)
    if "%(" in text:
        return aliases.setdefault(text, f"alias {len(aliases)}")
    return text


def _value(value: Any) -> str:
    kind: Any = value.__class__
    if kind in (list, set, frozenset):
        return f"[{', '.join(sorted(map(_value, value)))}]"
    if kind.__repr__ is object.__repr__:
        raise TypeError(
            f"{kind.__qualname__} has no repr() of its own: give it one that tells its"
            " values apart, or filter by a plain value"
        )
    return repr(value)
