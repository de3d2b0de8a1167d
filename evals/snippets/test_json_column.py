"""Evals for snippets/json_column.py."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import JSON, Index, MetaData, func, null, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.json_column import JsonDict, JsonList


class Base(DeclarativeBase):
    """Apart from the tables of other evals."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


class Profile(Base):
    __tablename__ = "profile"

    id: Mapped[int] = mapped_column(primary_key=True)
    settings: Mapped[JsonDict] = mapped_column(default=dict)
    tags: Mapped[JsonList | None]
    plain: Mapped[Any | None] = mapped_column(JSON)
    reversed: Mapped[Any | None] = mapped_column(JSON())

    __table_args__ = (Index("ix_profile_settings", "settings", postgresql_using="gin"),)


async def saved(session: AsyncSession, **values: Any) -> Profile:
    profile = Profile(**values)
    session.add(profile)
    await session.commit()
    return profile


async def reload(session: AsyncSession, profile: Profile) -> Profile:
    await session.commit()
    await session.refresh(profile)
    return profile


async def test_changes_of_the_outer_value_are_saved(session: AsyncSession) -> None:
    profile = await saved(session, settings={"a": 1}, tags=["x"])
    profile.settings["b"] = [1, {"c": None}]
    assert profile.tags is not None
    profile.tags.append("y")
    profile = await reload(session, profile)
    assert profile.settings == {"a": 1, "b": [1, {"c": None}]}
    assert profile.tags == ["x", "y"]


@pytest.mark.trap("nested-change")
async def test_a_change_inside_is_lost_and_an_assignment_is_not(
    session: AsyncSession,
) -> None:
    profile = await saved(session, settings={"menu": {"open": False}})
    profile.settings["menu"]["open"] = True
    profile = await reload(session, profile)
    assert profile.settings == {"menu": {"open": False}}

    profile.settings["menu"] = {**profile.settings["menu"], "open": True}
    profile = await reload(session, profile)
    assert profile.settings == {"menu": {"open": True}}


async def test_each_row_has_a_default_of_its_own(session: AsyncSession) -> None:
    first = await saved(session)
    first.settings["secret"] = True
    second = await saved(session)
    assert second.settings == {}


@pytest.mark.trap("json-null")
async def test_none_is_null_in_sql_and_the_plain_type_stores_a_json_null(
    session: AsyncSession,
) -> None:
    await saved(session, tags=None, plain=None)
    is_null = select(Profile.tags.is_(None), Profile.plain.is_(None))
    assert (await session.execute(is_null)).one() == (True, False)


async def test_a_key_is_compared_as_text_or_number_on_both(
    session: AsyncSession,
) -> None:
    await saved(session, settings={"theme": "dark", "size": 12})
    await saved(session, settings={"theme": "light", "size": 9})
    theme = Profile.settings["theme"].as_string()
    size = Profile.settings["size"].as_integer()
    dark = select(theme, size).where(theme == "dark", size > 10)
    assert (await session.execute(dark)).one() == ("dark", 12)
    counts = select(theme, func.count()).group_by(theme).order_by(theme)
    assert (await session.execute(counts)).all() == [("dark", 1), ("light", 1)]
    missing = Profile.settings["none"].as_string().is_(None)
    assert await session.scalar(select(func.count()).where(missing)) == 2


@pytest.mark.trap("json-distinct")
async def test_rows_can_be_distinct_which_plain_json_cannot_on_postgresql(
    session: AsyncSession, database: str
) -> None:
    await saved(session, settings={"a": 1}, plain=null())
    await saved(session, settings={"a": 1}, plain=null())
    same = select(Profile.settings).distinct()
    assert len((await session.scalars(same)).all()) == 1
    plain = session.scalars(select(Profile.plain).distinct())
    if database == "sqlite":
        assert len((await plain).all()) == 1
    else:
        with pytest.raises(DBAPIError, match="equality operator"):
            await plain


@pytest.mark.trap("contains-on-sqlite")
async def test_containment_is_an_operator_of_postgresql_alone(
    session: AsyncSession, database: str, plan: Any
) -> None:
    profile = await saved(session, settings={"theme": "dark", "size": 12})
    contains = select(Profile.id).where(Profile.settings.contains({"theme": "dark"}))
    if database == "sqlite":
        with pytest.raises(DBAPIError):
            await session.scalars(contains)
    else:
        assert (await session.scalars(contains)).all() == [profile.id]
        assert "ix_profile_settings" in await plan(session, contains, seqscan=False)
