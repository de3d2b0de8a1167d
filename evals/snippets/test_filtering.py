"""Evals for snippets/filtering.py."""

from __future__ import annotations

from datetime import date
from random import Random
from urllib.parse import urlencode

import pytest
from sqlalchemy import ForeignKey, insert, or_, select
from sqlalchemy.exc import SADeprecationWarning
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlmodel import Field, SQLModel, col

from snippets.filter_field import Condition, FilterField
from snippets.filtering import MAX_CONDITIONS, MAX_GROUP, FilterFields, InvalidFilter
from snippets.text_match import configure_folding


class Base(DeclarativeBase):
    pass


class Player(Base):
    __tablename__ = "player"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    score: Mapped[int | None]
    password_hash: Mapped[str] = mapped_column(default="$2b$abc")
    teams: Mapped[list[Team]] = relationship()


class Team(Base):
    __tablename__ = "team"

    player_id: Mapped[int] = mapped_column(ForeignKey("player.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)


class Coach(SQLModel, table=True):
    __tablename__ = "coach"
    metadata = Base.metadata
    id: int | None = Field(default=None, primary_key=True)
    name: str
    since: date | None = None


FILTERS = FilterFields(
    {
        "name": Player.name,
        "score": FilterField(Player.score, "eq ne lt ge in isnull"),
        "team": FilterField(Team.name, "eq", exists=Player.teams.any),
    }
)
NAMES = (
    "name, name__ne, name__in, name__not_in, name__contains, name__not_contains,"
    " name__starts, name__ends, score, score__ne, score__lt, score__ge, score__in,"
    " score__isnull, team, any"
)


@pytest.fixture
async def engine(engine: AsyncEngine, database: str) -> AsyncEngine:
    configure_folding(engine)
    await engine.dispose()
    return engine


@pytest.fixture
async def session(session: AsyncSession, database: str) -> AsyncSession:
    names = ["Ann", "Bo & co", "Cleo", "D=e", "É"]
    players = [
        {"id": i, "name": name, "score": None if i == 3 else i * 10}
        for i, name in enumerate(names, 1)
    ]
    await session.execute(insert(Player), players)
    teams = [{"player_id": i, "name": name} for i, name in ((1, "red"), (2, "blue"))]
    await session.execute(insert(Team), teams)
    return session


def one_of(*pairs: tuple[str, str]) -> tuple[str, str]:
    return "any", urlencode(pairs)


async def ids(session: AsyncSession, params: list[tuple[str, str]]) -> list[int]:
    stmt = select(Player.id).where(*FILTERS.parse(params)).order_by(Player.id)
    return list(await session.scalars(stmt))


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ([], [1, 2, 3, 4, 5]),
        ([("score__ge", "20"), ("score__lt", "50")], [2, 4]),
        ([("score__in", "10"), ("score__in", "50")], [1, 5]),
        ([("score__isnull", "true")], [3]),
        ([("name", "Ann")], [1]),
        ([("name__starts", "é")], [5]),
        ([("team", "red")], [1]),
        ([one_of(("score", "10"))], [1]),
        ([one_of(("name", ""), ("team", "red"))], [1]),
        ([one_of(("score", "10"), ("score__isnull", "true"))], [1, 3]),
        ([one_of(("name", "Bo & co"), ("name__ends", "=E"))], [2, 4]),
        ([one_of(("score__in", "10"), ("score__in", "20"), ("team", "blue"))], [1, 2]),
        (
            [
                one_of(("score__lt", "25"), ("name", "D=e")),
                ("score__ne", "10"),
                one_of(("team", "blue"), ("name", "D=e"), ("score", "10")),
            ],
            [2, 4],
        ),
    ],
    ids=range(13),
)
async def test_parameters_find_their_rows(
    session: AsyncSession, params: list[tuple[str, str]], expected: list[int]
) -> None:
    assert await ids(session, params) == expected


@pytest.mark.trap("any-of-nothing")
async def test_an_empty_or_by_hand_returns_every_row(session: AsyncSession) -> None:
    nothing: list[Condition] = []
    with pytest.warns(SADeprecationWarning, match="or_"):
        everyone = select(Player.id).where(or_(*nothing))
    assert len((await session.scalars(everyone)).all()) == 5
    with pytest.raises(InvalidFilter):
        FILTERS.parse([("any", "")])


@pytest.mark.trap("filter-by-any-column")
async def test_a_name_that_becomes_an_attribute_reads_what_is_hidden(
    session: AsyncSession,
) -> None:
    name, _, operator = "password_hash__startswith".partition("__")
    guess = getattr(getattr(Player, name), operator)("$2b$a")
    assert len((await session.scalars(select(Player.id).where(guess))).all()) == 5
    with pytest.raises(InvalidFilter, match="there is no such filter"):
        FILTERS.parse([("password_hash__starts", "$2b$a")])


@pytest.mark.trap("ignored-filter")
@pytest.mark.parametrize(
    "name",
    [
        "colour",
        "name__like",
        "score__gt",
        "team__ne",
        "NAME",
        "name__",
        "__init__",
        "",
        "id",
        "score__ge__lt",
        "teams",
        "any__name",
        "\0",
        "\ud800",
        "name__contains ",
    ],
    ids=range(15),
)
def test_a_parameter_that_is_not_on_the_list_is_an_error(name: str) -> None:
    with pytest.raises(InvalidFilter) as caught:
        FILTERS.parse([("score", "1"), (name, "1")])
    assert caught.value.name == name
    assert str(caught.value) == f"{name!r}: there is no such filter: expected {NAMES}"


@pytest.mark.parametrize(
    ("params", "name", "problem"),
    [
        ([("score", "x")], "score", "expected an integer"),
        ([("score", "1"), ("score", "2")], "score", "expected it 1 times at most"),
        (
            [("score__in", str(n)) for n in range(10_000)],
            "score__in",
            "expected it 100 times at most, not 10000",
        ),
        ([("score", "9" * 100_000)], "score", "expected an integer"),
        ([("name__contains", "a" * 201)], "name__contains", "expected text of 200"),
        ([("name", "\0")], "name", "expected text"),
        ([("name", "\ud800")], "name", "expected text"),
        ([("any", "")], "any", "expected a query string of 2000 characters at most"),
        ([("any", "score")], "any", "expected a query string"),
        ([("any", "name=%ff")], "any", "expected a query string"),
        ([("any", "name=" + "x" * MAX_GROUP)], "any", "expected a query string"),
        ([("any", "name=".ljust(MAX_GROUP, "x"))], "name", "expected text of 200"),
        ([one_of(("any", "score=1"))], "any", "there is no such filter"),
        ([one_of(("score", "x"))], "score", "expected an integer"),
        ([one_of(("score", "1"), ("score", "2"))], "score", "expected it 1 times"),
        ([one_of(("score", "1"))] * 21, "any", "expected 20 filters at most in all"),
        ([("x" * 100_000, "1")], "x" * 50, "there is no such filter"),
    ],
    ids=range(17),
)
def test_what_a_client_sends_ends_in_a_clear_error(
    params: list[tuple[str, str]], name: str, problem: str
) -> None:
    with pytest.raises(InvalidFilter, match=problem) as caught:
        FILTERS.parse(params)
    assert caught.value.name == name
    assert len(str(caught.value)) < 500


async def test_the_most_that_a_client_may_ask_for_runs(session: AsyncSession) -> None:
    many = [("score__in", str(n)) for n in range(100)]
    groups = [one_of(("name__contains", "%_" * 100))] * (MAX_CONDITIONS - 3)
    params = [*many, ("name__contains", "(a+)+$"), ("score__ge", "0"), *groups]
    assert await ids(session, params) == []
    assert len(FILTERS.parse(params)) == MAX_CONDITIONS


async def test_text_that_reads_like_a_pattern_is_only_text(
    session: AsyncSession,
) -> None:
    await session.execute(insert(Player), [{"id": 9, "name": "a" * 50_000}])
    patterns = ["%a" * 100, "_" * 200, "(a|a)*" * 30, "\\" * 199, "a%" * 99 + "b"]
    for text in patterns:
        assert await ids(session, [("name__contains", text)]) == []


async def test_whatever_is_sent_runs_or_is_an_invalid_filter(
    session: AsyncSession,
) -> None:
    chance = Random(6)
    nasty = [
        "",
        "0",
        "-1",
        "9" * 30,
        "1e9",
        "true",
        "red",
        "%",
        "_",
        "\\",
        "'",
        '"',
        "\0",
    ]
    nasty += [
        "\ud800",
        "\U0001f9c1",
        "\u202e",
        "é",
        "{}",
        "[a-z]*",
        "(a+)+$",
        "a=b&c=d",
    ]
    names = [*FILTERS.filters, "any", "nobody"]
    ran, refused = 0, list[str]()
    for _ in range(200):
        pairs = [
            (
                chance.choice(names),
                "".join(chance.choices(nasty, k=chance.choice([1, 1, 2]))),
            )
            for _ in range(chance.choice([1, 1, 1, 2]))
        ]
        group = ("any", urlencode(pairs, errors="replace"))
        try:
            await ids(session, chance.choice([pairs, [group], [*pairs, group]]))
            ran += 1
        except InvalidFilter as error:
            refused.append(str(error))
    assert 30 < ran < 170
    assert all(map(str.isprintable, refused))


async def test_columns_of_sqlmodel_are_columns(session: AsyncSession) -> None:
    filters = FilterFields({"name": col(Coach.name), "since": col(Coach.since)})
    session.add_all([Coach(name="Ann"), Coach(name="Bo", since=date(2026, 1, 31))])
    await session.flush()
    for params in [("since__isnull", "true")], [("name__contains", "AN")]:
        stmt = select(col(Coach.name)).where(*filters.parse(params))
        assert (await session.scalars(stmt)).all() == ["Ann"]


def test_a_field_cannot_be_called_any() -> None:
    with pytest.raises(ValueError, match="a field cannot be called 'any'"):
        FilterFields({"any": Player.name})
