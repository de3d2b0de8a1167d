"""A temporary table of the rows of one batch: to write many rows by their keys.

It has no limit of parameters on either database, and what compares and counts is one
statement of the server.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from zlib import crc32

from sqlalchemy import TableClause, column, false, select, table
from sqlalchemy.ext.asyncio import AsyncConnection

from .bulk_rows import BadRow, Row, Values
from .bulk_target import Target
from .bulk_write import in_schema, write


@asynccontextmanager
async def staged(
    connection: AsyncConnection,
    target: Target,
    given: Values,
    numbers: Sequence[int],
) -> AsyncGenerator[TableClause, None]:
    """Yield a table with a column for each key of `given`, in order: c0, c1, ...

    Enter it in a savepoint, which removes the table when the block raises.
    """
    source = in_schema(connection, target.table)
    # asyncpg remembers the types of a name: other columns must have another one.
    known = crc32(repr([source.fullname, *given]).encode())
    types = [target.columns[key].type for key in given]
    temporary = "temp" if connection.dialect.name == "sqlite" else "pg_temp"
    stage = table(
        f"bulk_{known:08x}",
        *(column(f"c{i}", kind) for i, kind in enumerate(types)),
        schema=temporary,
    )
    wanted = [source.columns[target.columns[key].key] for key in given]
    empty = select(*(c.label(f"c{i}") for i, c in enumerate(wanted))).where(false())
    sql = empty.compile(dialect=connection.dialect)
    await connection.exec_driver_sql(f"CREATE TABLE {stage.fullname} AS {sql}")
    await write(connection, stage, list(stage.columns.keys()), given, numbers)
    yield stage
    await connection.exec_driver_sql(f"DROP TABLE {stage.fullname}")


def last_rows(
    rows: Sequence[Row], first: int, key: Sequence[str]
) -> tuple[Sequence[Row], Sequence[int]]:
    """Return the last row of each key, and their numbers.

    Raises:
        BadRow: a row has other keys than the first, or its key is NULL, which equals
            nothing.
    """
    expected = rows[0].keys()
    if missing := [name for name in key if name not in expected]:
        raise BadRow(first, "it lacks its key", *missing)
    for number, row in enumerate(rows, first):
        if row.keys() != expected:
            other = sorted(row.keys() ^ expected)
            raise BadRow(number, "only some rows of its batch have", *other)
    parts = [[row[name] for row in rows] for name in key]
    for part in parts:
        if None in part:
            raise BadRow(first + part.index(None), "its key is NULL", *key)
    last = {ident: place for place, ident in enumerate(zip(*parts, strict=True))}
    if len(last) == len(rows):
        return rows, range(first, first + len(rows))
    places = sorted(last.values())
    return [rows[place] for place in places], [first + place for place in places]
