"""Evals for `add.py --agents-block`: one block in AGENTS.md, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from evals.harness.small_pack import SmallPack

BEGIN = "<!-- async-sqlalchemy: begin -->"
END = "<!-- async-sqlalchemy: end -->"
SKILL = "The skill `async-sqlalchemy`"
WHAT = (
    "and the traps of async SQLAlchemy, Alembic and their tests."
    " Read its page before you"
)
BLOCK = f"""\
{BEGIN}
## Database code

{SKILL} has database code that is proven on SQLite and PostgreSQL, {WHAT}:

- set up a database: `references/set-up.md`
- list rows: `references/lists.md`, `references/pages.md`

Copy code with its `scripts/add.py`; do not write it from memory.
{END}"""


@pytest.fixture
def pack(tmp_path: Path) -> SmallPack:
    return SmallPack(tmp_path)


def test_the_block_names_the_pages_that_skill_md_routes_to(pack: SmallPack) -> None:
    done = pack.add("--agents-block")

    assert (done.code, done.out) == (0, "added AGENTS.md\n")
    assert pack.read("AGENTS.md") == f"{BLOCK}\n"


def test_it_is_never_written_unasked(pack: SmallPack) -> None:
    pack.add("starter")
    pack.add("--update")
    assert not (pack.project / "AGENTS.md").exists()


def test_it_comes_with_snippets_and_with_updates(pack: SmallPack) -> None:
    done = pack.add("base", "--agents-block", "--json")
    assert done.statuses == {"app/db/base.py": "added", "AGENTS.md": "added"}
    assert pack.add("--update", "--agents-block", "--json").statuses == {
        "app/db/base.py": "same",
        "AGENTS.md": "same",
    }


@pytest.mark.parametrize(
    ("there", "args", "chosen"),
    [
        ([], [], "AGENTS.md"),
        (["CLAUDE.md"], [], "CLAUDE.md"),
        (["CLAUDE.md", "AGENTS.md"], [], "AGENTS.md"),
        (["AGENTS.md"], ["--agents-block=.github/copilot.md"], ".github/copilot.md"),
    ],
)
def test_the_file_is_the_one_that_agents_read(
    pack: SmallPack, there: list[str], args: list[str], chosen: str
) -> None:
    for name in there:
        pack.give(name, "# Mine\n")
    done = pack.add(*(args or ["--agents-block"]), "--json")

    assert list(done.statuses) == [chosen]
    assert BEGIN in pack.read(chosen)
    for name in set(there) - {chosen}:
        assert pack.read(name) == "# Mine\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"{BLOCK}\n"),
        ("# Mine\n", f"# Mine\n\n{BLOCK}\n"),
        ("# Mine", f"# Mine\n\n{BLOCK}\n"),
        (f"a\n{BEGIN}\nold\n{END}\n\n b ", f"a\n{BLOCK}\n\n b "),
        (f"\ufeffa {BEGIN}{END}b", f"\ufeffa {BLOCK}b"),
        (
            f"# Mine\r\n\r\n{BEGIN}\r\nold\r\n{END}\r\nend\r\n",
            f"# Mine\n\n{BLOCK}\nend\n".replace("\n", "\r\n"),
        ),
        ("# Mine\r\n", f"# Mine\n\n{BLOCK}\n".replace("\n", "\r\n")),
    ],
)
def test_all_but_the_block_stays_byte_for_byte(
    pack: SmallPack, before: str, after: str
) -> None:
    pack.give("AGENTS.md", before)
    assert pack.add("--agents-block", "--json").statuses == {"AGENTS.md": "updated"}
    assert pack.read("AGENTS.md") == after
    assert pack.add("--agents-block", "--json").statuses == {"AGENTS.md": "same"}
    assert pack.read("AGENTS.md") == after


@pytest.mark.parametrize(
    "text",
    [BEGIN, END, f"{END}\n{BEGIN}", f"{BEGIN}{END}{BEGIN}", f"{BEGIN}{END}" * 2],
)
def test_broken_markers_are_refused(pack: SmallPack, text: str) -> None:
    pack.give("AGENTS.md", text)
    done = pack.add("base", "--agents-block")

    assert (done.code, done.out) == (2, "")
    assert f"AGENTS.md: expected one `{BEGIN}` and one `{END}` after it" in done.err
    assert pack.read("AGENTS.md") == text
    assert not (pack.project / "app").exists()


@pytest.mark.parametrize("name", ["base", "AGENTS.txt"])
def test_a_file_that_is_no_markdown_is_refused(pack: SmallPack, name: str) -> None:
    done = pack.add("--agents-block", name)
    assert (done.code, "expected a Markdown file" in done.err) == (2, True)


def test_a_file_that_is_not_utf_8_is_refused(pack: SmallPack) -> None:
    pack.give("AGENTS.md", "café".encode("latin-1"))
    done = pack.add("--agents-block")
    assert (done.code, "AGENTS.md is not UTF-8" in done.err) == (2, True)


def test_a_dry_run_writes_no_block(pack: SmallPack) -> None:
    done = pack.add("--agents-block", "--dry-run")
    assert (done.code, done.out) == (0, "would be added AGENTS.md\n")
    assert not (pack.project / "AGENTS.md").exists()


def test_a_skill_inside_the_project_is_named_by_its_path(pack: SmallPack) -> None:
    inside = pack.project / ".agents/skills/async-sqlalchemy"
    shutil.move(pack.root, inside)
    pack.add("--agents-block", script=inside / "scripts/add.py")

    text = pack.read("AGENTS.md")
    path = ".agents/skills/async-sqlalchemy"
    assert f"The skill `async-sqlalchemy` (`{path}/`) has" in text
    assert f"`python3 {path}/scripts/add.py NAME`" in text
