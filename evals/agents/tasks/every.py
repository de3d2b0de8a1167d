"""All tasks, by their names."""

from __future__ import annotations

from evals.agents.task import Task
from evals.agents.tasks import index, library, orders, posts, stamps, suite

TASKS: dict[str, Task] = {
    "library": library.TASK,
    "stamps": stamps.TASK,
    "posts": posts.TASK,
    "orders": orders.TASK,
    "index": index.TASK,
    "suite": suite.TASK,
}
