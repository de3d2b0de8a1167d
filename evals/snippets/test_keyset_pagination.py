"""Evals for snippets/keyset_pagination.py."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from evals.snippets import keyset_scenarios as scenarios
from evals.snippets.keyset_scenarios import Base
from snippets.keyset_pagination import Keyset

pytestmark = pytest.mark.filterwarnings("ignore:Dialect sqlite.aiosqlite does:Warning")

__all__ = ["Base"]
SNIPPETS = Path(__file__).resolve().parents[2] / "snippets"
Sessions = async_sessionmaker[AsyncSession]
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture
async def run(engine: object) -> Run:
    """Run a coroutine to its end, from a test that Hypothesis calls many times."""
    return asyncio.get_running_loop().run_until_complete


def profile(full: bool, examples: int, **options: Any) -> settings:
    return settings(
        max_examples=examples * 20 if full else examples,
        deadline=None,
        derandomize=not full,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        **options,
    )


def check_turns(
    run: Run,
    sessions: Sessions,
    keyset: Any,
    chosen: settings,
    orders: Any = scenarios.ORDERS,
) -> None:
    @chosen
    @given(scenarios.ROWS, orders, scenarios.STEPS)
    def turn(rows: Any, order: Any, steps: Any) -> None:
        async def example() -> None:
            await scenarios.fill(sessions, rows)
            await scenarios.check_turns(keyset, sessions, order, steps)

        run(example())

    turn()


def check_walks(run: Run, sessions: Sessions, keyset: Any, chosen: settings) -> None:
    @chosen
    @given(
        scenarios.ROWS,
        scenarios.ORDERS,
        scenarios.SIZES,
        st.booleans(),
        st.lists(scenarios.EDITS, max_size=5),
    )
    def walk(rows: Any, order: Any, size: int, forward: bool, edits: Any) -> None:
        async def example() -> None:
            await scenarios.fill(sessions, rows)
            await scenarios.check_walk(keyset, sessions, order, size, forward, edits)

        run(example())

    walk()


def test_each_page_is_the_slice_that_it_must_be(
    run: Run, sessions: Sessions, full: bool
) -> None:
    check_turns(run, sessions, Keyset, profile(full, 200))


def test_no_row_is_lost_or_repeated_while_others_write(
    run: Run, sessions: Sessions, full: bool
) -> None:
    check_walks(run, sessions, Keyset, profile(full, 100))


@pytest.mark.parametrize("size", [1, 3, 40])
async def test_every_key_walks_both_ways_in_both_directions(
    sessions: Sessions, size: int
) -> None:
    draw = random.Random(7)
    width = scenarios.WIDTH
    rows = [scenarios.row(draw.randbytes(width)) for _ in range(20)]
    unique = {(row["tray"], row["code"]): row for row in rows}
    await scenarios.fill(sessions, list(unique.values()))
    for key, down, first in product(scenarios.KEYS, [False, True], [False, True]):
        if size == 40 or not first:
            for forward in (True, False):
                order = [(key, down, first)]
                await scenarios.check_walk(Keyset, sessions, order, size, forward, [])


# Each is a mistake that was found in a released library, or the slip of a key.
FAULTS: dict[str, list[tuple[str, str, str, str]]] = {
    "sqlite": [
        ("no tie-break", "total_order", "for end in ends:", "for end in ends[:0]:"),
        ("half a tie-break", "total_order", "for end in ends:", "for end in ends[:1]:"),
        ("> for >= at the cursor", "keyset_range", "or_at=True)", "or_at=False)"),
        (">= for > in a tie", "keyset_range", "else row > start", "else row >= start"),
        (
            "a NULL lost",
            "keyset_range",
            "        if _other_side(key, value):",
            "        if False:",
        ),
        (
            "a NULL within a tie lost",
            "keyset_range",
            "if _other_side(keys[0], values[0]):",
            "if False:",
        ),
        (
            "NULLs on the wrong side",
            "keyset_range",
            "(value is None) == key.nulls_first",
            "(value is None) != key.nulls_first",
        ),
        (
            "NULLs sorted to the wrong side",
            "total_order",
            "if self.nulls_first else order.nulls_last()",
            "if not self.nulls_first else order.nulls_last()",
        ),
        (
            "NULLs where they were, on the way back",
            "total_order",
            "nulls_first=not self.nulls_first",
            "nulls_first=self.nulls_first",
        ),
        (
            "a column of an outer join taken for NOT NULL",
            "total_order",
            "table in present and",
            "table is not None and",
        ),
        (
            "a direction flipped",
            "keyset_range",
            "if keys[0].descending:",
            "if not keys[0].descending:",
        ),
        (
            "two directions in one row value",
            "keyset_range",
            "key.descending == first.descending and not key.nullable",
            "not key.nullable",
        ),
        (
            "NULLs in a row value",
            "keyset_range",
            "key.descending == first.descending and not key.nullable",
            "key.descending == first.descending",
        ),
        (
            "ranges in the wrong order",
            "keyset_range",
            "in range(tied, -1, -1)",
            "in range(0, tied + 1)",
        ),
        (
            "the text of a timestamp written anew",
            "total_order",
            "return type_coerce(self.expression, RAW)",
            "return self.expression",
        ),
        (
            "a page back left reversed",
            "keyset_pagination",
            "Page(page[::-1], back, onward)",
            "Page(page, back, onward)",
        ),
        (
            "has_next off by one",
            "keyset_pagination",
            "if len(found) - seen > size:",
            "if len(found) - seen >= size:",
        ),
        (
            "has_previous taken for granted",
            "keyset_pagination",
            "if seen or await reader.is_any_behind(session, stmt, start):",
            "if start.values:",
        ),
        (
            "the row at the cursor repeated",
            "keyset_pagination",
            "page = found[seen:][:size]",
            "page = found[:size]",
        ),
        (
            "the first row dropped although it is another",
            "keyset_pagination",
            "page = found[seen:][:size]",
            "page = found[bool(start.values):][:size]",
        ),
        (
            "the cursor after the row in waiting",
            "keyset_pagination",
            "last = reader.place(page[-1])",
            "last = reader.place(found[-1])",
        ),
        (
            "an empty page forgets its row on the way back",
            "keyset_pagination",
            "inclusive=not page",
            "inclusive=False",
        ),
    ],
    "postgresql": [
        (
            "microseconds cut",
            "cursor_codec",
            '(b"t", datetime, datetime.isoformat',
            '(b"t", datetime, lambda at: at.isoformat(timespec="milliseconds")',
        ),
        (
            "Decimal as float",
            "cursor_codec",
            "number = Decimal(text)",
            "number = Decimal(float(text))",
        ),
        (
            "float as text of 6 digits",
            "cursor_codec",
            "float, repr,",
            'float, "{:g}".format,',
        ),
        (
            "a date for a timestamp",
            "cursor_codec",
            '(b"t", datetime, datetime.isoformat',
            '(b"t", datetime, lambda at: at.date().isoformat()',
        ),
        (
            "NULLs sorted to the wrong side",
            "total_order",
            "if self.nulls_first else order.nulls_last()",
            "if not self.nulls_first else order.nulls_last()",
        ),
        (
            "a NULL lost",
            "keyset_range",
            "        if _other_side(key, value):",
            "        if False:",
        ),
        ("no tie-break", "total_order", "for end in ends:", "for end in ends[:0]:"),
    ],
}
# A fault of one type is sought where that type is a key: more often than by chance.
FOCUS: dict[str, list[Any]] = {
    "microseconds cut": [scenarios.Reading.taken_at],
    "Decimal as float": [scenarios.Reading.price],
    "float as text of 6 digits": [scenarios.Reading.ratio],
    "a date for a timestamp": [scenarios.Reading.taken_at],
    "a column of an outer join taken for NOT NULL": [scenarios.Author.name],
}


def faulty(place: Path, number: int, snippet: str, right: str, wrong: str) -> Any:
    """Copy the snippets, plant a fault, and return the `Keyset` of the copy."""
    package = place / f"faulty_{number}"
    package.mkdir()
    for source in SNIPPETS.glob("*.py"):
        text = source.read_text(encoding="utf-8")
        if source.stem == snippet:
            assert text.count(right) == 1, f"{right!r} is not once in {snippet}"
            text = text.replace(right, wrong)
        (package / source.name).write_text(text, encoding="utf-8")
    return import_module(f"{package.name}.keyset_pagination").Keyset


def test_the_properties_find_every_fault_that_is_planted(
    run: Run,
    sessions: Sessions,
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    missed: list[str] = []
    for number, (fault, *plant) in enumerate(FAULTS[database]):
        keyset = faulty(tmp_path, number, *plant)
        try:
            orders = scenarios.orders_by(FOCUS.get(fault, scenarios.KEYS))
            check_turns(run, sessions, keyset, profile(False, 200), orders)
            check_walks(run, sessions, keyset, profile(False, 100))
        except Exception:  # a fault may show as any error
            continue
        missed.append(fault)
    assert missed == []
