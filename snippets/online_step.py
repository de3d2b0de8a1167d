"""The steps of a change that goes on beside requests: each its own transaction."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from alembic import op


@contextmanager
def own_transactions() -> Generator[None, None, None]:
    """Let each statement of the block commit by itself, where that is an advantage."""
    if not on_postgresql():
        yield
        return
    with op.get_context().autocommit_block():
        yield


@contextmanager
def unlimited(*settings: str) -> Generator[None, None, None]:
    """Give a statement that stops nobody all the time that it needs.

    The build of an index waits for older transactions, which `lock_timeout` would
    cancel, leaving an INVALID index.
    """
    if not on_postgresql():
        yield
        return
    for setting in settings:
        op.execute(f"SET {setting} = 0")
    try:
        yield
    finally:
        for setting in settings:
            op.execute(f"RESET {setting}")


def drop_constraint(table: str, name: str) -> None:
    if on_postgresql():
        op.execute(
            f"ALTER TABLE {quoted(table)} DROP CONSTRAINT IF EXISTS {quoted(name)}"
        )


def validate(table: str, name: str) -> None:
    """Check the rows that were there before the constraint, beside requests."""
    if on_postgresql():
        with unlimited("statement_timeout"):
            op.execute(
                f"ALTER TABLE {quoted(table)} VALIDATE CONSTRAINT {quoted(name)}"
            )


def on_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"


def quoted(name: str) -> str:
    return op.get_context().dialect.identifier_preparer.quote(name)


def literal(value: str) -> str:
    """Return `value` as SQL for `op.execute`, which takes ` :word` for a parameter."""
    return "'" + value.replace("'", "''").replace(":", "\\:") + "'"
