"""Evals for snippets/version_column.py."""

from __future__ import annotations

import pytest
from sqlalchemy import ForeignKey, MetaData, inspect, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column
from sqlalchemy.orm.exc import StaleDataError

from evals.harness.observe import Statements
from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.domain_error import ChangedMeanwhile
from snippets.version_column import Version, Versioned, check_version


class Base(DeclarativeBase):
    """Apart from the tables of other evals."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


Sessions = async_sessionmaker[AsyncSession]


class Wiki(Versioned, Base):
    __tablename__ = "wiki"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


class Document(Versioned, Base):
    """Has mapper arguments of its own, and a subclass with a table of its own."""

    __tablename__ = "document"
    __mapper_args__ = {  # noqa: RUF012
        "polymorphic_on": "kind",
        "polymorphic_identity": "plain",
    }

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    title: Mapped[str]


class Contract(Document):
    __tablename__ = "contract"
    __mapper_args__ = {"polymorphic_identity": "contract"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(ForeignKey("document.id"), primary_key=True)
    party: Mapped[str]


class Leaf(Versioned, MappedAsDataclass, Base, kw_only=True):
    __tablename__ = "leaf"

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    text: Mapped[str]
    version: Mapped[Version] = mapped_column(init=False)


@pytest.fixture
async def wiki(sessions: Sessions) -> int:
    async with sessions.begin() as session:
        page = Wiki(text="first")
        session.add(page)
        await session.flush()
        return page.id


async def test_each_change_counts_and_can_be_read(
    session: AsyncSession, wiki: int, statements: Statements
) -> None:
    page = await session.get_one(Wiki, wiki)
    assert page.version == 1
    page.text = "second"
    with statements() as sent:
        await session.flush()
        assert page.version == 2
    assert len(sent) == 1


@pytest.mark.parametrize("delete", [False, True])
async def test_the_second_of_two_changes_fails(
    sessions: Sessions, wiki: int, delete: bool
) -> None:
    async with sessions() as session:
        page = await session.get_one(Wiki, wiki)
        await session.commit()
        async with sessions.begin() as other:
            (await other.get_one(Wiki, wiki)).text = "theirs"
        if delete:
            await session.delete(page)
        else:
            page.text = "ours"
        with pytest.raises(StaleDataError):
            await session.flush()
    async with sessions() as session:
        assert (await session.get_one(Wiki, wiki)).text == "theirs"


async def test_the_version_that_a_client_has_seen_is_compared(
    session: AsyncSession, wiki: int
) -> None:
    page = await session.get_one(Wiki, wiki)
    check_version(page, 1)
    for version in (0, 2):
        with pytest.raises(ChangedMeanwhile):
            check_version(page, version)


async def test_an_update_of_many_counts_and_is_noticed(
    sessions: Sessions, wiki: int
) -> None:
    async with sessions() as session:
        page = await session.get_one(Wiki, wiki)
        await session.commit()
        async with sessions.begin() as other:
            await other.execute(update(Wiki).values(text="all"))
        page.text = "ours"
        with pytest.raises(StaleDataError):
            await session.flush()


@pytest.mark.trap("version-bypassed")
async def test_text_does_not_count_and_its_change_is_lost(
    sessions: Sessions, wiki: int
) -> None:
    async with sessions() as session:
        page = await session.get_one(Wiki, wiki)
        await session.commit()
        async with sessions.begin() as other:
            await other.execute(text("UPDATE wiki SET text = 'theirs'"))
        page.text = "ours"
        await session.commit()
        assert await session.scalar(select(Wiki.text)) == "ours"


async def test_a_row_of_plain_sql_has_the_first_version(session: AsyncSession) -> None:
    await session.execute(text("INSERT INTO wiki (text) VALUES ('plain')"))
    assert await session.scalar(select(Wiki.version)) == 1


@pytest.mark.parametrize("changed", ["title", "party"])
async def test_a_subclass_and_arguments_of_its_own_keep_the_check(
    sessions: Sessions, changed: str
) -> None:
    async with sessions() as session:
        contract = Contract(title="first", party="Ann")
        session.add(contract)
        await session.commit()
        assert contract.version == 1
        async with sessions.begin() as other:
            (await other.get_one(Contract, contract.id)).party = "theirs"
        setattr(contract, changed, "ours")
        with pytest.raises(StaleDataError):
            await session.flush()
    async with sessions() as session:
        again = (await session.scalars(select(Contract))).one()
        assert (again.version, again.title, again.party) == (2, "first", "theirs")


async def test_a_dataclass_model_counts_as_well(sessions: Sessions) -> None:
    async with sessions() as session:
        leaf = Leaf(text="first")
        session.add(leaf)
        await session.commit()
        async with sessions.begin() as other:
            await other.execute(update(Leaf).values(text="theirs"))
        leaf.text = "ours"
        with pytest.raises(StaleDataError):
            await session.flush()
    async with sessions() as session:
        assert await session.scalar(select(Leaf.version)) == 2


def test_a_key_column_of_a_subclass_is_no_version() -> None:
    assert inspect(Contract).version_id_col is Document.__table__.c.version
