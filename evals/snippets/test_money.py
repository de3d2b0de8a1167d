"""Evals for snippets/money.py."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import MetaData, Numeric, func, select, text
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.money import Money


class Base(DeclarativeBase):
    """Apart from the tables of other evals."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


# SQLAlchemy warns of its own type, which is here to be shown.
pytestmark = pytest.mark.filterwarnings("ignore:Dialect sqlite")
LARGE = Decimal("12345678901234.5678")


class Line(Base):
    __tablename__ = "line"

    id: Mapped[int] = mapped_column(primary_key=True)
    price: Mapped[Decimal | None]
    cents: Mapped[Decimal | None] = mapped_column(Money(5, 2))
    count: Mapped[int] = mapped_column(default=1)
    plain: Mapped[Decimal | None] = mapped_column(Numeric(18, 4))


async def store(session: AsyncSession, *prices: Decimal | int | None) -> None:
    session.add_all(Line(price=price) for price in prices)
    await session.flush()
    session.expunge_all()


@pytest.mark.parametrize(
    "price", [LARGE, -LARGE, Decimal("0.0001"), Decimal("1E2"), None]
)
async def test_a_decimal_comes_back_exact(
    session: AsyncSession, price: Decimal | None
) -> None:
    await store(session, price)
    assert await session.scalar(select(Line.price)) == price
    found = (await session.scalars(select(Line))).one()
    assert found.price == price
    assert str(found.price) in {"None", f"{price or 0:.4f}"}


async def test_decimals_are_compared_sorted_and_summed_in_sql(
    session: AsyncSession,
) -> None:
    await store(session, Decimal("9.5"), Decimal("10.25"), 100, LARGE, None)
    ordered = select(Line.price).where(Line.price > 9).order_by(Line.price)
    assert (await session.scalars(ordered)).all() == [
        Decimal("9.5"),
        Decimal("10.25"),
        100,
        LARGE,
    ]
    assert await session.scalar(select(func.sum(Line.price))) == LARGE + Decimal(
        "119.75"
    )
    assert await session.scalar(select(func.max(Line.price))) == LARGE
    same = select(func.count(Line.id)).where(Line.price == Decimal("10.25"))
    assert await session.scalar(same) == 1


async def test_decimals_are_added_and_multiplied_by_integers_in_sql(
    session: AsyncSession,
) -> None:
    session.add(Line(price=Decimal("1.25"), count=3))
    await session.flush()
    total = (Line.price * 2, Line.price * Line.count, Line.price + Decimal("0.5"))
    found = (await session.execute(select(*total, Line.price - 1))).one()
    assert tuple(found) == (
        Decimal("2.5"),
        Decimal("3.75"),
        Decimal("1.75"),
        Decimal("0.25"),
    )


@pytest.mark.trap("decimal-as-float")
async def test_the_plain_type_loses_digits_on_sqlite(
    session: AsyncSession, database: str
) -> None:
    session.add(Line(plain=LARGE))
    await session.flush()
    session.expunge_all()
    found = await session.scalar(select(Line.plain))
    assert (found == LARGE) is (database == "postgresql")


@pytest.mark.trap("average-in-units")
async def test_an_average_in_sql_is_in_units_on_sqlite(
    session: AsyncSession, database: str
) -> None:
    await store(session, Decimal("1.25"))
    expected = {"sqlite": 12500, "postgresql": Decimal("1.25")}
    assert await session.scalar(select(func.avg(Line.price))) == expected[database]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (Decimal("1.001"), "more than 2 decimal places"),
        (Decimal("1000"), "more than 5 digits"),
        (Decimal("-1000"), "more than 5 digits"),
        (Decimal("NaN"), "more than 2 decimal places"),
        (Decimal("Infinity"), "more than 2 decimal places"),
        (1.5, "is a float"),
    ],
)
async def test_what_cannot_be_stored_exactly_is_refused(
    session: AsyncSession, value: Decimal, why: str
) -> None:
    session.add(Line(cents=value))
    with pytest.raises(StatementError, match=why) as caught:
        await session.flush()
    assert isinstance(caught.value.orig, ValueError)


async def test_what_has_more_digits_than_are_kept_is_refused_unless_told(
    session: AsyncSession,
) -> None:
    session.add(Line(price=Decimal(10) ** 14))
    with pytest.raises(StatementError, match="more than 18 digits"):
        await session.flush()


async def test_statements_with_amounts_are_compiled_once(
    session: AsyncSession,
) -> None:
    cache: dict[Any, Any] = {}
    options = {"compiled_cache": cache}
    for price in (1, 2):
        stmt = select(Line.id).where(Line.price > price)
        await session.execute(stmt, execution_options=options)
    assert len(cache) == 1


async def test_the_largest_value_fits(session: AsyncSession, database: str) -> None:
    session.add_all([Line(cents=Decimal("999.99")), Line(cents=Decimal("-999.99"))])
    await session.flush()
    largest = Decimal("99999999999999.9999")
    await store(session, largest)
    assert await session.scalar(select(func.max(Line.price))) == largest
    stored = await session.scalar(text("SELECT max(cents) FROM line"))
    assert stored == {"sqlite": 99999, "postgresql": Decimal("999.99")}[database]
