"""Evals for snippets/model_discovery.py."""

from __future__ import annotations

import pkgutil
import sys

import pytest
from alembic.autogenerate import produce_migrations
from alembic.operations.ops import DropTableOp
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from evals.harness.migrations import History
from snippets.model_discovery import import_models

TABLE = """
from shop.models import Base, Mapped, mapped_column


class {name}(Base):
    __tablename__ = "{table}"
    id: Mapped[int] = mapped_column(primary_key=True)
"""
CORE = """
import sqlalchemy as sa
from shop.models import Base

{table} = sa.Table("{table}", Base.metadata, sa.Column("id", sa.Integer))
"""


@pytest.fixture
def history(empty_history: History) -> History:
    """Models in the module, in directories without `__init__.py`, and in a package."""
    empty_history.models(
        "",
        **{
            "order/invoice": TABLE.format(name="Invoice", table="invoice"),
            "order/part/line": CORE.format(table="line"),
            "user/__init__": TABLE.format(name="User", table="user_account"),
            "user/admin": "raise SystemExit('this module is a script')\n",
        },
    )
    return empty_history


@pytest.mark.trap("model-not-imported")
async def test_a_model_that_nobody_imported_would_lose_its_table(
    history: History,
) -> None:
    for table in ("invoice", "line", "user_account"):
        await history.read(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY)")
    package = history.module.__name__.partition(".")[0]
    metadata = history.module.Base.metadata

    def drops(connection: Connection) -> set[str]:
        migrations = produce_migrations(
            MigrationContext.configure(connection), metadata
        )
        assert migrations.upgrade_ops
        found = migrations.upgrade_ops.ops
        return {op.table_name for op in found if isinstance(op, DropTableOp)}

    assert await history.inspect(drops) == {"invoice", "line", "user_account"}
    # The usual walk sees no directory without an __init__.py.
    path = sys.modules[package].__path__
    names = {name for _, name, _ in pkgutil.walk_packages(path, f"{package}.")}
    assert names == {f"{package}.models", f"{package}.user", f"{package}.user.admin"}

    assert import_models(package) == [
        f"{package}.models",
        f"{package}.order.invoice",
        f"{package}.order.part.line",
        f"{package}.user",
    ]
    assert await history.inspect(drops) == set()


@pytest.mark.parametrize(
    "line",
    [
        '__tablename__ = "a"',
        "x: Mapped[int]",
        "x = mapped_column()",
        "x = Column(Integer)",
        'Table("a", metadata)',
        "class A(SQLModel, table=True): ...",
    ],
)
async def test_every_way_to_declare_a_table_is_recognised(
    history: History, line: str
) -> None:
    await history.read("SELECT 1")
    package = history.module.__name__.partition(".")[0]
    file = history.path / package / "found.py"
    file.write_text(f"if __name__ == 'x':\n    {line}\n", encoding="utf-8")
    assert f"{package}.found" in import_models(package)


async def test_a_file_of_the_package_itself_is_the_package(history: History) -> None:
    await history.read("SELECT 1")
    package = history.module.__name__.partition(".")[0]
    assert import_models(f"{package}.user") == [f"{package}.user"]
