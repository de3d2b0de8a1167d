"""One event loop for all async tests, whatever pytest's configuration says.

A connection belongs to the loop that opened it. pytest-asyncio's default is a loop
for each test: asyncpg then fails ("attached to a different loop"), SQLite passes.
https://pytest-asyncio.readthedocs.io/en/stable/concepts.html
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, TypeVar

import pytest

F = TypeVar("F", bound=Callable[..., Any])
_fixture: Callable[..., Any]
mark_async: pytest.MarkDecorator
try:
    import pytest_asyncio
except ModuleNotFoundError:  # anyio's plugin, which comes with httpx, runs the tests
    _fixture = pytest.fixture
    mark_async = pytest.mark.anyio

    @pytest.fixture(scope="session")
    def anyio_backend() -> str:
        """One runner for the session: SQLAlchemy runs on asyncio only."""
        return "asyncio"
else:
    _fixture = partial(pytest_asyncio.fixture, loop_scope="session")
    mark_async = pytest.mark.asyncio(loop_scope="session")
# Their runners would bring a loop of their own.
FOREIGN = {"anyio", "trio", "twisted"} - {mark_async.name}


def async_fixture(
    scope: Literal["function", "session"] = "function",
) -> Callable[[F], F]:
    """Declare a fixture that awaits, on the loop of the tests: `@async_fixture()`."""
    decorator: Callable[[F], F] = _fixture(scope=scope)
    return decorator


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> None:
    """Let async tests need no mark, also in strict mode: they would only fail."""
    if inspect.iscoroutinefunction(obj) and collector.istestfunction(obj, name):
        marks = [*collector.iter_markers(), *getattr(obj, "pytestmark", [])]
        if not any(mark.name in FOREIGN for mark in marks):
            mark_async(obj)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the tests of the database to the one loop, also those with a mark."""
    for item in items:
        is_async = inspect.iscoroutinefunction(getattr(item, "obj", None))
        if is_async and "isolation" in getattr(item, "fixturenames", ()):
            if foreign := [m.name for m in item.iter_markers() if m.name in FOREIGN]:
                raise pytest.UsageError(
                    f"{item.nodeid} is marked {foreign[0]}, but the fixtures of the"
                    f" database run on {mark_async.name}'s loop: remove the mark"
                )
            item.add_marker(mark_async, append=False)
