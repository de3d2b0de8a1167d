"""What add.py does so that a copied package is one that every tool accepts."""

from __future__ import annotations

from pathlib import Path

from evals.harness.project import Project


def markers(project: Project) -> list[str]:
    found = sorted(project.path.rglob("__init__.py"))
    return [path.relative_to(project.path).as_posix() for path in found]


def test_the_starter_lays_down_a_regular_package(project: Project) -> None:
    project.add("starter", "--package", "src/shop")
    assert markers(project) == ["src/shop/__init__.py", "src/shop/db/__init__.py"]
    assert "same" in project.add("starter", "--package", "src/shop").stdout


def test_a_snippet_joins_a_regular_package_as_one(project: Project) -> None:
    project.write({"shop/__init__.py": "# theirs\n"})
    shown = project.add("session", "--into", "shop/db", "--dry-run").stdout
    assert "would be added shop/db/__init__.py" in shown
    assert markers(project) == ["shop/__init__.py"]
    project.add("session", "--into", "shop/db")
    assert markers(project) == ["shop/__init__.py", "shop/db/__init__.py"]
    kept = Path(project.path / "shop/__init__.py").read_text(encoding="utf-8")
    assert kept == "# theirs\n"


def test_a_namespace_stays_one(project: Project) -> None:
    project.add("session", "--into", "shop/db")
    assert markers(project) == []
