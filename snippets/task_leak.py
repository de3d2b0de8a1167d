"""End the tasks that a test left running.

On a loop that all tests share they would go on, and query, during the next ones.
"""

from __future__ import annotations

import asyncio
from typing import Any


class TaskLeaked(AssertionError):
    """A task was still running; the message names it."""


async def end_tasks(before: set[asyncio.Task[Any]]) -> None:
    """Cancel the tasks that are not in `before`, and wait for their end.

    Raises:
        TaskLeaked: there was one.
    """
    new = asyncio.all_tasks() - before - {asyncio.current_task()}
    # anyio's plugin waits in a task of its own for the one that runs this.
    left = {task for task in new if "TestRunner" not in str(task.get_coro())}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    if left:
        names = ", ".join(sorted(str(task.get_coro()) for task in left))
        raise TaskLeaked(f"await or cancel the tasks that the test starts: {names}")
