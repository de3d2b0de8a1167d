"""Say in one line what is wrong with the revisions, or with the database's."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from alembic import context
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

# duplicate_table (a table, an index, a sequence), duplicate_column, duplicate_object
THERE_ALREADY = {"42P07", "42701", "42710"}


def load_revisions() -> None:
    """Load every revision file.

    Raises:
        CommandError: one of them has a syntax error.
    """
    try:
        context.script.get_heads()
    except SyntaxError as exc:
        raise CommandError(
            f"{exc.filename}, line {exc.lineno}: {exc.msg}: correct that revision"
        ) from None


def refuse_unknown_revision() -> None:
    """Compare the revision of the configured database with the files.

    `alembic stamp --purge`, which repairs such a database, may go on.

    Raises:
        CommandError: the database is at a revision that has no file.
    """
    migration = context.get_context()
    if migration.opts.get("purge"):
        return
    known = {script.revision for script in context.script.walk_revisions()}
    for head in migration.get_current_heads():
        if head not in known:
            raise CommandError(
                f"the database is at revision {head}, which this code does not have:"
                " newer code migrated it; deploy that code, or downgrade with it first"
            )


@contextmanager
def explain_conflict() -> Generator[None, None, None]:
    """Say what it means that a revision of the block makes what exists.

    Raises:
        CommandError: instead of that error of the database.
    """
    try:
        yield
    except DBAPIError as exc:
        found = str(getattr(exc.orig, "__cause__", None) or exc.orig)
        on_sqlite = "already exists" in found or "duplicate column name" in found
        if not on_sqlite and getattr(exc.orig, "sqlstate", None) not in THERE_ALREADY:
            raise
        raise CommandError(
            f"{found}: the database has what this revision makes, from create_all or"
            " from a run that was not one transaction: compare the two, then drop what"
            " is half done, or `alembic stamp` the revision whose schema it has (for"
            " both, ask first)"
        ) from exc
