"""Evals for snippets/task_leak.py."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from snippets.connection_leak import checked_out
from snippets.task_leak import TaskLeaked, end_tasks


@pytest.mark.trap("leaked-task")
async def test_a_task_of_one_test_queries_on_during_the_next(
    engine: AsyncEngine,
) -> None:
    before = asyncio.all_tasks()
    queries = 0
    enough = asyncio.Event()

    async def poll() -> None:
        nonlocal queries
        async with engine.connect() as connection:
            while True:
                await connection.execute(text("SELECT 1"))
                queries += 1
                if queries > 2:
                    enough.set()

    task = asyncio.create_task(poll())
    await enough.wait()

    with pytest.raises(TaskLeaked, match="poll"):
        await end_tasks(before)
    assert task.cancelled()
    assert checked_out(engine) == 0


async def test_older_and_finished_tasks_are_left_alone() -> None:
    stop = asyncio.Event()
    older = asyncio.create_task(stop.wait())
    before = asyncio.all_tasks()
    await asyncio.create_task(asyncio.sleep(0))

    await end_tasks(before)

    assert not older.done()
    stop.set()
    await older


async def test_a_task_that_fails_while_it_ends_is_reported_as_leaked() -> None:
    before = asyncio.all_tasks()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ZeroDivisionError

    asyncio.create_task(stubborn())  # noqa: RUF006
    await asyncio.sleep(0)
    with pytest.raises(TaskLeaked, match="stubborn"):
        await end_tasks(before)


async def test_all_that_were_left_are_named() -> None:
    before = asyncio.all_tasks()

    async def first() -> None:
        await asyncio.Event().wait()

    async def second() -> None:
        await asyncio.Event().wait()

    tasks = {asyncio.create_task(second()), asyncio.create_task(first())}
    with pytest.raises(TaskLeaked, match=r"first at .*>, <.*second at "):
        await end_tasks(before)
    assert all(task.cancelled() or task.done() for task in tasks)
