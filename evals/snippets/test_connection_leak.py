"""Evals for snippets/connection_leak.py."""

from __future__ import annotations

import pytest
from sqlalchemy import URL, NullPool, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from snippets.connection_leak import (
    LEFT_OPEN,
    ConnectionLeaked,
    assert_released,
    checked_out,
)


async def test_a_connection_that_is_held_is_reported_until_it_is_back(
    engine: AsyncEngine,
) -> None:
    assert_released(engine)
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        assert checked_out(engine) == 1
        with pytest.raises(
            ConnectionLeaked,
            match=r"^1 connections were not given back: .* connection \(`async with",
        ):
            assert_released(engine)
    assert checked_out(engine) == 0
    assert_released(engine)


async def test_a_pool_that_does_not_count_is_taken_for_empty(
    fresh_database: URL,
) -> None:
    engine = create_async_engine(fresh_database, poolclass=NullPool)
    async with engine.connect():
        assert checked_out(engine) == 0
        assert_released(engine)


def test_what_cannot_be_emptied_is_told_with_what_to_do() -> None:
    assert LEFT_OPEN == (
        "a transaction was left open: close every session and connection, of every"
        " engine, before the test ends"
    )
