"""A SELECT with EXPLAIN before it, bound like the statement itself.

    plan = await connection.scalar(Explain(stmt, "EXPLAIN (FORMAT JSON)"))

Execute it on a connection: a session's events add options that EXPLAIN cannot take.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Executable
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement


class Explain(Executable, ClauseElement):
    """What the database says of a SELECT; `prefix` is SQL: say it in the code."""

    inherit_cache = False

    def __init__(self, statement: ClauseElement, prefix: str) -> None:
        self.statement = statement
        self.prefix = prefix


@compiles(Explain)
def _compile(element: Explain, compiler: Any, **kw: Any) -> str:
    sql = compiler.process(element.statement, **kw)
    # The types of the statement's columns would read the lines of the plan.
    compiler._result_columns.clear()
    return f"{element.prefix} {sql}"
