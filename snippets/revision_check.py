"""Say in one line what is wrong with the revisions, or with the database's."""

from __future__ import annotations

from alembic import context
from alembic.util import CommandError


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
