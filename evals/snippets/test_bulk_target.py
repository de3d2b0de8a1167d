"""Evals for snippets/bulk_target.py."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column

from snippets.bulk_insert import bulk_insert
from snippets.bulk_rows import ABSENT, BadRow, Gaps
from snippets.bulk_target import Target


class Base(DeclarativeBase):
    pass


class Animal(Base):
    __tablename__ = "animal"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column()
    name: Mapped[str | None] = mapped_column("called")
    legs: Mapped[int] = mapped_column(default=4)
    tag: Mapped[str] = mapped_column(
        default=lambda c: f"{c.get_current_parameters()['called']}!"
    )
    state: Mapped[str] = mapped_column(server_default="new")
    noise: Mapped[str | None] = mapped_column(default=func.lower("MEOW"))
    revision: Mapped[int] = mapped_column()
    loud = column_property(func.upper(noise))

    __mapper_args__ = {  # noqa: RUF012
        "polymorphic_on": kind,
        "polymorphic_identity": "animal",
        "version_id_col": revision,
    }


class Dog(Animal):
    __mapper_args__ = {"polymorphic_identity": "dog"}  # noqa: RUF012


class Cow(Animal):
    __tablename__ = "cow"
    __mapper_args__ = {"polymorphic_identity": "cow"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(ForeignKey("animal.id"), primary_key=True)


def collect(*rows: dict[str, Any]) -> dict[str, list[Any]]:
    return Target.of(Animal).collect(rows, 11)


def test_rows_become_columns() -> None:
    assert collect({"name": "a", "legs": 4}, {"legs": 3, "name": "b"}) == {
        "name": ["a", "b"],
        "legs": [4, 3],
    }


def test_a_key_that_some_rows_lack_has_its_default_or_null() -> None:
    given = collect({"name": "a", "tag": "x"}, {"name": "b", "legs": 3}, {"tag": "y"})
    assert given == {
        "name": ["a", "b", ABSENT],
        "tag": ["x", "b!", "y"],
        "legs": [4, 3, 4],
    }


@pytest.mark.parametrize("key", ["state", "noise", "id", "kind"])
def test_a_key_that_only_the_server_has_a_value_for_is_in_all_rows_or_none(
    key: str,
) -> None:
    with pytest.raises(BadRow, match=f"row 12: it lacks what other rows have: {key}"):
        collect({"name": "a", key: "x"}, {"name": "b"})


def test_a_key_that_is_no_column_is_named_with_its_row() -> None:
    with pytest.raises(BadRow, match="row 11: there is no such column: nmae"):
        collect({"nmae": "a"}, {"nmae": "b"})
    with pytest.raises(BadRow, match="row 12: there is no such column: loud"):
        collect({"name": "a"}, {"name": "b", "loud": "c"})


async def test_every_row_gets_what_the_mapper_and_the_defaults_give(
    session: AsyncSession,
) -> None:
    target, rows = Target.of(Dog), [{"name": "a", "tag": "x"}, {"name": "b"}]
    given = target.collect(rows, 1)
    target.complete(given, rows)
    assert given == {
        "name": ["a", "b"],
        "kind": ["dog", "dog"],
        "revision": [1, 1],
        "legs": [4, 4],
        "tag": ["x", "b!"],
    }
    await bulk_insert(session, Dog, rows)
    await bulk_insert(session, Animal, [{"kind": "dog", "name": "c"}])
    dogs = (await session.scalars(Animal.__table__.select())).all()
    assert len(dogs) == 3
    dog = await session.get_one(Animal, dogs[0])
    assert isinstance(dog, Dog)
    assert (dog.noise, dog.state) == ("meow", "new")
    dog.name = "d"
    await session.flush()  # the version is there to be compared


def test_a_class_of_several_tables_is_refused() -> None:
    with pytest.raises(ValueError, match="Cow has several tables"):
        Target.of(Cow)


def test_a_table_is_known_by_the_keys_of_its_columns() -> None:
    columns = Column("a b", Integer, key="ab"), Column("c", String)
    target = Target.of(Table("plain", MetaData(), *columns))
    assert list(target.columns) == ["ab", "c"]
    assert target.fixed == {}
    assert target.version is None


class Note(Base):
    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    place: Mapped[str] = mapped_column(primary_key=True)
    revision: Mapped[int | None] = mapped_column()


class Page(Base):
    __tablename__ = "page"
    id: Mapped[int] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column()

    __mapper_args__ = {"version_id_col": revision}  # noqa: RUF012


class Counted(Base):
    """The server makes its version."""

    __tablename__ = "counted"
    id: Mapped[int] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(server_default="1")

    __mapper_args__ = {  # noqa: RUF012
        "version_id_col": revision,
        "version_id_generator": False,
    }


def test_a_plain_class_has_nothing_that_every_row_has() -> None:
    target = Target.of(Note)
    assert (target.fixed, target.version) == ({}, None)
    assert target.primary_key == ["id", "place"]
    assert Target.of(Page).fixed == {"revision": 1}
    counted = Target.of(Counted)
    assert (counted.fixed, counted.version is not None) == ({}, True)


def test_rows_of_the_same_keys_leave_no_gaps() -> None:
    assert type(collect({"name": "a"}, {"name": "b"})["name"]) is list
    assert type(collect({"name": "a"}, {"legs": 3})["name"]) is Gaps
