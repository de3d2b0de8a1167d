"""The steps of the release workflow that publish, run on a code host in a directory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from evals.harness.project import ROOT

WORKFLOW = (ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8")


def step(name: str) -> str:
    """Return the script of the step of this name."""
    found = re.search(
        rf"- name: {re.escape(name)}\n        run: \|\n((?:          .*\n|\n)+)",
        WORKFLOW,
    )
    assert found, name
    return dedent(found[1])


class Clone:
    """What actions/checkout leaves: a clone of the host, with every branch."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.host = directory / "host.git"
        self.path = directory / "clone"
        self.git("init", "-q", "--bare", "-b", "main", str(self.host), cwd=directory)
        self.fresh()
        (self.path / "README.md").write_text("Pack\n", encoding="utf-8")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "first")
        self.git("push", "-q", "origin", "HEAD:main")

    def fresh(self) -> None:
        subprocess.run(["rm", "-rf", self.path], check=True)
        self.git("clone", "-q", str(self.host), str(self.path), cwd=self.directory)

    def git(self, *args: str, cwd: Path | None = None) -> str:
        return self.run(["git", *args], cwd or self.path)

    def publish(self, tag: str, files: dict[str, str]) -> None:
        """Build, as the step before does, and run the step."""
        self.fresh()
        for name, text in files.items():
            target = self.path / "lean" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        script = step("The lean tree becomes the next commit of dist")
        self.run(["bash", "-e", "-c", script], self.path, TAG=tag)

    def run(self, words: list[str], cwd: Path, **env: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        if words[0] == "git":
            words = ["git", *who, *words[1:]]
        done = subprocess.run(
            words,
            cwd=cwd,
            env=os.environ | {"GITHUB_SHA": "abc", **env},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_dist_holds_the_lean_tree_of_the_last_release_and_nothing_else(
    clone: Clone,
) -> None:
    clone.publish("v1.0.0", {"plugin.json": "{}", "skills/a/old.py": "1"})
    hidden = {"plugin.json": "{}", ".claude-plugin/a.json": "2", "skills/a/new.py": "2"}
    clone.publish("v1.1.0", hidden)
    held = clone.git("ls-tree", "-r", "--name-only", "dist", cwd=clone.host)
    assert held.split() == [".claude-plugin/a.json", "plugin.json", "skills/a/new.py"]
    log = clone.git("log", "--format=%s", "dist", cwd=clone.host).splitlines()
    assert log == ["v1.1.0, from abc", "v1.0.0, from abc"]
    on_main = clone.git("ls-tree", "-r", "--name-only", "main", cwd=clone.host)
    assert on_main.split() == ["README.md"]


def test_a_release_that_changes_nothing_makes_no_commit(clone: Clone) -> None:
    clone.publish("v1.0.0", {"plugin.json": "{}"})
    clone.publish("v1.0.1", {"plugin.json": "{}"})
    log = clone.git("log", "--format=%s", "dist", cwd=clone.host).splitlines()
    assert log == ["v1.0.0, from abc"]


def test_it_builds_what_it_publishes_and_checks_before() -> None:
    made = step("The lean tree and the zip")
    (command,) = re.findall(r"python3 (scripts/maintain/build\.py) lean --zip", made)
    done = subprocess.run(
        [sys.executable, ROOT / command, "--help"], capture_output=True, check=False
    )
    assert done.returncode == 0
    assert "needs: check" in WORKFLOW
    checks = (ROOT / ".github/workflows/check.yml").read_text(encoding="utf-8")
    assert "  workflow_call:\n" in checks
    assert "scripts/maintain/check --scan" in checks
    assert "bash .ci/run" in checks
