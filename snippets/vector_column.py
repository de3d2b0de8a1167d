"""Vectors and their nearest neighbours: pgvector on PostgreSQL, exact on SQLite.

    embedding: Mapped[list[float]] = mapped_column(Vector(384))
    stmt = select(Note).order_by(cosine_distance(Note.embedding, asked)).limit(10)

https://github.com/pgvector/pgvector
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from math import isfinite, sqrt
from operator import mul
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType


class PostgresqlVector(UserDefinedType[Any]):
    """What a revision must not name: write `Vector(384)` in its place."""

    def __init__(self, size: int) -> None:
        self.size = size

    def get_col_spec(self, **options: Any) -> str:
        return f"vector({self.size})"


KNOWN: dict[str, Any] = ischema_names  # to inspection
KNOWN["vector"] = PostgresqlVector


class Vector(TypeDecorator[Sequence[float]]):
    """`size` numbers of 32 bits; read as a list."""

    impl = PostgresqlVector
    cache_ok = True

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        stored = sa.LargeBinary() if dialect.name == "sqlite" else self.impl_instance
        return dialect.type_descriptor(stored)

    def process_bind_param(
        self, value: Sequence[float] | None, dialect: sa.Dialect
    ) -> bytes | str | None:
        if value is None:
            return None
        numbers = array("f", value)
        if len(numbers) != self.size or not all(map(isfinite, numbers)):
            raise ValueError(f"expected {self.size} finite numbers, not {len(numbers)}")
        return numbers.tobytes() if dialect.name == "sqlite" else str(numbers.tolist())

    def process_result_value(
        self, value: Any, dialect: sa.Dialect
    ) -> list[float] | None:
        if isinstance(value, bytes):
            return array("f", value).tolist()
        return None if value is None else [float(n) for n in json.loads(value)]


class cosine_distance(FunctionElement[float]):
    """0 for the same direction, 1 for none in common, 2 for the opposite."""

    inherit_cache = True

    def __init__(self, column: Any, asked: Sequence[float]) -> None:
        super().__init__(column, sa.literal(asked, column.type))


def vector_index(column: Any, name: str) -> sa.Index:
    """Return an HNSW index for `cosine_distance`; on SQLite it is one without rows."""
    ops = {column.key: "vector_cosine_ops"}
    options: dict[str, Any] = {"postgresql_using": "hnsw", "postgresql_ops": ops}
    return sa.Index(name, column, **options, sqlite_where=sa.false())


async def search_on(session: AsyncSession) -> None:
    """Let this transaction's searches read on until enough rows pass their filters:
    an HNSW index hands out 40, and the WHERE comes after. From pgvector 0.8 on."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(sa.text("SET LOCAL hnsw.iterative_scan = strict_order"))


def configure_vectors(engine: AsyncEngine) -> None:
    """Make each SQLite connection that `engine` opens from now on measure distances."""
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _add_function)


def _add_function(connection: Any, record: object) -> None:
    connection.create_function("cosine_distance", 2, _cosine)


def _cosine(left: bytes | None, right: bytes | None) -> float | None:
    if left is None or right is None:
        return None
    a, b = array("f", left), array("f", right)
    lengths = sqrt(sum(map(mul, a, a)) * sum(map(mul, b, b)))
    return 1 - sum(map(mul, a, b)) / lengths if lengths else None


@compiles(cosine_distance)
def _compile(element: cosine_distance, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    if compiler.dialect.name == "sqlite":
        return f"cosine_distance({left}, {right})"
    return f"({left} <=> {right})"
