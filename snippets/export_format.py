"""Rows as CSV or as JSON lines, a batch at a time, for a file or a response."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncGenerator, Iterable
from typing import Any

from pydantic import ConfigDict, TypeAdapter
from sqlalchemy import Executable
from sqlalchemy.ext.asyncio import AsyncSession

from .row_stream import BATCH, open_stream

# A spreadsheet takes a text that begins so for a formula, and runs it.
# https://owasp.org/www-community/attacks/CSV_Injection
FORMULA = ("=", "+", "-", "@", "\t", "\r")
ANY = TypeAdapter[Any](Any, config=ConfigDict(ser_json_bytes="base64"))


async def csv_chunks(
    session: AsyncSession, stmt: Executable, *, spreadsheet: bool = False
) -> AsyncGenerator[bytes, None]:
    """Yield CSV in UTF-8: a line with the names of the columns, then the rows.

    NULL is an empty cell, a time is ISO 8601, a list or an object is JSON.
    `spreadsheet` puts an apostrophe before text that would be taken for a formula, and
    begins with the mark by which Excel knows UTF-8.
    """
    async with open_stream(session, stmt, BATCH) as result:
        yield b"\xef\xbb\xbf" * spreadsheet + _csv([result.keys()], spreadsheet)
        async for rows in result.partitions():
            yield _csv(rows, spreadsheet)


async def json_lines(
    session: AsyncSession, stmt: Executable
) -> AsyncGenerator[bytes, None]:
    """Yield NDJSON: each row is an object on a line of its own."""
    async with open_stream(session, stmt, BATCH) as result:
        names = list(result.keys())
        async for rows in result.partitions():
            objects = (dict(zip(names, row, strict=True)) for row in rows)
            yield b"".join(ANY.dump_json(each) + b"\n" for each in objects)


def _csv(rows: Iterable[Iterable[Any]], spreadsheet: bool) -> bytes:
    lines = io.StringIO()
    writer = csv.writer(lines)
    for row in rows:
        writer.writerow([_cell(value, spreadsheet) for value in row])
    return lines.getvalue().encode()


def _cell(value: Any, spreadsheet: bool) -> Any:
    if value is None or type(value) in (int, float):
        return value
    if not isinstance(value, str):
        value = ANY.dump_python(value, mode="json")
        if not isinstance(value, str):
            return ANY.dump_json(value).decode()
    return f"'{value}" if spreadsheet and value.startswith(FORMULA) else value
