"""Evals for snippets/search_query.py."""

from __future__ import annotations

from random import Random

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from snippets.search_query import MAX_QUERY, Term, fts5_query, parse_query, tsquery

HOSTILE = [
    "",
    " ",
    '"',
    '""',
    '"""',
    "'",
    "''",
    "\\",
    "\\'",
    "*",
    "**",
    "-",
    "--",
    "- -",
    "or",
    "or or",
    "OR",
    "and",
    "NOT",
    "NEAR(a b)",
    "a NEAR/2 b",
    "title:a",
    "{a b}: c",
    "^a",
    "(",
    ")",
    "((",
    "a)",
    "a OR (b",
    "!a",
    "a & b",
    "a | b",
    "a <-> b",
    "a:*",
    "a:ABCD",
    "'a':*",
    "a\0b",
    "\0",
    "\ud800",
    "a\udfffb",
    "-a",
    "-a or -b",
    '-"',
    '"-a"',
    '"a*"',
    'a"b',
    '"a" "',
    "a*b",
    "*a",
    "-a*",
    ";drop table x",
    "%",
    "_",
    "\u202e",
    "\U0001f9c1",
    "½",
    "a" * 10_000,
    '"' * 999,
    "-" * 999,
    "a or " * 999,
    "(" * 999,
    "\u0301",
    "a\tb\nc",
    "--a",
    "-or",
    "or a",
    "a or",
    "a or or b",
    "caf\u00e9",
    "ß",
    "日本",
    "हिन्दी",
    "1.5",
    "a@b.co",
    "https://a.b/c?d=e&f",
    "x'; --",
    "+a",
    "~a",
    "a+b",
    "[a]",
    "a\\",
    "'a\\'",
    "col : a",
]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("cake recipe", [[Term("cake"), Term("recipe")]]),
        ('"Apple  cake"', [[Term("Apple cake")]]),
        ('"open phrase', [[Term("open phrase")]]),
        ("cake -apple", [[Term("cake"), Term("apple", excluded=True)]]),
        ('cake -"apple pie"', [[Term("cake"), Term("apple pie", excluded=True)]]),
        ("cake or bread Or pie", [[Term("cake")], [Term("bread")], [Term("pie")]]),
        ("a b or c", [[Term("a"), Term("b")], [Term("c")]]),
        ("choc*", [[Term("choc", prefix=True)]]),
        ("cake -choc*", [[Term("cake"), Term("choc", excluded=True, prefix=True)]]),
        ('"choc*"', [[Term("choc")]]),
        ("-cake", []),
        ("-cake or pie", [[Term("pie")]]),
        ("!!! cake -", [[Term("cake")]]),
        ("it's", [[Term("it s")]]),
        ("a\0b \ud800c d\\e", [[Term("a b"), Term("c"), Term("d e")]]),
        ("-or", []),
        ("a -or b", [[Term("a"), Term("or", excluded=True), Term("b")]]),
        ("order", [[Term("order")]]),
        ("x" * (MAX_QUERY + 1), [[Term("x" * MAX_QUERY)]]),
    ],
    ids=range(19),
)
def test_text_is_read_as_it_was_meant(typed: str, expected: list[list[Term]]) -> None:
    assert parse_query(typed) == expected


def test_each_database_gets_its_own_language() -> None:
    groups = parse_query('cake -"apple pie" -x choc* or bread wheat')
    assert tsquery(groups) == (
        "'cake' & !'apple pie' & !'x' & 'choc':* | 'bread' & 'wheat'"
    )
    assert fts5_query(groups) == (
        '("cake" AND "choc"*) NOT "apple pie" NOT "x" OR ("bread" AND "wheat")'
    )
    assert (tsquery([]), fts5_query([])) == ("", '""')


async def accepts(session: AsyncSession, database: str, query: str) -> bool:
    """Tell whether the database can read the query."""
    if database == "postgresql":
        stmt = select(func.to_tsquery("simple", query))
        return await session.scalar(stmt) is not None
    conn = await session.connection()
    await conn.execute(text("CREATE VIRTUAL TABLE IF NOT EXISTS page USING fts5(a, b)"))
    found = text("SELECT count(*) FROM page WHERE page MATCH :query")
    return bool(await session.scalar(found, {"query": query}) == 0)


@pytest.mark.parametrize("typed", HOSTILE, ids=range(len(HOSTILE)))
async def test_nothing_that_is_typed_is_an_error(
    session: AsyncSession, database: str, typed: str
) -> None:
    groups = parse_query(typed)
    query = tsquery(groups) if database == "postgresql" else fts5_query(groups)
    assert await accepts(session, database, query)
    await session.rollback()


async def test_no_mixture_of_what_is_typed_is_an_error(
    session: AsyncSession, database: str
) -> None:
    chance = Random(6)
    letters = "'\"\\*-!&|():<>^+~{}[],;%_./@# \t\naZ0\u00df\u00e9\u0301\ud800\0\u65e5"
    parts = [*letters, " or ", " OR ", " NOT ", "NEAR(", "title:", "''", '""']
    for _ in range(400):
        typed = "".join(chance.choices(parts, k=chance.randint(1, 20)))
        groups = parse_query(typed)
        query = tsquery(groups) if database == "postgresql" else fts5_query(groups)
        assert await accepts(session, database, query), ascii(typed)
    await session.rollback()


@pytest.mark.trap("search-syntax")
@pytest.mark.parametrize("typed", ["a)", "c++ (old", "x AND"])
async def test_typed_text_is_no_query(
    session: AsyncSession, database: str, typed: str
) -> None:
    with pytest.raises(DBAPIError, match="syntax error"):
        await accepts(session, database, typed)
    await session.rollback()
