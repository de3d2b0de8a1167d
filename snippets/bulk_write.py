"""Rows into a table as fast as the driver can: COPY on PostgreSQL, else executemany.

Neither has a limit of parameters, and both take what their driver takes: values that
have been through the types of the columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import length_hint
from typing import Any

from sqlalchemy import (
    ColumnClause,
    Dialect,
    MetaData,
    Table,
    TableClause,
    bindparam,
    insert,
)
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine, UserDefinedType

from .bulk_rows import BadRow, Values, bind, unwrapped


async def write(
    connection: AsyncConnection,
    table: TableClause,
    keys: Sequence[str],
    values: Values,
    numbers: Sequence[int],
) -> None:
    """Insert values, column by column, into the columns of a table with these keys.
    `numbers` are those of the rows, for errors.

    Enter a savepoint before: COPY would begin no transaction and commit itself.

    Raises:
        BadRow: a type or the driver does not take a value.
        IntegrityError: the database refuses a row. DBAPIError: any other reason.
    """
    if not values:
        raise BadRow(numbers[0], "it is empty")
    dialect = connection.dialect
    columns = [table.columns[key] for key in keys]
    # COPY knows no casts, no functions, and no default that is not the server's.
    left = [c for c in table.columns if c.default is not None and c.key not in keys]
    types = [column.type for column in columns]
    plain = not left and all(_plain(kind, dialect) for kind in types)
    if dialect.name == "postgresql" and plain:
        bound = bind(values, types, numbers, dialect)
        await _copy(connection, table, columns, bound, numbers)
        return
    # Without RETURNING, and with defaults that are SQL in the statement's text.
    stmt = insert(table).inline().compile(dialect=dialect, column_keys=keys)
    given = dict(zip(keys, values.items(), strict=True))
    order = stmt.positiontup or []
    parts = [given.get(n) or (n, [stmt.params[n]] * len(numbers)) for n in order]
    bound = bind(dict(parts), [stmt.binds[n].type for n in order], numbers, dialect)
    await connection.exec_driver_sql(str(stmt), list(zip(*bound, strict=True)))


async def _copy(
    connection: AsyncConnection,
    table: TableClause,
    columns: Sequence[ColumnClause[Any]],
    values: Sequence[list[Any]],
    numbers: Sequence[int],
) -> None:
    driver: Any = (await connection.get_raw_connection()).driver_connection
    taken = iter(values[0])
    try:
        await driver.copy_records_to_table(
            table.name,
            schema_name=table.schema,
            columns=[column.name for column in columns],
            # Not a list: each row is gone when it is sent.
            records=zip(taken, *values[1:], strict=True),
        )
    except (TypeError, ValueError, ArithmeticError, AttributeError) as exc:
        # What asyncpg's encoders raise, for the last row that they took.
        number = numbers[len(values[0]) - length_hint(taken) - 1]
        raise BadRow(number, "a value has the wrong type or is out of range") from exc
    except Exception as exc:
        if state := getattr(exc, "sqlstate", None):
            raise copy_error(exc, state, connection, table) from exc
        raise


def copy_error(
    exc: Exception, state: str, connection: AsyncConnection, table: TableClause
) -> DBAPIError:
    """Return what SQLAlchemy would raise if the statement were its own. A note says
    in which line of the data PostgreSQL found it."""
    dbapi: Any = connection.dialect.loaded_dbapi
    orig = dbapi.Error(str(exc))
    orig.sqlstate = orig.pgcode = state
    orig.__cause__ = exc
    kind = IntegrityError if state.startswith("23") else DBAPIError
    error = kind(f"COPY {table.fullname} FROM STDIN", None, orig)
    error.add_note(str(getattr(exc, "context", "")))
    return error


def _plain(kind: TypeEngine[Any], dialect: Dialect) -> bool:
    """Tell whether a type needs no SQL around its values, and asyncpg knows it."""
    around = kind.bind_expression(bindparam("value"))
    return around is None and not isinstance(unwrapped(kind, dialect), UserDefinedType)


def in_schema(connection: AsyncConnection, table: Table) -> Table:
    """Return the table in the schema that `schema_translate_map` names."""
    assert connection.sync_connection is not None
    schema: Any = connection.sync_connection.schema_for_object(table)
    if schema == table.schema:
        return table
    return table.to_metadata(MetaData(), schema=schema)
