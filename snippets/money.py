"""Exact decimals on both databases: NUMERIC on PostgreSQL, whole units on SQLite.

SQLite has no decimal type: SQLAlchemy's `Numeric` goes through a float there.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Dialect, Integer, Numeric
from sqlalchemy.sql.operators import OperatorType, mul
from sqlalchemy.types import TypeDecorator, TypeEngine


class Money(TypeDecorator[Decimal]):
    """A decimal with `scale` digits after the point, `precision` (<= 18) in all.

    A value with more digits raises instead of being rounded. Compare, add, order by
    and sum it in SQL, or multiply it by integers; divide and average in Python.
    """

    impl = Numeric
    cache_ok = True

    def __init__(self, precision: int = 18, scale: int = 4) -> None:
        super().__init__(precision, scale)
        self.precision = precision
        self.scale = scale

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(Numeric(self.precision, self.scale))

    def coerce_compared_value(self, op: OperatorType | None, value: Any) -> Any:
        return Integer() if op is mul and isinstance(value, int) else self

    def process_bind_param(
        self, value: Decimal | int | None, dialect: Dialect
    ) -> Decimal | int | None:
        if value is None:
            return None
        if isinstance(value, float):
            raise ValueError(f"{value!r} is a float: use Decimal('...')")
        units = Decimal(value).scaleb(self.scale)
        if not units.is_finite() or units != int(units):
            raise ValueError(f"{value} has more than {self.scale} decimal places")
        if abs(units) >= 10**self.precision:
            raise ValueError(f"{value} has more than {self.precision} digits")
        return int(units) if dialect.name == "sqlite" else Decimal(value)

    def process_result_value(
        self, value: Decimal | None, dialect: Dialect
    ) -> Decimal | None:
        if value is None or dialect.name != "sqlite":
            return value
        return Decimal(value).scaleb(-self.scale)
