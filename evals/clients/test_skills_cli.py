"""`npx skills` puts the pack where each client looks, and what lies there works."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from evals.clients.sandbox import NAME, ROOT, Sandbox
from evals.harness.project import Project

AGENTS = ["claude-code", "codex", "cursor", "github-copilot", "gemini-cli", "opencode"]
INSTALLED = Path(".agents/skills") / NAME
# Claude Code reads its own folder; the five others read the shared one.
LAYOUTS = [INSTALLED, Path(".claude/skills") / NAME]
SOURCES = {"root": False, "root#dist": True, "lean": True}


def source(name: str) -> str:
    """Return what stands after `add`: an owner, the repository, perhaps a branch."""
    owner, hash_, branch = name.partition("#")
    return f"{owner}/{NAME}{hash_}{branch}"


def skills(box: Sandbox, *args: str) -> str:
    return box.run("npx", "--yes", "skills@latest", *args)


def add(box: Sandbox, name: str = "lean") -> Path:
    skills(box, "add", source(name), "-y", "-a", *AGENTS)
    return box.project / INSTALLED


def contents(directory: Path) -> dict[str, bytes]:
    inside = ((p, p.relative_to(directory)) for p in directory.rglob("*"))
    return {
        name.as_posix(): path.read_bytes()
        for path, name in inside
        if path.is_file() and name.parts[0] != ".git"
    }


@pytest.mark.parametrize("name", SOURCES)
def test_every_file_lands_where_six_clients_look(
    name: str, online: Sandbox, hub: Path
) -> None:
    printed = skills(online, "add", source(name), "-y", "--json", "-a", *AGENTS)

    (done,) = json.loads(printed)
    assert (done["name"], done["status"], len(done["agents"])) == (NAME, "installed", 6)
    if SOURCES[name]:
        wanted = contents(hub / "lean" / f"{NAME}.git" / "skills" / NAME)
    else:
        wanted = contents(hub / "root" / f"{NAME}.git")
    assert len(wanted) > 100
    for layout in LAYOUTS:
        assert contents(online.project / layout) == wanted, layout
    made = {p.name for p in online.project.iterdir()}
    assert made == {".git", ".agents", ".claude", "skills-lock.json"}


def test_copies_instead_of_links_hold_the_same(online: Sandbox) -> None:
    skills(online, "add", source("lean"), "-y", "--copy", "-a", *AGENTS)
    first, second = (online.project / layout for layout in LAYOUTS)
    assert not first.is_symlink()
    assert not second.is_symlink()
    assert contents(first) == contents(second)


def test_the_line_of_the_readme_installs_it(online: Sandbox) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^npx (skills@latest add OWNER/\S+)$", readme, re.MULTILINE)
    words = line.replace("OWNER", "root").split()
    online.run("npx", "--yes", *words, "-y")
    assert (online.project / INSTALLED / "SKILL.md").is_file()


def test_the_clients_list_what_was_installed(online: Sandbox) -> None:
    add(online)

    (listed,) = json.loads(skills(online, "list", "--json"))
    assert (listed["name"], listed["scope"]) == (NAME, "project")
    prompt = online.run("codex", "debug", "prompt-input", "hello")
    assert re.findall(rf"- ([\w:-]*{NAME}): Use when", prompt) == [NAME]
    found = json.loads(online.run("opencode", "debug", "skill"))
    # One file, found in `.agents` and, by a link, in `.claude`: either may come.
    locations = [Path(s["location"]) for s in found if s["name"] == NAME]
    assert [location.resolve() for location in locations] == [
        (online.project / INSTALLED / "SKILL.md").resolve()
    ]
    done = online.start("gemini", "skills", "list")
    assert f"{NAME} [Enabled]" in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["root", "lean"])
def test_an_update_brings_the_new_and_deletes_edits(
    name: str, online: Sandbox, hub: Path
) -> None:
    shutil.copytree(hub / name, hub / "writer")
    repository = hub / "writer" / f"{NAME}.git"
    installed = add(online, "writer")
    assert "up to date" in skills(online, "update", "-y")

    page = "references/set-up.md"
    inside = "" if name == "root" else f"skills/{NAME}/"
    with (repository / inside / page).open("a", encoding="utf-8") as file:
        file.write("\nNew.\n")
    online.commit(repository, "next release")
    with (installed / "SKILL.md").open("a", encoding="utf-8") as file:
        file.write("\nMine.\n")
    (installed / "mine.md").write_text("Mine.\n", encoding="utf-8")
    skills(online, "update", "-y")
    shutil.rmtree(hub / "writer")

    assert (installed / page).read_text("utf-8").endswith("\nNew.\n")
    assert "Mine." not in (installed / "SKILL.md").read_text(encoding="utf-8")
    assert not (installed / "mine.md").exists()


def test_removal_leaves_nothing_of_it(online: Sandbox) -> None:
    add(online)
    skills(online, "remove", NAME, "-y")
    left = [p for p in online.project.rglob("*") if ".git" not in p.parts]
    assert [p for p in left if p.is_file() or NAME in p.name] == [
        online.project / "skills-lock.json"
    ]
    lock = json.loads((online.project / "skills-lock.json").read_text("utf-8"))
    assert lock["skills"] == {}


@pytest.mark.parametrize("name", ["root", "root#dist"])
def test_an_installed_copy_sets_up_a_project_that_runs(
    name: str, online: Sandbox
) -> None:
    skill = add(online, name).relative_to(online.project)
    project = Project(online.project, env={"HOME": str(online.home)})

    surveyed = project.run(str(skill / "scripts/survey.py"), "--json")
    assert json.loads(surveyed.stdout)
    project.run(str(skill / "scripts/add.py"), "starter")
    assert re.search(r"\b[1-9]\d* passed", project.run("-m", "pytest", "-q").stdout)
    project.write({".env": "DATABASE_URL=sqlite:///app.db\n"})
    project.run("-m", "alembic", "upgrade", "head")
    answered = project.run("-c", ASK)
    assert answered.stdout.split() == ["201", "200", "404"]
    linted = project.run("-m", "ruff", "check", "--no-cache", ".agents", check=False)
    assert linted.returncode == 0, linted.stdout


ASK = """\
import asyncio

from httpx import ASGITransport, AsyncClient

from app.main import app


async def ask():
    transport = ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=transport, base_url="http://app") as client,
    ):
        made = await client.post("/notes", json={"text": "milk"})
        read = await client.get(f"/notes/{made.json()['id']}")
        none = await client.get("/notes/999")
        print(made.status_code, read.status_code, none.status_code)


asyncio.run(ask())
"""
