"""Evals for snippets/soft_delete_repository.py."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import ForeignKey, Index, MetaData, Select, select, text, true
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    joinedload,
    mapped_column,
    relationship,
)

from evals.harness.observe import Statements
from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.soft_delete import SoftDelete
from snippets.soft_delete_repository import SoftDeleteRepository


class Base(DeclarativeBase):
    """Apart from the tables of other evals."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


LIVE = text("deleted_at IS NULL")
THEN = datetime(2026, 6, 1, tzinfo=UTC)


class Board(SoftDelete, Base):
    __tablename__ = "board"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    cards: Mapped[list[Card]] = relationship(cascade="all", lazy="raise")

    __table_args__ = (
        Index(
            "uq_board_name",
            "name",
            unique=True,
            postgresql_where=LIVE,
            sqlite_where=LIVE,
        ),
    )


class Card(SoftDelete, Base):
    __tablename__ = "card"

    id: Mapped[int] = mapped_column(primary_key=True)
    board_id: Mapped[int] = mapped_column(ForeignKey("board.id"), index=True)


class Boards(SoftDeleteRepository[Board]):
    model = Board


class LoadedBoards(Boards):
    def query(self) -> Select[Any]:
        return super().query().options(joinedload(Board.cards))


@pytest.fixture
def boards(session: AsyncSession) -> Boards:
    return Boards(session)


async def names(boards: Boards) -> list[str]:
    return [board.name for board in await boards.list()]


async def live_cards(boards: Boards) -> int:
    return len((await boards.session.scalars(select(Card))).all())


async def test_a_deleted_row_is_hidden_with_its_children_and_comes_back(
    boards: Boards,
) -> None:
    board = await boards.add(Board(name="plan", cards=[Card(), Card()]))
    await boards.add(Board(name="other", cards=[Card()]))
    await boards.delete(board)

    assert await names(boards) == ["other"]
    assert await boards.count() == 1
    assert not await boards.exists(Board.name == "plan")
    assert await boards.get(board.id) is None
    assert await live_cards(boards) == 1
    assert await boards.deleted() == [board]

    assert await boards.restore(board) is board
    assert await names(boards) == ["plan", "other"]
    assert await live_cards(boards) == 3
    assert await boards.deleted() == []


async def test_deleted_rows_are_listed_with_the_last_first_and_with_options(
    session: AsyncSession, boards: Boards
) -> None:
    old = Board(name="old", deleted_at=THEN, cards=[Card(), Card()])
    await boards.add_many([old, Board(name="live")])
    new = await boards.add(Board(name="new"))
    await boards.delete(new)
    assert [board.name for board in await boards.deleted()] == ["new", "old"]

    session.expunge_all()
    found = await LoadedBoards(session).deleted(Board.name == "old")
    assert [(board.name, len(board.cards)) for board in found] == [("old", 2)]


async def test_rows_are_marked_where_a_condition_holds_in_one_statement(
    boards: Boards, statements: Statements
) -> None:
    gone = await boards.add(Board(name="gone", deleted_at=THEN))
    await boards.add_many(Board(name=name) for name in "abc")
    before = datetime.now(UTC)
    with statements() as sent:
        assert await boards.delete_where(Board.name != "a", Board.name != "b") == 1
    assert len(sent) == 1
    assert await names(boards) == ["a", "b"]
    marked = await boards.deleted(Board.name == "c")
    assert marked[0].deleted_at is not None
    assert marked[0].deleted_at >= before

    assert await boards.delete_where(true()) == 2
    await boards.session.refresh(gone)
    assert gone.deleted_at == THEN


async def test_a_row_whose_name_is_taken_is_not_restored(boards: Boards) -> None:
    board = await boards.add(Board(name="plan"))
    await boards.delete(board)
    await boards.add(Board(name="plan"))
    with pytest.raises(IntegrityError):
        await boards.restore(board)
