"""One row for a unique key, got or created or upserted, without a race.

tag, created = await get_or_create(session, Tag, {"name": "red"})
stock = await upsert(session, Stock, {"sku": sku}, {"quantity": 5})
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, TextClause, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import class_mapper

from .domain_error import AlreadyExists, UnknownField

M = TypeVar("M", bound=object)


async def get_or_create(
    session: AsyncSession,
    model: type[M],
    key: Mapping[str, Any],
    values: Mapping[str, Any] | None = None,
) -> tuple[M, bool]:
    """Return the row with this unique key, and whether this call made it.

    One statement if the row is there, two if not, three if another transaction makes
    it meanwhile (this one then waits for that one's end). `values` are for a new row.

    Raises:
        AlreadyExists: the key is taken by a row that a select does not see (it is
            soft-deleted, or younger than a REPEATABLE READ snapshot), or another
            unique value is.
    """
    query = select(model).filter_by(**key)
    if found := (await session.scalars(query)).one_or_none():
        return found, False
    stmt = _insert(session, model).values(_columns(model, {**key, **(values or {})}))
    rows = await session.scalars(stmt.on_conflict_do_nothing().returning(model))
    if made := rows.one_or_none():
        return made, True
    if found := (await session.scalars(query)).one_or_none():
        return found, False
    raise AlreadyExists(key)


async def upsert(
    session: AsyncSession,
    model: type[M],
    key: Mapping[str, Any],
    values: Mapping[str, Any],
    *,
    index_where: ColumnElement[bool] | TextClause | None = None,
) -> M:
    """Insert the row with this unique key, or change `values` in it; one statement.

    `onupdate` columns change with it, a version column counts on. `index_where` is
    the condition of a partial unique index, as the index says it.
    """
    mapper = class_mapper(model)
    stmt = _insert(session, model).values(_columns(model, {**key, **values}))
    changed: dict[ColumnElement[Any], ColumnElement[Any]] = {
        column: stmt.excluded[column.name] for column in _columns(model, values)
    }
    for column in mapper.columns:
        if column.onupdate is not None and column.default is not None:
            # An upsert is an INSERT: it has the value for a new row.
            changed.setdefault(column, stmt.excluded[column.name])
    if mapper.version_id_col is not None:
        changed[mapper.version_id_col] = mapper.version_id_col + 1
    stmt = stmt.on_conflict_do_update(
        index_elements=list(_columns(model, key)),
        index_where=index_where,
        set_=changed,
    )
    # Without it an object that the session holds would keep its old values.
    options = {"populate_existing": True}
    rows = await session.scalars(stmt.returning(model), execution_options=options)
    return rows.one()


def _insert(
    session: AsyncSession, model: type[Any]
) -> postgresql.Insert | sqlite.Insert:
    if session.get_bind().dialect.name == "sqlite":
        return sqlite.insert(model)
    return postgresql.insert(model)


def _columns(model: type[Any], values: Mapping[str, Any]) -> dict[Column[Any], Any]:
    columns = class_mapper(model).columns
    if unknown := values.keys() - set(columns.keys()):
        raise UnknownField(sorted(unknown))
    return {columns[name]: value for name, value in values.items()}
