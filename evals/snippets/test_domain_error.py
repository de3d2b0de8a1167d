"""Evals for snippets/domain_error.py."""

from __future__ import annotations

import pytest
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from snippets import domain_error as domain
from snippets.base import NAMING_CONVENTION
from snippets.base import Base as PackBase
from snippets.database_error import savepoint


class Base(DeclarativeBase):
    """Apart from the tables of other evals."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = PackBase.type_annotation_map


MESSAGES: dict[type[domain.DomainError], str] = {
    domain.DomainError: "the database refused this",
    domain.NotFound: "there is no such row",
    domain.AlreadyExists: "this is taken",
    domain.ReferenceMissing: "what this refers to does not exist",
    domain.StillReferenced: "other rows still refer to this",
    domain.FieldRequired: "a value is required",
    domain.CheckFailed: "a rule does not allow this value",
    domain.InvalidValue: "a value is too long, out of range or not valid text",
    domain.UnknownField: "there is no such field",
    domain.ChangedMeanwhile: "somebody else changed this, read it again",
    domain.TryAgain: "others are writing the same rows, try again",
}


class Account(Base):
    __tablename__ = "account"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)


async def test_an_error_names_fields_and_never_values(session: AsyncSession) -> None:
    session.add(Account(email="secret@example.com"))
    await session.flush()
    with pytest.raises(domain.AlreadyExists) as caught:
        async with savepoint(session, Base.metadata):
            session.add(Account(email="secret@example.com"))

    assert str(caught.value) == "this is taken: email"
    assert caught.value.fields == ("email",)
    assert caught.value.constraint == "uq_account_email"


@pytest.mark.parametrize("kind", MESSAGES)
def test_each_error_says_what_is_wrong_without_fields(
    kind: type[domain.DomainError],
) -> None:
    error = kind()
    assert isinstance(error, domain.DomainError)
    assert str(error) == MESSAGES[kind]
    assert (error.fields, error.constraint) == ((), None)
    assert str(kind(iter(["a", "b"]))) == f"{MESSAGES[kind]}: a, b"
