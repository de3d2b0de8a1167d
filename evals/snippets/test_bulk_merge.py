"""Evals for snippets/bulk_merge.py."""

from __future__ import annotations

import re
from enum import Enum
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    Index,
    Integer,
    String,
    TypeDecorator,
    false,
    func,
    literal,
    select,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from evals.harness.observe import Statements
from snippets.bulk_merge import Merge
from snippets.bulk_stage import staged
from snippets.bulk_target import Target


class Tags(TypeDecorator[list[str]]):
    impl = JSON
    cache_ok = True


class Base(DeclarativeBase):
    pass


class Page(Base):
    __tablename__ = "page"

    id: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column("pa th", unique=True)
    title: Mapped[str | None]
    tags: Mapped[list[str] | None] = mapped_column(Tags)
    made: Mapped[str] = mapped_column(default=func.lower("NEW"))
    calls: Mapped[int] = mapped_column(default=0, onupdate=lambda: 5)
    kind: Mapped[str] = mapped_column(default="a", onupdate="b")
    origin: Mapped[str] = mapped_column(
        String, default="x", onupdate=func.upper(literal("y"))
    )
    revision: Mapped[int] = mapped_column()

    __mapper_args__ = {"version_id_col": revision}  # noqa: RUF012


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


class Shelf(Base):
    __tablename__ = "shelf"

    floor: Mapped[int] = mapped_column(primary_key=True)
    size: Mapped[Size] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(
        String().with_variant(Integer(), "sqlite"), primary_key=True
    )


class Seat(Base):
    __tablename__ = "seat"

    id: Mapped[int] = mapped_column(primary_key=True)
    row: Mapped[str]
    guest: Mapped[str]
    left: Mapped[bool] = mapped_column(default=False)

    __table_args__ = (
        Index(
            "one_guest",
            "row",
            unique=True,
            sqlite_where=left == false(),
            postgresql_where=left == false(),
        ),
    )


async def merge(
    session: AsyncSession, changed: list[str], **values: list[Any]
) -> tuple[int, int]:
    target = Target.of(Page)
    rows = [
        dict(zip(values, row, strict=True))
        for row in zip(*values.values(), strict=True)
    ]
    target.complete(values, rows)
    numbers = list(range(1, len(rows) + 1))
    async with session.begin_nested():
        connection = await session.connection()
        async with staged(connection, target, values, numbers) as stage:
            rule = Merge(target, stage, list(values), ["path"], changed, None)
            return await rule.run(connection)


async def pages(session: AsyncSession) -> list[Page]:
    stmt = select(Page).order_by(Page.path).execution_options(populate_existing=True)
    return list(await session.scalars(stmt))


async def test_new_rows_have_their_defaults_those_in_sql_too(
    session: AsyncSession,
) -> None:
    assert await merge(session, ["title"], path=["/a", "/b"], title=["A", "B"]) == (
        2,
        0,
    )
    a, b = await pages(session)
    assert (a.title, b.title, a.made, a.calls, a.revision) == ("A", "B", "new", 0, 1)


async def test_only_what_differs_is_written_and_what_onupdate_says(
    session: AsyncSession,
) -> None:
    await merge(session, ["title"], path=["/a", "/b"], title=["A", "B"])
    same = ["A", "C"]
    assert await merge(session, ["title"], path=["/a", "/b"], title=same) == (0, 1)
    a, b = await pages(session)
    assert (a.title, a.calls, a.kind, a.origin, a.revision) == ("A", 0, "a", "x", 1)
    assert (b.title, b.calls, b.kind, b.origin, b.revision) == ("C", 5, "b", "Y", 2)
    # What the rows give goes before what onupdate would.
    await merge(session, ["title", "calls"], path=["/b"], title=["D"], calls=[7])
    assert (await pages(session))[1].calls == 7


async def test_json_that_is_equal_is_no_change(session: AsyncSession) -> None:
    await merge(session, ["tags"], path=["/a"], tags=[["x"]])
    assert await merge(session, ["tags"], path=["/a"], tags=[["x"]]) == (0, 0)
    assert await merge(session, ["tags"], path=["/a", "/b"], tags=[["y"], []]) == (1, 1)


async def test_nothing_to_change_leaves_what_is_there(session: AsyncSession) -> None:
    await merge(session, [], path=["/a"], title=["A"])
    assert await merge(session, [], path=["/b", "/a"], title=["B", "Z"]) == (1, 0)
    assert [page.title for page in await pages(session)] == ["A", "B"]


async def test_the_order_of_text_is_that_of_its_bytes_on_postgresql(
    session: AsyncSession, statements: Statements, database: str
) -> None:
    key = ["floor", "size", "name"]
    values: dict[str, list[Any]] = {
        "floor": [2, 1],
        "size": [Size.SMALL, Size.LARGE],
        "name": ["7", "8"],
    }
    target = Target.of(Shelf)
    async with session.begin_nested():
        connection = await session.connection()
        async with staged(connection, target, values, [1, 2]) as stage:
            with statements() as sent:
                rule = Merge(target, stage, key, key, [], None)
                assert await rule.run(connection) == (2, 0)
    order = [line for sql in sent for line in re.findall("ORDER BY .*? ON", sql)]
    text = [f'CAST(c{i} AS TEXT) COLLATE "C"' for i in (1, 2)]
    expected = f"ORDER BY c0, {', '.join(text)} ON"
    assert [re.sub(r"(pg_temp|bulk_\w+)\.", "", line) for line in order] == {
        "sqlite": [],
        "postgresql": [expected],
    }[database]


@pytest.mark.parametrize("changed", [["guest"], []])
async def test_the_key_may_be_that_of_a_partial_index(
    session: AsyncSession, changed: list[str]
) -> None:
    session.add_all(
        [Seat(row="a", guest="Ann", left=True), Seat(row="b", guest="Bob", left=False)]
    )
    await session.flush()
    target = Target.of(Seat)
    values: dict[str, list[Any]] = {
        "row": ["a", "b"],
        "guest": ["Cid", "Dan"],
        "left": [False, False],
    }
    async with session.begin_nested():
        connection = await session.connection()
        async with staged(connection, target, values, [1, 2]) as stage:
            live = Seat.left == false()
            rule = Merge(target, stage, list(values), ["row"], changed, live)
            assert await rule.run(connection) == (1, len(changed))
    stmt = select(Seat.guest).order_by(Seat.guest)
    last = "Dan" if changed else "Bob"
    assert (await session.scalars(stmt)).all() == sorted(["Ann", "Cid", last])


async def test_another_constraint_than_the_key_is_no_conflict_to_pass_over(
    session: AsyncSession,
) -> None:
    await merge(session, [], path=["/a"], id=[1])
    with pytest.raises(IntegrityError):
        await merge(session, [], path=["/b"], id=[1])
