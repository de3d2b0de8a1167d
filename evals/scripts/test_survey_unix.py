"""Evals for scripts/survey.py with links, pipes and names that Windows lacks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from evals.harness.surveyed import Surveyed


@pytest.fixture
def tree(tmp_path: Path) -> Surveyed:
    return Surveyed(tmp_path)


def test_links_pipes_and_odd_names_do_not_stop_it(tree: Surveyed) -> None:
    outside = tree.project.parent / "outside"
    outside.mkdir()
    (outside / "requirements.txt").write_text("sqlalchemy\n", encoding="utf-8")
    (outside / ".env").write_text("X=sqlite:///x.db\n", encoding="utf-8")
    (outside / "db.py").write_text("x = 'sqlite://'\n", encoding="utf-8")
    tree.give("a/requirements.txt", "-r ../../outside/requirements.txt\n-r link.txt\n")
    (tree.project / "a/link.txt").symlink_to(outside / "requirements.txt")
    (tree.project / "a/loop").symlink_to(tree.project)
    (tree.project / "b").symlink_to(outside)
    (tree.project / ".env").symlink_to(outside / ".env")
    (tree.project / "self.py").symlink_to("self.py")
    os.mkfifo(tree.project / "pipe.py")
    (tree.project / "folder.py").mkdir()
    tree.give("evil\n\x1b[2J.py", "x = 'sqlite://'\n")
    (tree.project / os.fsdecode(b"\xff.py")).write_text(
        "x = 'sqlite://'\n", encoding="utf-8"
    )
    tree.give("\u6a21\u578b.py", "x = 'sqlite://'\n")
    report = tree.survey()

    assert report["notes"] == [
        f"a/requirements.txt:{line} includes what is missing or outside"
        for line in (1, 2)
    ]
    assert len(report["databases"]) == 3
    text = tree.run().out
    assert "\x1b" not in text
    assert (
        "databases: sqlite evil\\x0a\\x1b[2J.py:1, \u6a21\u578b.py:1, \\xdcff.py:1\n"
        in text
    )
