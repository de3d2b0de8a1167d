"""The clients' own plugin commands install the lean tree, list it and let go of it.

README's lines are run as they stand there, but for the owner. Cursor has no client on
npm, and Gemini asks the real host for a repository: for these two the layout that they
document is checked here and in evals/pack/test_build.py, and Gemini installs a path.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from evals.clients.sandbox import NAME, ROOT, Sandbox, lean_tree, root_tree

PLUGIN = f"{NAME}@{NAME}"
README = (ROOT / "README.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| ([A-Z]\w+(?: CLI| Code)?|\w+) \| (`.+) \|$", README, re.M))


@pytest.fixture
def lean(tmp_path: Path) -> Path:
    lean_tree(tmp_path / "lean")
    return tmp_path / "lean"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root_tree(tmp_path / "root")
    return tmp_path / "root"


def heard(box: Sandbox, *args: str) -> str:
    """Run a command that talks on stderr as well; return all it said."""
    done = box.start(*args)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("tree", ["lean", "root"])
def test_claude_finds_the_manifests_valid(
    tree: str, box: Sandbox, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(tree)
    said = heard(box, "claude", "plugin", "validate", "--strict", str(path))
    assert "Validation passed" in said

    manifest = path / ".claude-plugin/marketplace.json"
    text = manifest.read_text(encoding="utf-8").replace('"name"', '"title"', 1)
    manifest.write_text(text, encoding="utf-8")
    done = box.start("claude", "plugin", "validate", "--strict", str(path))
    assert done.returncode != 0


@pytest.mark.parametrize("tree", ["lean", "root"])
def test_claude_installs_it_as_a_plugin(
    tree: str, box: Sandbox, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(tree)
    box.run("claude", "plugin", "marketplace", "add", str(path))
    box.run("claude", "plugin", "install", PLUGIN)
    (listed,) = json.loads(box.run("claude", "plugin", "list", "--json"))
    assert (listed["id"], listed["enabled"]) == (PLUGIN, True)
    inside = "" if tree == "root" else f"skills/{NAME}"
    skill = Path(listed["installPath"]) / inside
    for name in ("SKILL.md", "references/set-up.md", "snippets/session.py"):
        assert (skill / name).is_file(), name
    box.run("claude", "plugin", "uninstall", PLUGIN)
    assert json.loads(box.run("claude", "plugin", "list", "--json")) == []


def test_codex_installs_it_and_shows_the_skill_once(box: Sandbox, lean: Path) -> None:
    box.run("codex", "plugin", "marketplace", "add", str(lean))
    box.run("codex", "plugin", "add", PLUGIN)
    (listed,) = json.loads(box.run("codex", "plugin", "list", "--json"))["installed"]
    assert (listed["pluginId"], listed["enabled"]) == (PLUGIN, True)
    prompt = box.run("codex", "debug", "prompt-input", "hello")
    # A plugin's skills carry its name, in Codex as in Claude Code.
    assert re.findall(rf"- ([\w:-]*{NAME}): Use when", prompt) == [f"{NAME}:{NAME}"]
    box.run("codex", "plugin", "remove", PLUGIN)
    prompt = box.run("codex", "debug", "prompt-input", "hello")
    assert f"{NAME}: Use when" not in prompt


def test_gemini_installs_it_as_an_extension(box: Sandbox, lean: Path) -> None:
    box.trust(lean)
    said = heard(box, "gemini", "extensions", "validate", str(lean))
    assert "successfully validated" in said
    heard(box, "gemini", "extensions", "install", str(lean), "--consent")
    said = heard(box, "gemini", "extensions", "list")
    assert re.search(rf"{NAME} \(\d+\.\d+\.\d+\)", said), said
    skill = box.home / f".gemini/extensions/{NAME}/skills/{NAME}/SKILL.md"
    assert f"  {NAME}: Use when" in said
    assert skill.is_file()
    heard(box, "gemini", "extensions", "uninstall", NAME)
    assert not skill.exists()


def test_opencode_which_has_no_plugins_of_skills_reads_a_copy(
    box: Sandbox, lean: Path
) -> None:
    target = box.project / ".opencode/skills" / NAME
    shutil.copytree(lean / "skills" / NAME, target)
    found = json.loads(box.run("opencode", "debug", "skill"))
    where = [skill["location"] for skill in found if skill["name"] == NAME]
    assert where == [str(target / "SKILL.md")]


def commands(client: str) -> list[list[str]]:
    """Return what README says to type for a client: install, then update."""
    typed = re.findall(r"`(.+?)`", ROWS[client])
    said = [line.replace("OWNER", "root").split() for line in typed]
    return [
        ["claude", "plugin", *line[1:]] if line[0] == "/plugin" else line
        for line in said
    ]


def test_readme_has_a_line_for_each_client() -> None:
    assert ROWS.keys() == {
        "Claude Code", "Codex", "Gemini CLI", "Copilot CLI", "Cursor", "opencode",
    }  # fmt: skip
    assert "#dist" in README
    assert "edits and files inside it\nare lost" in README


@pytest.mark.parametrize(
    ("client", "place"),
    [
        ("Claude Code", ".claude/plugins/cache"),
        ("Codex", ".codex/plugins/cache"),
        ("Copilot CLI", ".copilot"),
        ("Cursor", ".agents/skills"),
        ("opencode", ".agents/skills"),
    ],
)
def test_the_lines_of_the_readme_install_and_update(
    client: str, place: str, online: Sandbox
) -> None:
    for words in commands(client):
        if words[0] == "npx":
            words[1:1] = ["--yes"]
            words.append("-y")
        online.run(*words)
    top = online.project if place.startswith(".agents") else online.home
    found = list((top / place).rglob(f"{NAME}/SKILL.md"))
    assert found
    for skill in found:  # Copilot keeps what it fetched beside what it uses
        assert (skill.parent / "snippets/session.py").is_file()
        assert not (skill.parent / "evals").exists()  # it came from the branch dist
