"""Insert any number of rows: COPY on PostgreSQL, executemany on SQLite.

await bulk_insert(session, Note, rows)               # all or nothing
ids = await bulk_insert_keys(session, Note, rows)    # in the order of the rows
async for done in bulk_insert_batches(sessions, Note, rows): ...  # commits each
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import Cast, Table, func, select
from sqlalchemy import Sequence as Counter
from sqlalchemy.dialects.postgresql import REGCLASS
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_sessionmaker

from .bulk_rows import Row, Rows, batches
from .bulk_target import Target
from .bulk_write import in_schema, write

BATCH = 20_000


async def bulk_insert(
    session: AsyncSession, model: type[Any] | Table, rows: Rows, *, batch: int = BATCH
) -> int:
    """Insert rows in the caller's transaction, all or none; return how many.

    Defaults and types apply as in the ORM; relationships and ORM events do not.
    Memory holds `batch` rows at a time. A column that the server fills is given in
    all rows of a batch or in none.

    Raises:
        BadRow: a row does not fit; nothing is inserted, the transaction goes on.
        IntegrityError: the database refuses one; likewise.
    """
    target, count = Target.of(model), 0
    async with session.begin_nested():
        connection = await session.connection()
        async for first, part in batches(rows, batch):
            await _insert(connection, target, part, first)
            count += len(part)
    return count


async def bulk_insert_keys(
    session: AsyncSession, model: type[Any] | Table, rows: Rows, *, batch: int = BATCH
) -> list[Any]:
    """Insert like `bulk_insert`; return the primary keys in the order of the rows,
    tuples if they are composite. The database's counter gives them beforehand."""
    target, keys = Target.of(model), list[Any]()
    names = target.primary_key
    async with session.begin_nested():
        connection = await session.connection()
        async for first, part in batches(rows, batch):
            given = await _insert(connection, target, part, first, names)
            columns = [given[name] for name in names]
            keys += zip(*columns, strict=True) if len(names) > 1 else columns[0]
    return keys


async def bulk_insert_batches(
    sessions: async_sessionmaker[AsyncSession],
    model: type[Any] | Table,
    rows: Rows,
    *,
    batch: int = BATCH,
) -> AsyncIterator[int]:
    """Insert rows, commit after each batch, and yield how many are stored by then.
    After an error these stay: pass the rest of the rows to go on."""
    target = Target.of(model)
    async for first, part in batches(rows, batch):
        async with sessions.begin() as session, session.begin_nested():
            await _insert(await session.connection(), target, part, first)
        yield first - 1 + len(part)


async def _insert(
    connection: AsyncConnection,
    target: Target,
    rows: Sequence[Row],
    first: int,
    keys: Sequence[str] = (),
) -> dict[str, Sequence[Any]]:
    """Return the values of the columns as they were given, and those of `keys`."""
    given = target.collect(rows, first)
    target.complete(given, rows)
    unknown = [key for key in keys if key not in given]
    for key in unknown:
        if target.columns[key] is not target.table.autoincrement_column:
            raise ValueError(f"{key} is made by the server: make it in Python")
    postgresql = connection.dialect.name == "postgresql"
    if postgresql:
        given |= {k: await _next(connection, target, k, len(rows)) for k in unknown}
    columns = [target.columns[key].key for key in given]
    table = in_schema(connection, target.table)
    await write(connection, table, columns, given, range(first, first + len(rows)))
    known: dict[str, Sequence[Any]] = {**given}
    for key in () if postgresql else unknown:
        # The transaction holds the write lock, so they follow each other.
        counter = await connection.execute(select(func.last_insert_rowid()))
        last: int = counter.scalar_one()
        known[key] = range(last - len(rows) + 1, last + 1)
    return known


async def _next(
    connection: AsyncConnection, target: Target, key: str, number: int
) -> list[Any]:
    """Take that many values from the counter of a column."""
    column, table = target.columns[key], in_schema(connection, target.table)
    name = connection.dialect.identifier_preparer.format_table(table)
    counter = func.pg_get_serial_sequence(name, column.name)
    value: Any = func.nextval(Cast(counter, REGCLASS))
    if isinstance(column.default, Counter):  # which belongs to no column
        value = column.default.next_value()
    stmt = select(value).select_from(func.generate_series(1, number))
    return list(await connection.scalars(stmt))
