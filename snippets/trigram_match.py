"""Similar text, typing errors and all: pg_trgm on PostgreSQL, the same sums on SQLite.

    stmt = select(Note).where(similar(Note.title, q))
    stmt = stmt.order_by(similarity(Note.title, q).desc(), Note.id)

The index of `create_trigram_index` also serves `contains` of `text_match`. SQLite has
none: it measures each row.
https://www.postgresql.org/docs/current/pgtrgm.html
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, event, literal
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from .text_match import UNSENDABLE, configure_folding, fold

MAX_QUERY = 200  # characters; what is behind them does not count
THRESHOLD = 0.3  # what pg_trgm.similarity_threshold is unless it was set


def similar(column: SQLColumnExpression[Any], text: str) -> ColumnElement[bool]:
    """Return the condition that `similarity` is at least `THRESHOLD`."""
    return _similar(fold(column), _folded(text))


def similarity(column: SQLColumnExpression[Any], text: str) -> ColumnElement[float]:
    """Return how many of their groups of three letters two texts share: 0 to 1."""
    return _similarity(fold(column), _folded(text))


def _folded(text: str) -> fold:
    return fold(literal(UNSENDABLE.sub(" ", text[:MAX_QUERY])))


def create_trigram_index(table: str, column: str) -> list[str]:
    """Return the statements of a revision, for PostgreSQL with postgresql-contrib."""
    return [
        "CREATE EXTENSION IF NOT EXISTS pg_trgm",
        f'CREATE INDEX "{table}_{column}_trgm" ON "{table}"'
        f' USING gin (lower("{column}") gin_trgm_ops)',
    ]


def configure_similarity(engine: AsyncEngine) -> None:
    """Make each SQLite connection that `engine` opens from now on compare texts."""
    configure_folding(engine)
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _add_function)


class _similarity(FunctionElement[float]):
    inherit_cache = True


class _similar(FunctionElement[bool]):
    inherit_cache = True


@compiles(_similar)
def _compile(element: _similar, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    if compiler.dialect.name == "sqlite":
        return f"(similarity({left}, {right}) >= {THRESHOLD})"
    return f"({left} % {right})"


@compiles(_similarity)
def _compile_similarity(element: _similarity, compiler: SQLCompiler, **kw: Any) -> str:
    return f"similarity({compiler.process(element.clauses, **kw)})"


def _add_function(connection: Any, record: object) -> None:
    connection.create_function("similarity", 2, measure)


def measure(left: str | None, right: str | None) -> float | None:
    """Return what PostgreSQL's `similarity` returns."""
    if left is None or right is None:
        return None
    a, b = _trigrams(left), _trigrams(right)
    return len(a & b) / (len(a | b) or 1)


def _trigrams(text: str) -> set[str]:
    words = re.findall(r"[^\W_]+", text.lower())
    return {f"  {word} "[i : i + 3] for word in words for i in range(len(word) + 1)}
