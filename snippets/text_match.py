"""Find text inside text: literally, and whatever its case, beyond ASCII too.

    configure_folding(engine)  # SQLite gets the function, PostgreSQL has it
    stmt = select(Note).where(contains(Note.title, "éclair"))

SQLite's `LIKE` and `lower()` fold ASCII only; PostgreSQL's fold every letter.
https://www.sqlite.org/lang_expr.html#the_like_glob_regexp_match_and_extract_operators
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from sqlalchemy import (
    ColumnElement,
    SQLColumnExpression,
    event,
    false,
    literal,
)
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

Text = SQLColumnExpression[Any]
MAX_TEXT = 5_000  # characters; SQLite refuses patterns of more than 50,000 bytes
UNSENDABLE = re.compile("[\0\ud800-\udfff]")  # NUL, and halves of characters


class fold(FunctionElement[str]):
    """A text without its case: `lower()`. Index this expression, and ask with it.

    A German ß stays ß, and é is not e: see `fold_accents`.
    """

    inherit_cache = True


class fold_accents(fold):
    """A text without its case and its accents: "Éclair" is found by "eclair"."""

    inherit_cache = True


def contains(column: Text, text: str, key: type[fold] = fold) -> ColumnElement[bool]:
    """Return the condition. What no column can hold, NUL for one, is in none."""
    return _like(column, "%", text, "%", key)


def starts(column: Text, text: str, key: type[fold] = fold) -> ColumnElement[bool]:
    return _like(column, "", text, "%", key)


def ends(column: Text, text: str, key: type[fold] = fold) -> ColumnElement[bool]:
    return _like(column, "%", text, "", key)


def configure_folding(engine: AsyncEngine) -> None:
    """Make each SQLite connection that `engine` opens from now on able to `fold`."""
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _add_functions)


def _add_functions(connection: Any, record: object) -> None:
    # Deterministic: else no index may hold it.
    for name, function in ("fold", _fold), ("fold_accents", _fold_accents):
        connection.create_function(name, 1, function, deterministic=True)


def _like(
    column: Text, before: str, text: str, behind: str, key: type[fold]
) -> ColumnElement[bool]:
    if len(text) > MAX_TEXT or UNSENDABLE.search(text):
        return false()
    pattern = before + re.sub("([/%_])", r"/\1", text) + behind
    # The database folds both sides: Python's idea of a small letter may be another.
    return key(column).like(key(literal(pattern)), escape="/")


def _fold(text: str | None) -> str | None:
    # Python alone takes a word's last sigma for another letter, which has no capital.
    return None if text is None else text.replace("\u03a3", "\u03c3").lower()


def _fold_accents(text: str | None) -> str | None:
    if text is None:
        return None
    # NFD and not NFKD, which makes a wildcard of a full-width percent sign.
    plain = unicodedata.normalize("NFD", text)
    return _fold(re.sub("[\u0300-\u036f]", "", plain))


@compiles(fold)
def _compile_fold(element: fold, compiler: SQLCompiler, **kw: Any) -> str:
    name = "fold" if compiler.dialect.name == "sqlite" else "lower"
    return f"{name}({compiler.process(element.clauses, **kw)})"


@compiles(fold_accents)
def _compile_accents(element: fold_accents, compiler: SQLCompiler, **kw: Any) -> str:
    text = compiler.process(element.clauses, **kw)
    if compiler.dialect.name == "sqlite":
        return f"fold_accents({text})"
    marks = r"'[\u0300-\u036f]'"
    return f"lower(regexp_replace(normalize({text}, NFD), {marks}, '', 'g'))"
