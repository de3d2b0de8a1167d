"""Evals for snippets/schema_query.py."""

from __future__ import annotations

import pydantic
import pytest
from pydantic import BaseModel, ConfigDict
from sqlalchemy import MetaData, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, synonym

from evals.harness.observe import Statements
from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.schema_query import fetch_as
from snippets.soft_delete import SoftDelete


class Base(DeclarativeBase):
    """Apart from the tables of other evals."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


class User(SoftDelete, Base):
    __tablename__ = "account_user"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column("user_name")
    password: Mapped[str] = mapped_column(default="hash")
    title: Mapped[str] = synonym("name")


class UserOut(BaseModel):
    name: str
    is_deleted: bool
    title: str


class UserLoose(BaseModel):
    model_config = ConfigDict(from_attributes=True, extra="allow")

    name: str


class Strict(BaseModel):
    name: int


class Unknown(BaseModel):
    nick: str


@pytest.fixture
async def session_with_users(session: AsyncSession) -> AsyncSession:
    session.add_all([User(name="b"), User(name="a"), User(name="c")])
    await session.flush()
    session.expunge_all()
    return session


async def test_only_the_columns_of_the_schema_are_read(
    session_with_users: AsyncSession, statements: Statements
) -> None:
    session = session_with_users
    stmt = select(User).where(User.name != "c").order_by(User.name)
    with statements() as sent:
        found = await fetch_as(session, stmt, UserOut)
    assert found == [
        UserOut(name="a", title="a", is_deleted=False),
        UserOut(name="b", title="b", is_deleted=False),
    ]
    assert len(sent) == 1
    assert "password" not in sent[0]
    assert not session.identity_map


async def test_a_value_that_the_schema_refuses_is_an_error(
    session_with_users: AsyncSession,
) -> None:
    with pytest.raises(pydantic.ValidationError):
        await fetch_as(session_with_users, select(User), Strict)
    with pytest.raises(AttributeError, match="nick"):
        await fetch_as(session_with_users, select(User), Unknown)


@pytest.mark.trap("leaked-column")
async def test_a_schema_that_allows_extra_fields_leaks_what_the_row_has(
    session_with_users: AsyncSession,
) -> None:
    row = (await session_with_users.execute(select(User.name, User.password))).first()
    assert row is not None
    leaked = UserLoose.model_validate(dict(row._mapping))
    assert "hash" in leaked.model_dump().values()

    found = await fetch_as(session_with_users, select(User), UserLoose)
    assert [user.model_dump().keys() for user in found] == [{"name"}] * 3
