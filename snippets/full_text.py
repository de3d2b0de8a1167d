"""Full-text search: which rows, the best first, and the words marked in their text.

    SEARCH = FullText(Note.title, Note.body)  # as in `create_full_text`
    stmt = select(Note, SEARCH.excerpt(Note.body, q)).where(SEARCH.matches(q))
    stmt = stmt.order_by(SEARCH.rank(q).desc(), Note.id)

The same on PostgreSQL and SQLite, in the words of `search_query`.
https://www.postgresql.org/docs/current/textsearch-controls.html
https://www.sqlite.org/fts5.html
"""

from __future__ import annotations

from html import escape
from typing import Any

from sqlalchemy import ColumnElement, column, func, literal, select, table
from sqlalchemy.dialects.postgresql import REGCONFIG
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from .full_text_ddl import SUFFIX, VECTOR
from .search_query import Term, fts5_query, parse_query, tsquery

# No text has these characters, and HTML does not read them.
BEGIN, END = "\ue000", "\ue001"
WEIGHTS = (1.0, 0.4, 0.2, 0.1)  # of the first column and the next, as PostgreSQL's
WORDS = 24  # of an excerpt


class FullText:
    """The index of some columns of a model, in the order of `create_full_text`."""

    def __init__(
        self, *columns: InstrumentedAttribute[Any], language: str = "simple"
    ) -> None:
        self.columns = columns
        self.language = literal(language, REGCONFIG)
        parent: Any = columns[0].parent
        self.source = parent.local_table
        (self.key,) = self.source.primary_key
        self.vector: Any = column(VECTOR, _selectable=self.source)
        name = f"{self.source.name}{SUFFIX}"
        self.index: Any = table(name, column("rowid"), column(name))
        self.whole: ColumnElement[Any] = self.index.c[name]

    def matches(self, text: str) -> ColumnElement[Any]:
        """Return the condition; nothing matches a text without words."""
        groups = parse_query(text)
        found = select(self.index.c.rowid).where(self._match(groups))
        return _by_dialect(
            self.vector.bool_op("@@")(self._query(groups)), self.key.in_(found)
        )

    def rank(self, text: str) -> ColumnElement[Any]:
        """Return how well a row fits: the larger the better, within one search."""
        groups = parse_query(text)
        best = -func.bm25(self.whole, *WEIGHTS)  # of as many columns as there are
        rank = func.ts_rank(self.vector, self._query(groups))
        return _by_dialect(rank, self._of_row(best, groups))

    def excerpt(
        self, column: InstrumentedAttribute[Any], text: str
    ) -> ColumnElement[Any]:
        """Return the part of the text that fits best, for `mark_html`."""
        groups = parse_query(text)
        size = f"MaxWords={WORDS}, MinWords={WORDS // 2}"
        options = f"StartSel={BEGIN}, StopSel={END}, {size}"
        query = self._query(groups)
        place = [c.key for c in self.columns].index(column.key)
        return _by_dialect(
            func.ts_headline(self.language, column, query, options),
            self._of_row(
                func.snippet(self.whole, place, BEGIN, END, "...", WORDS), groups
            ),
        )

    def _query(self, groups: list[list[Term]]) -> ColumnElement[Any]:
        return func.to_tsquery(self.language, tsquery(groups))

    def _match(self, groups: list[list[Term]]) -> ColumnElement[Any]:
        return self.whole.bool_op("MATCH")(fts5_query(groups))

    def _of_row(
        self, expression: ColumnElement[Any], groups: list[list[Term]]
    ) -> ColumnElement[Any]:
        of_row = self.index.c.rowid == self.key
        return select(expression).where(self._match(groups), of_row).scalar_subquery()


def mark_html(text: str | None) -> str:
    """Return the excerpt as HTML. Databases escape nothing of what users wrote."""
    marked = escape(text or "").replace(BEGIN, "<mark>")
    return marked.replace(END, "</mark>")


class _by_dialect(FunctionElement[Any]):
    """One expression on PostgreSQL, another on SQLite."""

    inherit_cache = True


@compiles(_by_dialect)
def _compile(element: _by_dialect, compiler: SQLCompiler, **kw: Any) -> str:
    postgresql, sqlite = element.clauses
    chosen = sqlite if compiler.dialect.name == "sqlite" else postgresql
    return f"({compiler.process(chosen, **kw)})"
