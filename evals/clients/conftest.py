"""Fixtures for the evals with real clients, which npm brings.

They need the network and a minute, so they stand outside of the default run:
`uv run pytest evals/clients`. EVALS_CLIENTS names a directory that keeps what npm
fetched from one run to the next.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from evals.clients.sandbox import (
    INSTALLERS,
    NAME,
    Sandbox,
    Tools,
    lean_tree,
    root_tree,
)


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    path = Path(os.environ.get("EVALS_CLIENTS") or shared / "clients")
    path.mkdir(parents=True, exist_ok=True)
    with (path / "lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one worker installs, the others wait
        return Tools.install(path, list(INSTALLERS))


@pytest.fixture
def box(tools: Tools, tmp_path: Path) -> Sandbox:
    return Sandbox.make(tools, tmp_path)


@pytest.fixture(scope="session")
def hub(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A code host in a directory: `<owner>/async-sqlalchemy`, as git finds it.

    `root` has the pack on its default branch and the lean tree on `dist`; `lean` has
    the lean tree on its default branch.
    """
    hub = tmp_path_factory.mktemp("hub")
    box = Sandbox.make(tools, tmp_path_factory.mktemp("owner"))
    root, lean = (hub / owner / f"{NAME}.git" for owner in ("root", "lean"))
    root_tree(root)
    lean_tree(lean)
    for repository in (root, lean):
        box.run("git", "init", "-q", "-b", "main", cwd=repository)
        box.commit(repository, "release")
    box.run("git", "fetch", "-q", str(lean), "main:dist", cwd=root)
    return hub


@pytest.fixture
def online(box: Sandbox, hub: Path) -> Sandbox:
    """A sandbox in which the code host that installers ask is `hub`."""
    with (box.home / ".gitconfig").open("a", encoding="utf-8") as file:
        file.write(f'[url "file://{hub}/"]\n\tinsteadOf = https://github.com/\n')
    return box
