"""Rows out of a CSV file or upload, checked line by line: all errors, with their lines.

rows = csv_rows(request.stream(), NoteIn)
await bulk_insert(session, Note, rows)  # BadLines: nothing is inserted
"""

from __future__ import annotations

import csv
from codecs import getincrementaldecoder
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from typing import Any

from pydantic import BaseModel, ValidationError

from .bulk_rows import each
from .domain_error import DomainError

Source = Iterable[bytes] | AsyncIterable[bytes]


class BadLines(DomainError):
    """Lines that are not as the schema says; `problems` has a text for each, such as
    "line 17: price: Input should be a valid decimal". They count from 1, the line of
    names included; a record of several lines has the number of its last."""

    def __init__(self, *problems: str) -> None:
        super().__init__()
        self.problems = problems
        self.args = ("; ".join(problems),)


async def csv_rows(
    source: Source,
    schema: type[BaseModel],
    *,
    delimiter: str = ",",
    at_most: int = 20,
    longest: int = 100_000,
) -> AsyncGenerator[dict[str, Any], None]:
    """Yield the records of CSV in UTF-8 as rows that the schema has checked.

    The first line names fields in any order. An empty cell is not given: the default
    of the field applies. A record has at most `longest` characters. After the first
    bad line no more rows come, only problems: `at_most` so many.

    Raises:
        BadLines: behind the last line, or where reading on is useless.
    """
    described = schema.model_json_schema()
    names: list[str] = []
    problems: list[str] = []
    async for number, cells in _records(source, longest, delimiter):
        if not names:
            names = cells
            unknown = {name for name in names if name not in described["properties"]}
            missing = set(described.get("required", ())) - set(names)
            if len(set(names)) < len(names) or unknown or missing:
                wrong = f"unknown {sorted(unknown)}, missing {sorted(missing)}"
                raise BadLines(f"line {number}: the names are wrong: {wrong}")
            continue
        try:
            given = {n: cell for n, cell in zip(names, cells, strict=True) if cell}
            row = schema.model_validate_strings(given)
        except ValidationError as exc:
            for error in exc.errors():
                field = ".".join(map(str, error["loc"]))
                problems.append(f"line {number}: {field}: {error['msg']}")
        except ValueError:
            counts = f"{len(cells)} cells under {len(names)} names"
            problems.append(f"line {number}: {counts}")
        else:
            if not problems:
                yield row.model_dump()
        if len(problems) >= at_most:
            break
    if problems:
        raise BadLines(*problems[:at_most])


async def _records(
    source: Source, longest: int, delimiter: str
) -> AsyncIterator[tuple[int, list[str]]]:
    """Yield the cells of each record, and the number of its last line."""
    number, record, quotes = 0, "", 0
    async for line in _lines(source, longest):
        number += 1
        record += line
        quotes += line.count('"')
        if quotes % 2 and len(record) <= longest:
            continue  # a line break in a quoted cell
        try:
            for cells in csv.reader([record], strict=True, delimiter=delimiter):
                if cells:
                    yield number, cells
        except csv.Error as exc:
            raise BadLines(f"line {number}: {exc}") from exc
        record = ""
    if record:
        raise BadLines(f"line {number}: a quote is never closed")


async def _lines(source: Source, longest: int) -> AsyncIterator[str]:
    decoder, rest, number = getincrementaldecoder("utf-8-sig")(), "", 1
    try:
        async for chunk in each(source):
            *lines, rest = (rest + decoder.decode(chunk)).split("\n")
            for line in lines:
                yield line + "\n"
                number += 1
            if len(rest) > longest:
                raise BadLines(f"line {number}: it is longer than {longest} characters")
        if rest := rest + decoder.decode(b"", final=True):
            yield rest
    except UnicodeDecodeError as exc:
        raise BadLines(f"line {number} or later: this is not UTF-8") from exc
