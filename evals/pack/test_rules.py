"""The pack keeps its own rules: one home, one address and one proof for everything."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SKILL = ROOT / "SKILL.md"
SNIPPETS = sorted((ROOT / "snippets").glob("*.py"))
EVALS = sorted((ROOT / "evals/snippets").glob("test_*.py"))
PAGES = sorted((ROOT / "references").glob("*.md"))
SCRIPTS = sorted((ROOT / "scripts").glob("*.py"))
MAINTENANCE = sorted((ROOT / "scripts/maintain").glob("*.py"))
# A file that a script imports and nobody runs says so by having no main().
RUNNABLE = [p for p in SCRIPTS + MAINTENANCE if "def main(" in p.read_text("utf-8")]

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
SKIPS = {"skip", "skipif", "xfail", "importorskip"}


def stem(path: Path) -> str:
    return path.stem


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def tracked() -> list[str]:
    """Return every file that git has or would take."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return [name for name in listed.stdout.split("\0") if (ROOT / name).is_file()]


def offered(page: Path) -> list[str]:
    """Return the snippets on a page's `Copy:` line."""
    lines = re.findall(r"^Copy: (.+(?:\n`.+)*)", text(page), re.MULTILINE)
    return [name for line in lines for name in re.findall(r"`(\w+)`", line)]


def front_matter() -> dict[str, str]:
    """Return the top of SKILL.md; a folded value is one line."""
    block = text(SKILL).split("---\n")[1]
    pairs = re.findall(r"^(\w+): (?:>-\n)?((?:.|\n  )*)", block, re.MULTILINE)
    return {key: " ".join(value.split()) for key, value in pairs}


def traps(names: Iterable[str]) -> list[str]:
    """Return the ids of the traps that the evals of these snippets show."""
    found: list[str] = []
    for name in set(names) - {"starter"}:
        source = text(ROOT / f"evals/snippets/test_{name}.py")
        found += re.findall(r'@pytest\.mark\.trap\("([^"]+)"\)', source)
    return found


def run(*args: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, args)],
        cwd=cwd,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_every_snippet_has_one_eval() -> None:
    assert [path.name for path in EVALS] == [f"test_{path.name}" for path in SNIPPETS]


def test_every_snippet_is_offered_by_one_page() -> None:
    names = [name for page in PAGES for name in offered(page) if name != "starter"]
    assert sorted(names) == [path.stem for path in SNIPPETS]


def test_every_page_is_routed_once() -> None:
    routes = re.findall(r"^\|.*\]\(references/(.+?)\) \|$", text(SKILL), re.MULTILINE)
    assert sorted(routes) == [page.name for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=stem)
def test_every_gotcha_is_shown_failing_by_an_eval(page: Path) -> None:
    gotchas = re.findall(r"^- `([a-z0-9-]+)` \*\*", text(page), re.MULTILINE)
    assert sorted(gotchas) == sorted(set(traps(offered(page))))


def test_a_trap_has_one_home() -> None:
    ids = Counter(trap for path in SNIPPETS for trap in set(traps([path.stem])))
    assert [trap for trap, number in ids.items() if number > 1] == []


def test_every_quote_is_current() -> None:
    done = run("scripts/maintain/quote.py", "--check")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", [SKILL, *PAGES], ids=stem)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text(page))
    files = [link for link in links if "://" not in link]
    assert [f for f in files if not (page.parent / f).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=stem)
def test_a_page_has_its_parts_and_is_short(page: Path) -> None:
    lines = text(page).splitlines()
    assert 50 <= len(lines) <= 120
    assert lines[0].startswith("# ")
    assert re.match(r"[A-Z`]", lines[2]), "the invariant stands under the title"
    heads = [line for line in lines if line.startswith("## ")]
    assert heads[0] == "## Do"
    assert heads[-1] == "## When this does not fit"


def test_skill_md_costs_little_to_read() -> None:
    assert len(text(SKILL).splitlines()) <= 150
    assert len(text(SKILL)) / 4 <= 2_000  # about so many tokens


def test_the_front_matter_is_valid_for_every_client(tmp_path: Path) -> None:
    front = front_matter()
    assert set(front) <= {"name", "description", "license", "metadata"}
    assert front["name"] == PROJECT["name"]
    assert front["license"] == PROJECT["license"]
    assert 300 <= len(front["description"]) <= 600
    assert not set("<>") & set(front["description"])
    folder = tmp_path / front["name"]
    folder.mkdir()
    (folder / "SKILL.md").write_text(text(SKILL), encoding="utf-8")
    validator = Path(sys.executable).with_name("agentskills")
    done = subprocess.run(
        [validator, "validate", folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_that_an_installer_drops_is_tracked() -> None:
    parts = [part for name in tracked() for part in Path(name).parts]
    assert [part for part in parts if part.startswith("_")] == []
    assert "metadata.json" not in parts
    assert parts.count("SKILL.md") == 1
    assert [name for name in tracked() if (ROOT / name).is_symlink()] == []
    assert "uv.lock" not in parts


def test_no_file_names_a_host_of_packages_or_a_path_of_a_machine() -> None:
    hosts = ["pypi", "pythonhosted"], ["registry", "npmjs"], ["deb", "debian"]
    words = [rf"{left}\.(?:{right}\.)?org\b" for left, right in hosts]
    words += ["index" + "-url", r"(?<![\w.{}])/(?:work|root|farm)/"]
    pattern = re.compile("|".join(words))
    found = {
        name: hit[0]
        for name in tracked()
        if (
            hit := pattern.search((ROOT / name).read_bytes().decode("utf-8", "replace"))
        )
    }
    assert found == {}


@pytest.mark.parametrize("snippet", SNIPPETS, ids=stem)
def test_a_snippet_is_small_and_says_what_it_gives(snippet: Path) -> None:
    source = text(snippet)
    first = (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
    assert first.endswith((".", ":"))
    # Walking any order both ways is one thing, and takes more than most.
    limit = 155 if snippet.stem in offered(ROOT / "references/pagination.md") else 120
    assert len(source.splitlines()) <= limit
    assert not re.search(r"type: ignore|\bcast\(|# noqa|pyright:", source)
    name = snippet.stem.split("_")
    assert len(name) <= 3
    assert not {"utils", "helpers", "common", "manager"} & set(name)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=stem)
def test_a_snippet_works_wherever_it_is_copied(snippet: Path, tmp_path: Path) -> None:
    done = run(
        ROOT / "scripts/add.py", snippet.stem, "--into", "shop/data", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    imported = run(
        "-W", "error", "-c", f"import shop.data.{snippet.stem}", cwd=tmp_path
    )
    assert imported.returncode == 0, imported.stderr


@pytest.mark.parametrize("script", RUNNABLE, ids=stem)
def test_a_scripts_help_is_its_manual(script: Path) -> None:
    done = run("-I", script, "--help")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 8


@pytest.mark.parametrize("path", sorted((ROOT / "evals").rglob("*.py")), ids=stem)
def test_no_eval_skips(path: Path) -> None:
    tree = ast.parse(text(path))
    used = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    assert not SKIPS & used, "assert the difference instead"


def test_every_snippet_is_in_the_changelog() -> None:
    log = text(ROOT / "CHANGELOG.md")
    assert [p.stem for p in SNIPPETS if f"`{p.stem}`" not in log] == []
    assert f"## {PROJECT['version']}" in log


def test_a_planted_fault_is_seen_by_lint_and_types(tmp_path: Path) -> None:
    """Ours see it; a user's linter, which reads their whole tree, does not."""
    for name in ("pyproject.toml", ".ci/ruff.toml", "snippets/session.py"):
        target = tmp_path / "skill" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text(ROOT / name), encoding="utf-8")
    skill = tmp_path / "skill"
    snippet = skill / "snippets/session.py"
    lint = ("-m", "ruff", "check", "--no-cache", "--config", ".ci/ruff.toml", snippet)
    types = ("-m", "mypy", "--no-incremental", snippet)

    assert run(*lint, cwd=skill).returncode == 0
    assert run(*types, cwd=skill).returncode == 0
    planted = text(snippet) + "\n\nimport os\n\ncount: int = 'seven'\n"
    snippet.write_text(planted, encoding="utf-8")
    assert "F401" in run(*lint, cwd=skill).stdout
    assert "assignment" in run(*types, cwd=skill).stdout
    assert run("-m", "ruff", "check", "--no-cache", ".", cwd=tmp_path).returncode == 0
