"""Evals for snippets/keyset_pagination.py."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import sqlmodel
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    ForeignKey,
    case,
    delete,
    func,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Mapped, aliased, mapped_column

from evals.harness.observe import Statements
from evals.snippets import keyset_scenarios as scenarios
from evals.snippets.keyset_scenarios import Author, Base
from snippets.base import UtcDateTime
from snippets.cursor_codec import InvalidCursor
from snippets.keyset_pagination import Keyset, Page

pytestmark = pytest.mark.filterwarnings("ignore:Dialect sqlite.aiosqlite does:Warning")

__all__ = ["Base"]
SNIPPETS = Path(__file__).resolve().parents[2] / "snippets"
Sessions = async_sessionmaker[AsyncSession]
Run = Callable[[Coroutine[Any, Any, None]], None]


class Post(Base):
    __tablename__ = "post"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    likes: Mapped[int | None]
    saved_at: Mapped[datetime] = mapped_column(server_default=func.now())


@pytest.fixture
async def run(engine: object) -> Run:
    """Run a coroutine to its end, from a test that Hypothesis calls many times."""
    return asyncio.get_running_loop().run_until_complete


def profile(full: bool, examples: int, **options: Any) -> settings:
    return settings(
        max_examples=examples * 20 if full else examples,
        deadline=None,
        derandomize=not full,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        **options,
    )


def check_turns(
    run: Run,
    sessions: Sessions,
    keyset: Any,
    chosen: settings,
    orders: Any = scenarios.ORDERS,
) -> None:
    @chosen
    @given(scenarios.ROWS, orders, scenarios.STEPS)
    def turn(rows: Any, order: Any, steps: Any) -> None:
        async def example() -> None:
            await scenarios.fill(sessions, rows)
            await scenarios.check_turns(keyset, sessions, order, steps)

        run(example())

    turn()


def check_walks(run: Run, sessions: Sessions, keyset: Any, chosen: settings) -> None:
    @chosen
    @given(
        scenarios.ROWS,
        scenarios.ORDERS,
        scenarios.SIZES,
        st.booleans(),
        st.lists(scenarios.EDITS, max_size=5),
    )
    def walk(rows: Any, order: Any, size: int, forward: bool, edits: Any) -> None:
        async def example() -> None:
            await scenarios.fill(sessions, rows)
            await scenarios.check_walk(keyset, sessions, order, size, forward, edits)

        run(example())

    walk()


def test_each_page_is_the_slice_that_it_must_be(
    run: Run, sessions: Sessions, full: bool
) -> None:
    check_turns(run, sessions, Keyset, profile(full, 200))


def test_no_row_is_lost_or_repeated_while_others_write(
    run: Run, sessions: Sessions, full: bool
) -> None:
    check_walks(run, sessions, Keyset, profile(full, 100))


async def test_every_kind_of_key_walks_whole_both_ways(sessions: Sessions) -> None:
    draw = random.Random(7)
    rows = [scenarios.row(draw.randbytes(scenarios.WIDTH)) for _ in range(20)]
    await scenarios.fill(sessions, list({row["code"]: row for row in rows}.values()))
    flags = [False, True]
    async with sessions() as session:
        for key, down, first in product(scenarios.KEYS, flags, flags):
            order = [(key, down, first)]
            everything = await scenarios.listed(session, order)
            keys = Keyset(scenarios.Reading, *scenarios.arguments(order))
            seen: list[Any] = []
            page = await keys.fetch(session, scenarios.READINGS, size=3)
            while page.next_cursor:
                seen += scenarios.names(page.items)
                page = await keys.fetch(
                    session, scenarios.READINGS, size=3, cursor=page.next_cursor
                )
            seen += scenarios.names(page.items)
            assert seen == everything, order
            page = await keys.fetch(session, scenarios.READINGS, size=3, cursor="last")
            seen = scenarios.names(page.items)
            while page.previous_cursor:
                page = await keys.fetch(
                    session, scenarios.READINGS, size=3, cursor=page.previous_cursor
                )
                seen = scenarios.names(page.items) + seen
            assert seen == everything, order


async def add_two_kinds(session: AsyncSession) -> None:
    session.add(Author(id=1, name="x"))
    await session.flush()
    session.add_all(
        Post(id=i, likes=None if i > 3 else i, author_id=1) for i in range(1, 6)
    )
    await session.commit()


@pytest.mark.trap("nullable-key")
async def test_a_row_value_written_by_hand_loses_nulls(
    session: AsyncSession, database: str
) -> None:
    await add_two_kinds(session)
    stmt = select(Post).order_by(Post.likes, Post.id).limit(2)
    seen = list(await session.scalars(stmt))
    while last := seen[-1:]:
        place = (last[0].likes, last[0].id)
        more = stmt.where(tuple_(Post.likes, Post.id) > place)
        found = (await session.scalars(more)).all() if place[0] else []
        if not found:
            break
        seen += found

    lost = {"sqlite": [4, 5], "postgresql": [1, 2, 3]}
    assert [post.id for post in seen] == lost[database]
    assert await ids(session, Keyset(Post, Post.likes), select(Post)) == [1, 2, 3, 4, 5]


@pytest.mark.trap("text-timestamps")
async def test_a_timestamp_of_the_server_is_no_place_on_sqlite(
    session: AsyncSession, database: str
) -> None:
    await add_two_kinds(session)
    by_time = select(Post).order_by(Post.saved_at, Post.id).limit(2)
    page_one = (await session.scalars(by_time)).all()
    place = (page_one[-1].saved_at, page_one[-1].id)
    page_two = by_time.where(tuple_(Post.saved_at, Post.id) > place)

    found = [post.id for post in await session.scalars(page_two)]
    assert found == {"sqlite": [], "postgresql": [3, 4]}[database]
    everything = await ids(session, Keyset(Post, Post.saved_at), select(Post))
    assert everything == [1, 2, 3, 4, 5]


async def ids(session: AsyncSession, order: Keyset[Any], stmt: Any) -> list[int]:
    """Return the ids on all pages of two."""
    seen: list[int] = []
    cursor = None
    while True:
        page = await order.fetch(session, stmt, size=2, cursor=cursor)
        seen += [post.id for post in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return seen


async def add_posts(session: AsyncSession, count: int) -> None:
    session.add_all(Author(id=i, name=f"a{i % 3}") for i in (1, 2, 3, 4))
    await session.flush()
    session.add_all(
        Post(id=i, likes=i % 3 or None, author_id=i % 4 + 1)
        for i in range(1, count + 1)
    )
    await session.commit()


async def test_rows_of_columns_come_without_the_keys(session: AsyncSession) -> None:
    await add_posts(session, 5)
    order: Keyset[Any] = Keyset(Post, func.lower(Author.name).desc(), Post.likes)
    stmt = select(Post.id, Author.name.label("by"), Post).join(Author)
    page = await order.fetch_rows(session, stmt, size=2)
    first, second = page.items
    assert (first.id, first.by, first.Post.id) == (1, "a2", 1)
    assert list(first._fields) == ["id", "by", "Post"]
    assert tuple(second)[:2] == (5, "a2")
    rest = await order.fetch_rows(session, stmt, size=9, cursor=page.next_cursor)
    assert [row.id for row in rest.items] == [4, 3, 2]
    assert (rest.has_next, rest.has_previous) == (False, True)
    nothing = await order.fetch_rows(session, stmt.where(Post.id < 0), size=2)
    assert nothing.items == []


async def test_a_single_column_can_be_paged(session: AsyncSession) -> None:
    await add_posts(session, 3)
    order: Keyset[Any] = Keyset(Post, Post.id.desc())
    page = await order.fetch(session, select(Post.author_id), size=2)
    assert page.items == [4, 3]


async def test_an_aggregate_is_paged_over_its_subquery(session: AsyncSession) -> None:
    await add_posts(session, 9)
    count = func.count().label("posts")
    by = select(Post.author_id, count).group_by(Post.author_id).subquery()
    order: Keyset[Any] = Keyset(by, by.c.posts.desc(), unique=[by.c.author_id])
    seen: list[tuple[int, int]] = []
    cursor = None
    while True:
        page = await order.fetch_rows(session, select(by), size=1, cursor=cursor)
        seen += [tuple(row) for row in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [(2, 3), (4, 2), (3, 2), (1, 2)]


async def test_an_alias_and_a_table_can_be_paged(session: AsyncSession) -> None:
    await add_posts(session, 5)
    other = aliased(Post)
    assert await ids(session, Keyset(other, other.likes), select(other)) == [
        *(1, 4, 2, 5, 3),
    ]
    table = Post.__table__
    order: Keyset[Any] = Keyset(table, table.c.likes.nulls_first())
    page = await order.fetch_rows(session, select(table.c.id), size=2)
    assert [row.id for row in page.items] == [3, 1]


async def test_a_sqlmodel_select_is_paged(session: AsyncSession) -> None:
    await add_posts(session, 3)
    stmt = sqlmodel.select(Post).where(Post.id > 1)
    assert await ids(session, Keyset(Post, Post.id.desc()), stmt) == [3, 2]


@pytest.mark.trap("moving-filter")
async def test_a_filter_that_moves_ends_the_walk_unless_the_database_keeps_time(
    session: AsyncSession,
) -> None:
    await add_posts(session, 5)
    order = Keyset(Post)

    def moving() -> Any:
        return select(Post).where(literal(datetime.now(UTC), UtcDateTime).is_not(None))

    page = await order.fetch(session, moving(), size=2)
    with pytest.raises(InvalidCursor):
        await order.fetch(session, moving(), size=2, cursor=page.next_cursor)
    steady = select(Post).where(func.now().is_not(None))
    assert await ids(session, order, steady) == [1, 2, 3, 4, 5]


async def test_a_cursor_is_bound_to_its_order_its_filters_and_its_secret(
    session: AsyncSession,
) -> None:
    await add_posts(session, 5)
    order, stmt = Keyset(Post, Post.likes), select(Post).where(Post.id > 1)
    page = await order.fetch(session, stmt, size=2, secret=b"s")
    cursor = page.next_cursor
    again = await order.fetch(session, stmt, size=2, cursor=cursor, secret=b"s")
    assert [post.id for post in again.items] == [5, 3]
    foreign: list[tuple[Keyset[Post], Any, bytes]] = [
        (Keyset(Post, Post.likes.desc()), stmt, b"s"),
        (Keyset(Post, Post.likes.nulls_first()), stmt, b"s"),
        (Keyset(Post, Post.author_id), stmt, b"s"),
        (order, select(Post).where(Post.id > 2), b"s"),
        (order, select(Post), b"s"),
        (order, stmt, b"t"),
        (order, stmt, b""),
    ]
    for other, other_stmt, secret in foreign:
        with pytest.raises(InvalidCursor):
            await other.fetch(session, other_stmt, size=2, cursor=cursor, secret=secret)
    with pytest.raises(InvalidCursor):
        await order.fetch(session, stmt, size=2, cursor="")


async def test_a_page_has_at_least_one_row(session: AsyncSession) -> None:
    with pytest.raises(ValueError, match="a page of 0 rows: ask for 1 or more"):
        await Keyset(Post).fetch(session, select(Post), size=0)


async def test_a_page_of_a_not_null_order_is_one_statement(
    session: AsyncSession, statements: Statements
) -> None:
    await add_posts(session, 9)
    order = Keyset(Post, Post.id.desc())
    cursor = None
    for _ in range(3):
        with statements() as sent:
            page = await order.fetch(session, select(Post), size=2, cursor=cursor)
        assert len(sent) == 1
        cursor = page.next_cursor


async def test_what_tied_over_a_page_is_sought_on_its_own_for_the_next(
    session: AsyncSession, statements: Statements
) -> None:
    await add_posts(session, 8)
    await session.execute(
        update(Post).values(author_id=case((Post.id < 7, 1), else_=2))
    )
    order, stmt = Keyset(Post, Post.author_id, Post.id.desc()), select(Post)

    async def fetch(cursor: str | None) -> tuple[Page[Post], list[int], bool]:
        with statements() as sent:
            page = await order.fetch(session, stmt, size=2, cursor=cursor)
        return page, [post.id for post in page.items], "author_id = " in sent[0]

    first, shown, _ = await fetch(None)
    assert shown == [6, 5]
    second, *rest = await fetch(first.next_cursor)
    assert rest == [[4, 3], True]
    assert (await fetch(second.previous_cursor))[1:] == ([6, 5], True)
    third, *rest = await fetch(second.next_cursor)
    assert rest == [[2, 1], True]
    # The row behind that page is another author's.
    assert (await fetch(third.previous_cursor))[1:] == ([4, 3], False)
    last, *rest = await fetch(third.next_cursor)
    assert rest == [[8, 7], True]
    assert (await fetch(last.previous_cursor))[1:] == ([2, 1], True)


async def test_pages_of_one_row_lead_on_and_back(session: AsyncSession) -> None:
    await add_posts(session, 3)
    order, stmt = Keyset(Post), select(Post)
    cursor, seen = None, []
    for _ in range(3):
        page = await order.fetch(session, stmt, size=1, cursor=cursor)
        seen += [post.id for post in page.items]
        cursor = page.next_cursor
    assert (seen, cursor) == ([1, 2, 3], None)
    back = await order.fetch(session, stmt, size=1, cursor=page.previous_cursor)
    assert [post.id for post in back.items] == [2]


async def test_a_page_that_was_emptied_leads_back(session: AsyncSession) -> None:
    await add_posts(session, 4)
    for order in (Keyset(Post), Keyset(Post, Post.likes.nulls_first())):
        page = await order.fetch(session, select(Post), size=2)
        left = [post.id for post in page.items][:1]
        async with session.begin_nested() as savepoint:
            await session.execute(delete(Post).where(Post.id.not_in(left)))
            gone = await order.fetch(
                session, select(Post), size=2, cursor=page.next_cursor
            )
            assert (gone.items, gone.next_cursor) == ([], None)
            back = await order.fetch(
                session, select(Post), size=2, cursor=gone.previous_cursor
            )
            assert [post.id for post in back.items] == left
            assert not back.has_previous
            await savepoint.rollback()


async def test_an_unsigned_cursor_serves_entities_and_rows(
    session: AsyncSession,
) -> None:
    await add_posts(session, 3)
    order, stmt = Keyset(Post), select(Post)
    page = await order.fetch(session, stmt, size=2)
    rows = await order.fetch_rows(
        session, stmt, size=2, cursor=page.next_cursor, secret=b""
    )
    assert [row.Post.id for row in rows.items] == [3]
    again = await order.fetch(
        session, stmt, size=2, cursor=rows.previous_cursor, secret=b""
    )
    assert [post.id for post in again.items] == [1, 2]
    rows = await order.fetch_rows(session, stmt, size=2, cursor=page.next_cursor)
    assert [row.Post.id for row in rows.items] == [3]
    with pytest.raises(FrozenInstanceError):
        page.total = 7  # type: ignore[misc]


async def test_a_total_can_be_put_into_a_page(session: AsyncSession) -> None:
    page: Page[Post] = await Keyset(Post).fetch(session, select(Post), size=2)
    assert page.total is None
    assert replace(page, total=7).total == 7


# Each is a mistake that was found in a released library, or the slip of a key.
FAULTS: dict[str, list[tuple[str, str, str, str]]] = {
    "sqlite": [
        ("no tie-break", "total_order", "for end in ends:", "for end in ends[:0]:"),
        ("half a tie-break", "total_order", "for end in ends:", "for end in ends[:1]:"),
        ("> for >= at the cursor", "keyset_range", "or_at=True)", "or_at=False)"),
        (">= for > in a tie", "keyset_range", "else row > start", "else row >= start"),
        (
            "a NULL lost",
            "keyset_range",
            "        if _other_side(key, value):",
            "        if False:",
        ),
        (
            "a NULL within a tie lost",
            "keyset_range",
            "if _other_side(keys[0], values[0]):",
            "if False:",
        ),
        (
            "NULLs on the wrong side",
            "keyset_range",
            "(value is None) == key.nulls_first",
            "(value is None) != key.nulls_first",
        ),
        (
            "NULLs sorted to the wrong side",
            "total_order",
            "if self.nulls_first else order.nulls_last()",
            "if not self.nulls_first else order.nulls_last()",
        ),
        (
            "NULLs where they were, on the way back",
            "total_order",
            "nulls_first=not self.nulls_first",
            "nulls_first=self.nulls_first",
        ),
        (
            "a column of an outer join taken for NOT NULL",
            "total_order",
            "table in present and",
            "table is not None and",
        ),
        (
            "a direction flipped",
            "keyset_range",
            "if keys[0].descending:",
            "if not keys[0].descending:",
        ),
        (
            "two directions in one row value",
            "keyset_range",
            "key.descending == first.descending and not key.nullable",
            "not key.nullable",
        ),
        (
            "NULLs in a row value",
            "keyset_range",
            "key.descending == first.descending and not key.nullable",
            "key.descending == first.descending",
        ),
        (
            "ranges in the wrong order",
            "keyset_range",
            "in range(tied, -1, -1)",
            "in range(0, tied + 1)",
        ),
        (
            "the text of a timestamp written anew",
            "total_order",
            "return type_coerce(self.expression, RAW)",
            "return self.expression",
        ),
        (
            "a page back left reversed",
            "keyset_pagination",
            "Page(page[::-1], back, onward)",
            "Page(page, back, onward)",
        ),
        (
            "has_next off by one",
            "keyset_pagination",
            "if len(found) - seen > size:",
            "if len(found) - seen >= size:",
        ),
        (
            "has_previous taken for granted",
            "keyset_pagination",
            "if seen or await reader.is_any_behind(session, stmt, start):",
            "if start.values:",
        ),
        (
            "the row at the cursor repeated",
            "keyset_pagination",
            "page = found[seen:][:size]",
            "page = found[:size]",
        ),
        (
            "the first row dropped although it is another",
            "keyset_pagination",
            "page = found[seen:][:size]",
            "page = found[bool(start.values):][:size]",
        ),
        (
            "the cursor after the row in waiting",
            "keyset_pagination",
            "last = reader.place(page[-1])",
            "last = reader.place(found[-1])",
        ),
        (
            "an empty page forgets its row on the way back",
            "keyset_pagination",
            "inclusive=not page",
            "inclusive=False",
        ),
    ],
    "postgresql": [
        (
            "microseconds cut",
            "cursor_codec",
            '(b"t", datetime, datetime.isoformat',
            '(b"t", datetime, lambda at: at.isoformat(timespec="milliseconds")',
        ),
        (
            "Decimal as float",
            "cursor_codec",
            "number = Decimal(text)",
            "number = Decimal(float(text))",
        ),
        (
            "float as text of 6 digits",
            "cursor_codec",
            "float, repr,",
            'float, "{:g}".format,',
        ),
        (
            "a date for a timestamp",
            "cursor_codec",
            '(b"t", datetime, datetime.isoformat',
            '(b"t", datetime, lambda at: at.date().isoformat()',
        ),
        (
            "NULLs sorted to the wrong side",
            "total_order",
            "if self.nulls_first else order.nulls_last()",
            "if not self.nulls_first else order.nulls_last()",
        ),
        (
            "a NULL lost",
            "keyset_range",
            "        if _other_side(key, value):",
            "        if False:",
        ),
        ("no tie-break", "total_order", "for end in ends:", "for end in ends[:0]:"),
    ],
}
# A fault of one type is sought where that type is a key: more often than by chance.
FOCUS: dict[str, list[Any]] = {
    "microseconds cut": [scenarios.Reading.taken_at],
    "Decimal as float": [scenarios.Reading.price],
    "float as text of 6 digits": [scenarios.Reading.ratio],
    "a date for a timestamp": [scenarios.Reading.taken_at],
    "a column of an outer join taken for NOT NULL": [scenarios.Author.name],
    "NULLs in a row value": [scenarios.Reading.flag, scenarios.Reading.score],
    "a NULL within a tie lost": [scenarios.Reading.flag, scenarios.Reading.score],
}


COPIED = (
    *("keyset_pagination", "keyset_reader", "keyset_range", "cursor_codec"),
    *("statement_fingerprint", "total_order"),
)


def faulty(place: Path, number: int, snippet: str, right: str, wrong: str) -> Any:
    """Copy the snippets, plant a fault, and return the `Keyset` of the copy."""
    package = place / f"faulty_{number}"
    package.mkdir()
    for name in COPIED:
        source = SNIPPETS / f"{name}.py"
        text = source.read_text(encoding="utf-8")
        if source.stem == snippet:
            assert text.count(right) == 1, f"{right!r} is not once in {snippet}"
            text = text.replace(right, wrong)
        (package / source.name).write_text(text, encoding="utf-8")
    return import_module(f"{package.name}.keyset_pagination").Keyset


def test_the_properties_find_every_fault_that_is_planted(
    run: Run,
    sessions: Sessions,
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    missed: list[str] = []
    for number, (fault, *plant) in enumerate(FAULTS[database]):
        keyset = faulty(tmp_path, number, *plant)
        try:
            orders = scenarios.orders_by(FOCUS.get(fault, scenarios.KEYS))
            check_turns(run, sessions, keyset, profile(False, 200), orders)
            check_walks(run, sessions, keyset, profile(False, 100))
            # What is drawn differs between releases of Hypothesis: a rare one needs
            # more of it.
            check_turns(run, sessions, keyset, profile(False, 2_000), orders)
        except Exception:  # a fault may show as any error
            continue
        missed.append(fault)
    assert missed == []
