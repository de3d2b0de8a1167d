"""Evals for snippets/base_query.py."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import MetaData, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.base_query import BaseQuery, Condition


class Base(DeclarativeBase):
    """Apart from the tables of other evals."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


class Letter(Base):
    __tablename__ = "letter"

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]


class Page(Base):
    __tablename__ = "page"

    letter_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class Letters(BaseQuery[Letter]):
    model = Letter


class OwnLetters(Letters):
    def visible(self) -> Sequence[Condition]:
        return (*super().visible(), Letter.tenant == "ann", Letter.id > 0)


class Pages(BaseQuery[Page]):
    model = Page


async def test_the_base_query_has_all_rows_or_those_that_are_visible(
    session: AsyncSession,
) -> None:
    session.add_all(
        [Letter(tenant="ann"), Letter(tenant="ben"), Letter(id=-1, tenant="ann")]
    )
    await session.flush()
    assert len((await session.scalars(Letters(session).query())).all()) == 3
    own = await session.scalars(OwnLetters(session).query())
    assert [letter.tenant for letter in own] == ["ann"]


async def test_a_key_is_a_column_or_a_row_value(session: AsyncSession) -> None:
    letter = Letter(tenant="ann")
    session.add_all([letter, Page(letter_id=1, number=2), Page(letter_id=2, number=1)])
    await session.flush()
    letters, pages = Letters(session), Pages(session)
    assert letters.session is session

    assert letters.ident(letter) == letter.id
    found = await session.scalars(select(Letter).where(letters.key() == letter.id))
    assert found.one() is letter
    page = (await session.scalars(select(Page).where(pages.key() == (2, 1)))).one()
    assert pages.ident(page) == (2, 1)
