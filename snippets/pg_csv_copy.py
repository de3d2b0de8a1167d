"""CSV into a table by PostgreSQL itself: the fastest way for files that you trust.

number = await copy_csv(session, Note, Path("notes.csv"), ["id", "title"])
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncSession

from .bulk_rows import each
from .bulk_target import Target
from .bulk_write import copy_error, in_schema
from .domain_error import UnknownField


async def copy_csv(
    session: AsyncSession,
    model: type[Any] | Table,
    source: Path | Iterable[bytes] | AsyncIterable[bytes],
    columns: Sequence[str],
    *,
    delimiter: str = ",",
    null: str = "",
) -> int:
    """Insert the records of CSV in UTF-8 in the caller's transaction; return how many.

    `columns` are the keys of the columns, in the order of the file, whose first line
    has their names. Values are as PostgreSQL writes them; `null` without quotes is
    NULL. Defaults in Python do not apply, those of the server do.

    Raises:
        IntegrityError: PostgreSQL refuses a record. DBAPIError: it cannot read one,
            or the names are wrong. Nothing is inserted; a note names the line.
        UnknownField: there is no such column.
    """
    target = Target.of(model)
    if unknown := set(columns) - target.columns.keys():
        raise UnknownField(sorted(unknown))
    # A COPY begins no transaction; the savepoint does.
    async with session.begin_nested():
        connection = await session.connection()
        table = in_schema(connection, target.table)
        driver: Any = (await connection.get_raw_connection()).driver_connection
        try:
            status: str = await driver.copy_to_table(
                table.name,
                schema_name=table.schema,
                columns=[target.columns[key].name for key in columns],
                source=source if isinstance(source, Path) else each(source),
                format="csv",
                header="MATCH",
                delimiter=delimiter,
                null=null,
            )
        except Exception as exc:
            if state := getattr(exc, "sqlstate", None):
                raise copy_error(exc, state, connection, table) from exc
            raise
    return int(status.removeprefix("COPY "))
