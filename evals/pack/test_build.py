"""The lean tree: small, the same bytes each time, and valid for every client."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from evals.harness.project import ROOT, Project

BUILD = str(ROOT / "scripts/maintain/build.py")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def build(*args: Path | str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, BUILD, *map(str, args)],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("lean") / "dist"
    done = build(out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(out / "skills/async-sqlalchemy")
    return out


@pytest.fixture(scope="module")
def skill(tree: Path) -> Path:
    return tree / "skills/async-sqlalchemy"


def manifest(tree: Path, path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((tree / path).read_text(encoding="utf-8"))
    return found


def contents(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {p.relative_to(directory).as_posix(): p.read_bytes() for p in files}


def test_the_same_commit_gives_the_same_bytes(tree: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a.zip", tmp_path / "b.zip"
    assert build(tmp_path / "a", "--zip", first).returncode == 0
    assert build(tmp_path / "b", "--zip", second).returncode == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b") == contents(tree)
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as file:
        tops = {name.split("/")[0] for name in file.namelist()}
        assert tops == {PROJECT["name"]}
        assert file.testzip() is None


def test_it_holds_what_an_agent_needs_and_nothing_else(skill: Path) -> None:
    tops = {path.name for path in skill.iterdir()}
    assert tops == {
        "SKILL.md", "LICENSE", "CHANGELOG.md", "pyproject.toml",
        "references", "scripts", "snippets",
    }  # fmt: skip
    names = contents(skill)
    assert not [name for name in names if "maintain" in name or "eval" in name]
    assert [name for name in names if name.endswith("SKILL.md")] == ["SKILL.md"]
    for name in ("references", "snippets"):
        ours = [p for p in (ROOT / name).iterdir() if p.is_file()]
        listed = subprocess.run(
            ["git", "ls-files", "-z", *ours], cwd=ROOT, capture_output=True, check=True
        )
        tracked = {Path(p).name for p in listed.stdout.decode().split("\0") if p}
        assert {p.name for p in (skill / name).iterdir() if p.is_file()} == tracked


def test_the_manifests_say_what_the_pack_says(tree: Path) -> None:
    front = (tree / "skills/async-sqlalchemy/SKILL.md").read_text("utf-8")
    described = [
        ".claude-plugin/plugin.json",
        ".codex-plugin/plugin.json",
        ".cursor-plugin/plugin.json",
        "gemini-extension.json",
    ]
    for path in described:
        found = manifest(tree, path)
        assert found["name"] == PROJECT["name"]
        assert found["version"] == PROJECT["version"]
        words = found["description"].split()
        assert words == front.split("description: >-")[1].split()[: len(words)]
        assert 300 <= len(found["description"]) <= 600
    market = manifest(tree, ".claude-plugin/marketplace.json")
    assert [plugin["source"] for plugin in market["plugins"]] == ["./"]
    agents = manifest(tree, ".agents/plugins/marketplace.json")
    assert agents["plugins"][0]["source"] == {"source": "local", "path": "./"}
    assert manifest(tree, "plugin.json")["version"] == PROJECT["version"]


def test_the_root_has_a_marketplace_and_no_plugin() -> None:
    """Any plugin.json in the root makes clients rename the skill."""
    names = {path.name for path in (ROOT / ".claude-plugin").iterdir()}
    assert names == {"marketplace.json"}
    (plugin,) = manifest(ROOT, ".claude-plugin/marketplace.json")["plugins"]
    assert (plugin["strict"], plugin["skills"]) == (False, ["./"])
    assert plugin["name"] == PROJECT["name"]
    assert not list(ROOT.glob(".c*-plugin/plugin.json"))


def test_the_strictest_validators_accept_it(skill: Path) -> None:
    validator = Path(sys.executable).with_name("agentskills")
    done = subprocess.run(
        [validator, "validate", skill], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr

    # What the validators of Claude's and Codex's skill creators check besides.
    text = (skill / "SKILL.md").read_text(encoding="utf-8")
    assert text.startswith("---\n")
    block = text.split("---\n")[1]
    keys = re.findall(r"^(\S+):", block, re.MULTILINE)
    assert set(keys) <= {"name", "description", "license", "metadata"}
    name = re.search(r"^name: (.+)$", block, re.MULTILINE)
    assert name
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name[1])
    assert len(name[1]) <= 64
    assert not set("<>") & set(block.replace(">-", ""))
    assert "TODO" not in text
    assert name[1] == skill.name


# What each client's manifest may hold: others are refused, or warned about.
KNOWN = {
    ".claude-plugin/plugin.json": "name version description author license",
    ".codex-plugin/plugin.json": "name version description skills",
    ".cursor-plugin/plugin.json": "name version description skills",
    "gemini-extension.json": "name version description",
    "plugin.json": "$schema name version",
    ".claude-plugin/marketplace.json": "name description owner plugins",
    ".agents/plugins/marketplace.json": "name plugins",
}


def test_each_client_finds_its_manifest_and_no_key_that_it_does_not_know(
    tree: Path,
) -> None:
    for path, keys in KNOWN.items():
        found = manifest(tree, path)
        assert found.keys() == set(keys.split()), path
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", found["name"])
        if "version" in found:
            assert re.fullmatch(r"\d+\.\d+\.\d+", found["version"])
        if "skills" in found:
            where = tree / found["skills"]
            assert (where / found["name"] / "SKILL.md").is_file()
    made = {p for p in contents(tree) if p.endswith(".json")}
    assert made == KNOWN.keys()
    assert not {"claude", "anthropic"} & set(PROJECT["name"].split("-"))


def test_the_zip_is_within_every_limit(tree: Path, tmp_path: Path) -> None:
    """Those of `npx skills` (10 MiB, 1,000 files) and of uploads (30 MB unpacked)."""
    archive = tmp_path / "skill.zip"
    assert build(tmp_path / "out", "--zip", archive).returncode == 0
    assert archive.stat().st_size < 10 * 2**20
    with zipfile.ZipFile(archive) as file:
        infos = file.infolist()
    assert len(infos) < 1_000
    assert sum(info.file_size for info in infos) < 25 * 2**20
    assert not [info for info in infos if info.external_attr >> 28 == 0o12]  # symlinks


def test_the_scripts_work_from_the_lean_tree(skill: Path, project: Project) -> None:
    surveyed = project.run(str(skill / "scripts/survey.py"))
    assert "set-up" in surveyed.stdout
    project.run(str(skill / "scripts/add.py"), "session", "--into", "shop/db")
    assert (project.path / "shop/db/session.py").is_file()


def test_a_directory_that_is_not_empty_is_refused(tree: Path) -> None:
    done = build(tree)
    assert done.returncode == 2
    assert "is not empty: name a new directory" in done.stderr
