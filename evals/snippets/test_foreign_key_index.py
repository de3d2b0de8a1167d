"""Evals for snippets/foreign_key_index.py, and of what it warns of."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
    delete,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from snippets.foreign_key_index import unindexed_foreign_keys

CHILDREN = 3_000


class Base(DeclarativeBase):
    pass


class Shelf(Base):
    __tablename__ = "shelf"

    id: Mapped[int] = mapped_column(primary_key=True)


class Jar(Base):
    __tablename__ = "jar"

    id: Mapped[int] = mapped_column(primary_key=True)
    shelf_id: Mapped[int] = mapped_column(ForeignKey("shelf.id", ondelete="CASCADE"))


class Tin(Base):
    __tablename__ = "tin"

    id: Mapped[int] = mapped_column(primary_key=True)
    shelf_id: Mapped[int] = mapped_column(
        ForeignKey("shelf.id", ondelete="CASCADE"), index=True
    )


def table(*parts: Any, columns: str = "a b c") -> list[str]:
    """Return what is found in a table whose `a` and `b` refer to a composite key."""
    metadata = MetaData()
    Table(
        "parent",
        metadata,
        Column("x", Integer, primary_key=True),
        Column("y", Integer, primary_key=True),
    )
    Table(
        "child",
        metadata,
        *(Column(name, Integer) for name in columns.split()),
        ForeignKeyConstraint(["a", "b"], ["parent.x", "parent.y"]),
        *parts,
    )
    return unindexed_foreign_keys(metadata)


def test_the_keys_without_an_index_are_named() -> None:
    assert unindexed_foreign_keys(Base.metadata) == ["jar(shelf_id)"]
    assert table() == ["child(a, b)"]
    assert table(ForeignKeyConstraint(["c", "a"], ["parent.x", "parent.y"])) == [
        "child(a, b)",
        "child(c, a)",
    ]


@pytest.mark.parametrize(
    "columns", [("a", "b"), ("b", "a"), ("a", "b", "c"), ("b", "a", "c")]
)
def test_an_index_that_begins_with_the_key_serves_in_either_order(
    columns: tuple[str, ...],
) -> None:
    assert table(Index("ix", *columns)) == []
    assert table(UniqueConstraint(*columns)) == []


@pytest.mark.parametrize(
    "columns", [("a",), ("a", "c"), ("c", "a", "b"), ("a", "c", "b")]
)
def test_another_index_does_not(columns: tuple[str, ...]) -> None:
    assert table(Index("ix", *columns)) == ["child(a, b)"]


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
def test_neither_a_partial_index_nor_one_on_an_expression_serves(dialect: str) -> None:
    where: Any = {f"{dialect}_where": text("c > 0")}
    assert table(Index("ix", "a", "b", **where)) == ["child(a, b)"]
    assert table(Index("ix", "a", text("abs(b)"))) == ["child(a, b)"]
    assert table(Index("ix", text("abs(c)"), "a", "b")) == ["child(a, b)"]
    assert table(Index("ix", "a", "b", text("abs(c)"))) == []


def test_an_index_with_other_options_serves() -> None:
    assert table(Index("ix", "a", "b", postgresql_include=["c"])) == []


def test_a_primary_key_serves_by_its_first_columns() -> None:
    """An association needs an index on the second of its keys."""
    metadata = MetaData()
    Table("left", metadata, Column("id", Integer, primary_key=True))
    Table(
        "link",
        metadata,
        Column("a", ForeignKey("left.id"), primary_key=True),
        Column("b", ForeignKey("left.id"), primary_key=True),
    )
    assert unindexed_foreign_keys(metadata) == ["link(b)"]


async def read_rows(session: AsyncSession, model: Any) -> int:
    """Return how many rows of a table this transaction has read by scans."""
    await session.flush()
    counted = text(
        "SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = :name"
    )
    return await session.scalar(counted, {"name": model.__tablename__}) or 0


@pytest.mark.trap("foreign-key-scan")
async def test_a_parent_that_goes_reads_all_of_an_unindexed_table(
    session: AsyncSession, database: str, plan: Any
) -> None:
    session.add_all([Shelf(id=1), Shelf(id=2), Shelf(id=3)])
    await session.flush()
    children = [{"shelf_id": 3} for _ in range(CHILDREN)]
    await session.execute(insert(Jar), children)
    await session.execute(insert(Tin), children)
    two = delete(Shelf).where(Shelf.id < 3)
    if database == "sqlite":
        steps = (await plan(session, two)).splitlines()
        assert "SCAN jar" in steps
        assert [s for s in steps if "tin" in s] == [
            "SEARCH tin USING COVERING INDEX ix_tin_shelf_id (shelf_id=?)"
        ]
        return
    await session.commit()
    await session.execute(text("ANALYZE jar, tin"))
    before = await read_rows(session, Jar), await read_rows(session, Tin)
    await session.execute(two)
    after = await read_rows(session, Jar), await read_rows(session, Tin)
    assert (after[0] - before[0], after[1] - before[1]) == (2 * CHILDREN, 0)
    assert await session.scalar(select(func.count(Jar.id))) == CHILDREN
