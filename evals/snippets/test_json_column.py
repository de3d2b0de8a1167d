"""Evals for snippets/json_column.py."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from sqlalchemy import JSON, Index, MetaData, cast, func, inspect, null, select, update
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH, array
from sqlalchemy.exc import CompileError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.orm.attributes import flag_modified

from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.database_error import savepoint
from snippets.domain_error import DomainError
from snippets.engine import new_engine
from snippets.json_column import JsonDict, JsonList
from snippets.session import new_sessions


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


SETTINGS = Profile.settings
Index("ix_profile_theme", SETTINGS["theme"].as_string())


class Event(Base):
    __tablename__ = "event"

    id: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[JsonDict]


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


@pytest.mark.parametrize("how", ["assign", "flag"])
async def test_a_list_inside_is_saved_once_the_outer_value_is_told(
    session: AsyncSession, how: str
) -> None:
    profile = await saved(session, settings={"menu": [1]}, tags=[["a"]])
    assert profile.tags is not None
    profile.settings["menu"].append(2)
    profile.tags[0].append("b")
    assert profile not in session.dirty
    if how == "assign":
        profile.settings["menu"] = [*profile.settings["menu"]]
        profile.tags[0] = [*profile.tags[0]]
    else:
        flag_modified(profile, "settings")
        flag_modified(profile, "tags")
    profile = await reload(session, profile)
    assert (profile.settings, profile.tags) == ({"menu": [1, 2]}, [["a", "b"]])


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


async def test_a_path_and_an_order_mean_the_same_on_both(
    session: AsyncSession,
) -> None:
    for price, wanted in ((9.5, True), (10.25, False), (2.0, True)):
        await saved(session, settings={"item": {"price": price, "ok": [wanted]}})
    price = SETTINGS["item", "price"].as_float()
    wanted = SETTINGS["item", "ok", 0].as_boolean()
    stmt = select(price).where(wanted.is_(True), price < 100).order_by(price)
    assert (await session.scalars(stmt)).all() == [2.0, 9.5]


@pytest.mark.trap("json-key-missing")
async def test_a_key_that_is_missing_is_null_only_as_text_on_sqlite(
    session: AsyncSession, database: str
) -> None:
    for settings in ({}, {"theme": None}, {"theme": "dark"}):
        await saved(session, settings=settings)

    async def number(condition: Any) -> int | None:
        return await session.scalar(select(func.count(Profile.id)).where(condition))

    assert await number(SETTINGS["theme"].as_string().is_(None)) == 2
    found = {"sqlite": 0, "postgresql": 1}  # where a null is a value, too
    assert await number(SETTINGS["theme"].is_(None)) == found[database]


@pytest.mark.trap("json-index-on-sqlite")
async def test_an_index_on_a_key_is_used_by_postgresql_alone(
    session: AsyncSession, database: str, plan: Any
) -> None:
    dark = select(Profile.id).where(SETTINGS["theme"].as_string() == "dark")
    steps = await plan(session, dark, seqscan=False)
    # The key is a parameter of the query, and text in the index.
    assert ("ix_profile_theme" in steps) is (database == "postgresql")


async def refused(session: AsyncSession, value: Any) -> str:
    with pytest.raises(DomainError) as caught:
        async with savepoint(session, Base.metadata):
            session.add(Event(data={"value": value}))
    return type(caught.value).__name__


@pytest.mark.parametrize("value", ["a\0b", "\ud800"], ids=["NUL", "lone surrogate"])
async def test_postgresql_refuses_text_that_sqlite_stores_in_json(
    session: AsyncSession, database: str, value: str
) -> None:
    if database == "postgresql":
        assert await refused(session, value) == "InvalidValue"
        return
    session.add(Event(data={"value": value}))
    await session.flush()
    assert (await session.scalars(select(Event.data))).one() == {"value": value}


@pytest.mark.trap("json-nan")
async def test_a_nan_spoils_every_query_on_sqlite_and_strict_json_refuses_it(
    session: AsyncSession, database: str, engine: AsyncEngine
) -> None:
    key = select(Event.id).where(Event.data["other"].as_string() == "x")
    if database == "sqlite":
        session.add(Event(data={"value": float("nan")}))
        await session.flush()
        with pytest.raises(DBAPIError, match="malformed JSON"):
            await session.scalars(key)
        await session.rollback()
    else:
        assert await refused(session, float("nan")) == "InvalidValue"

    # Not escaped, a lone surrogate is refused as in any text.
    strict = partial(json.dumps, allow_nan=False, ensure_ascii=False)
    own = new_engine(engine.url, json_serializer=strict)
    async with new_sessions(own)() as other:
        for value in (float("nan"), float("inf"), "\ud800"):
            assert await refused(other, value) == "InvalidValue"
        other.add(Event(data={"value": "ü"}))
        await other.flush()
        assert (await other.scalars(key)).all() == []
    await own.dispose()


async def test_it_is_jsonb_on_postgresql_and_json_on_sqlite(
    engine: AsyncEngine, database: str
) -> None:
    async with engine.connect() as conn:
        columns = await conn.run_sync(lambda c: inspect(c).get_columns("profile"))
    kinds = {c["name"]: str(c["type"]) for c in columns}
    kind = {"sqlite": "JSON", "postgresql": "JSONB"}[database]
    assert (kinds["settings"], kinds["tags"]) == (kind, kind)


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


async def test_the_other_operators_of_jsonb_use_the_same_index(
    session: AsyncSession, database: str, plan: Any
) -> None:
    profile = await saved(session, settings={"theme": "dark", "sizes": [9, 12]})
    path = cast("$.sizes[*] ? (@ > 10)", JSONPATH)
    conditions = [
        SETTINGS.has_key("theme"),
        SETTINGS.has_any(array(["none", "theme"])),
        SETTINGS.has_all(array(["sizes", "theme"])),
        SETTINGS.path_exists(path),
    ]
    for condition in conditions:
        stmt = select(Profile.id).where(condition)
        if database == "sqlite":
            with pytest.raises((DBAPIError, CompileError)):
                await session.scalars(stmt)
            continue
        assert (await session.scalars(stmt)).all() == [profile.id]
        assert "ix_profile_settings" in await plan(session, stmt, seqscan=False)
    if database == "postgresql":
        inside = select(Profile.id).where(SETTINGS.contained_by({"theme": "dark"}))
        assert (await session.scalars(inside)).all() == []
        merged = SETTINGS.concat(cast({"theme": "light"}, JSONB))
        await session.execute(update(Profile).values(settings=merged))
        await session.refresh(profile)
        assert profile.settings == {"theme": "light", "sizes": [9, 12]}
