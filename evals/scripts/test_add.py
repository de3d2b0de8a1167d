"""Evals for scripts/add.py: snippets are copied, and nothing of the user's is lost."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from evals.harness.small_pack import SmallPack, refused


@pytest.fixture
def pack(tmp_path: Path) -> SmallPack:
    return SmallPack(tmp_path)


def test_without_names_it_lists_snippets_and_starter_files(pack: SmallPack) -> None:
    done = pack.add()

    assert done.code == 0
    assert done.out.splitlines() == [
        "base: The declarative base.",
        "engine: An engine from a URL.",
        "session: Sessions.",
        "url: One URL for the async drivers, never mysql+httpx.",
        "starter/.env.example: Copy this file to .env.",
        "starter/alembic.ini: Alembic: where the revisions are.",
        "starter/app/main.py: The application: `uvicorn app.main:app`.",
        "starter/app/models.py: The models.",
        "starter/app/notes.py: Example: notes over HTTP.",
        "starter/data.json",
        "starter/migrations/script.py.mako",
        "starter/tests/test_notes.py: Example: what a note does.",
    ]


def test_the_list_is_the_same_as_json(pack: SmallPack) -> None:
    answer = pack.add("--json").answer

    assert (answer["name"], answer["version"]) == ("async-sqlalchemy", "0.2.0")
    assert answer["snippets"]["base"] == "The declarative base."
    assert answer["starter"]["starter/alembic.ini"].startswith("Alembic: ")


def test_a_snippet_brings_what_it_imports_at_any_depth(pack: SmallPack) -> None:
    done = pack.add("session")

    assert done.code == 0
    assert done.out.splitlines()[:3] == [
        "added app/db/url.py",
        "added app/db/engine.py",
        "added app/db/session.py",
    ]
    assert sorted(os.listdir(pack.project / "app/db")) == [
        "engine.py",
        "session.py",
        "url.py",
    ]


def test_snippets_that_import_each_other_come_once(pack: SmallPack) -> None:
    pack.write({"snippets/url.py": "from .engine import x\n"})
    assert pack.add("engine", "url", "--json").statuses == {
        "app/db/url.py": "added",
        "app/db/engine.py": "added",
    }


def test_a_copy_is_the_snippet_below_a_stamp_with_its_hash(pack: SmallPack) -> None:
    pack.add("url", "--into", "lib/database")

    text = (pack.root / "snippets/url.py").read_text(encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    stamp = f"# From async-sqlalchemy 0.2.0, snippets/url.py sha256:{digest}"
    assert pack.read("lib/database/url.py") == f"{stamp}\n{text}"


def test_a_second_run_changes_nothing_and_says_same(pack: SmallPack) -> None:
    pack.add("session")
    before = pack.everything()
    done = pack.add("session")

    assert done.code == 0
    assert [line.split()[0] for line in done.out.splitlines()[:3]] == ["same"] * 3
    assert pack.everything() == before


def test_a_file_that_differs_stays_and_the_rest_is_copied(pack: SmallPack) -> None:
    mine = "DRIVERS = {}\n"
    pack.give("app/db/url.py", mine)
    done = pack.add("engine", "--json")

    assert done.code == 1
    assert done.statuses == {"app/db/url.py": "differs", "app/db/engine.py": "added"}
    assert pack.read("app/db/url.py") == mine
    diff = done.answer["files"][0]["diff"].splitlines()
    assert diff[0] == "--- app/db/url.py (no stamp)"
    assert diff[1].startswith("+++ snippets/url.py (From async-sqlalchemy 0.2.0, ")
    assert "-DRIVERS = {}" in diff
    assert '+"""One URL for the async drivers, never mysql+httpx."""' in diff


def test_the_difference_is_on_stdout_and_explains_itself(pack: SmallPack) -> None:
    pack.add("url")
    mine = pack.read("app/db/url.py") + "EXTRA = 1\n"
    pack.give("app/db/url.py", mine)
    done = pack.add("url")

    assert done.code == 1
    assert "differs app/db/url.py\n--- app/db/url.py (From async-sqlalch" in done.out
    assert "-EXTRA = 1" in done.out.splitlines()


def test_an_old_copy_that_nobody_changed_is_told_from_a_changed_one(
    pack: SmallPack,
) -> None:
    pack.add("url")
    pack.write({"snippets/url.py": "DRIVERS = {}\n"})
    done = pack.add("url")

    assert done.code == 1
    hint = "differs app/db/url.py (nobody changed this copy: --update replaces it)"
    assert done.out.splitlines()[0] == hint


def test_windows_line_ends_and_a_byte_order_mark_are_no_difference(
    pack: SmallPack,
) -> None:
    pack.add("engine")
    for name in ("app/db/engine.py", "app/db/url.py"):
        text = "\ufeff" + pack.read(name).replace("\n", "\r\n")
        pack.give(name, text)
    before = pack.everything()
    done = pack.add("engine", "--json")

    assert (done.code, set(done.statuses.values())) == (0, {"same"})
    assert pack.everything() == before


def test_a_copy_without_its_stamp_is_still_the_same(pack: SmallPack) -> None:
    pack.give("app/db/base.py", (pack.root / "snippets/base.py").read_bytes())
    assert pack.add("base", "--json").statuses == {"app/db/base.py": "same"}


def test_other_files_of_the_package_stay(pack: SmallPack) -> None:
    pack.give("app/db/models.py", "MINE = 1\n")
    pack.give("app/db/__init__.py", "")
    assert pack.add("engine").code == 0
    assert pack.read("app/db/models.py") == "MINE = 1\n"


def test_snippets_go_where_the_earlier_copies_are(pack: SmallPack) -> None:
    pack.add("url", "--into", "src/shop/infra")
    assert pack.add("engine", "--json").statuses == {
        "src/shop/infra/url.py": "same",
        "src/shop/infra/engine.py": "added",
    }


def test_the_package_says_where_the_first_copies_go(pack: SmallPack) -> None:
    assert pack.add("base", "--package", "src/shop", "--json").statuses == {
        "src/shop/db/base.py": "added"
    }


def test_copies_in_two_places_need_a_word(pack: SmallPack) -> None:
    pack.add("base", "--into", "one/db")
    pack.add("base", "--into", "two/database")
    done = pack.add("url")

    assert done.code == 2
    assert done.err == "add.py: copies are in one/db and two/database: say --into\n"
    assert pack.add("url", "--into", "one/db").code == 0


def test_copies_in_two_packages_need_a_word(pack: SmallPack) -> None:
    pack.add("base", "--into", "one/db")
    pack.add("base", "--into", "two/db")
    done = pack.add("starter")

    assert (done.code, done.out) == (2, "")
    assert "copies are in the packages one and two: say --package" in done.err
    assert "one/db and two/db: say --into" in pack.add("url").err
    for args in (["--package", "two"], ["--into", "one/db"]):
        assert pack.add("url", *args).code == 0
    assert (pack.project / "two/db/url.py").exists()
    assert (pack.project / "one/db/url.py").exists()


def test_environments_and_packages_are_not_searched_for_copies(pack: SmallPack) -> None:
    pack.add("base", "--into", "node_modules/db")
    pack.add("base", "--into", ".hidden/db")
    pack.add("base", "--into", "env/db")
    pack.give("env/pyvenv.cfg", "")
    pack.give("app.py", "# From async-sqlalchemy by hand\n")

    assert pack.add("base", "--json").statuses == {"app/db/base.py": "added"}


def test_a_dry_run_says_the_same_and_writes_nothing(pack: SmallPack) -> None:
    pack.give("app/db/url.py", "MINE = 1\n")
    before = pack.everything()
    dry = pack.add("engine", "--dry-run")
    dry_json = pack.add("engine", "--dry-run", "--json")
    assert pack.everything() == before

    wet_json = pack.add("engine", "--json")
    assert dry.code == dry_json.code == wet_json.code == 1
    assert "would be added app/db/engine.py" in dry.out.splitlines()
    assert "differs app/db/url.py" in dry.out.splitlines()
    assert dry_json.answer == wet_json.answer | {"dry_run": True}
    assert wet_json.answer["project"] == str(pack.project.resolve())


def test_it_works_from_anywhere_for_any_project(
    pack: SmallPack, tmp_path: Path
) -> None:
    done = pack.add("base", "--project", "../project", cwd=tmp_path / "skills")
    assert done.code == 0
    assert (pack.project / "app/db/base.py").exists()


# --- refused ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("engin", "did you mean engine?"),
        ("sesion", "did you mean session?"),
        ("starter/alembik.ini", "did you mean starter/alembic.ini"),
        ("qqqqqqqq", "run add.py to list"),
    ],
)
def test_an_unknown_name_gets_near_matches(
    pack: SmallPack, name: str, near: str
) -> None:
    reason = refused(pack, "base", name)
    assert f"nothing is called {name}: " in reason
    assert near in reason


@pytest.mark.parametrize("into", ["../elsewhere", "/", "app/../../elsewhere/db"])
def test_a_destination_outside_the_project_is_refused(
    pack: SmallPack, into: str
) -> None:
    assert f"--into {into} leads out of the project" in refused(
        pack, "base", "--into", into
    )
    assert not (pack.project.parent / "elsewhere").exists()


def test_an_absolute_destination_inside_the_project_is_fine(pack: SmallPack) -> None:
    done = pack.add("base", "--into", str(pack.project / "app/x/../db"), "--json")
    assert done.statuses == {"app/db/base.py": "added"}


@pytest.mark.parametrize("into", [".", "app/..", "my-app", "app/1st"])
def test_a_destination_that_is_no_package_is_refused(
    pack: SmallPack, into: str
) -> None:
    assert "expected a directory that Python can import" in refused(
        pack, "base", "--into", into
    )


def test_a_directory_in_the_place_of_the_file_is_refused(pack: SmallPack) -> None:
    (pack.project / "app/db/base.py").mkdir(parents=True)
    assert "app/db/base.py exists and is not a file" in refused(pack, "url", "base")


def test_a_file_in_the_place_of_a_directory_is_refused(pack: SmallPack) -> None:
    pack.give("app", "a file")
    reason = refused(pack, "base")
    assert (
        f"needs a directory, but {pack.project.resolve() / 'app'} is a file" in reason
    )


def test_a_file_that_is_not_utf_8_is_refused(pack: SmallPack) -> None:
    pack.give("app/db/base.py", "# café\n".encode("latin-1"))
    assert "app/db/base.py is not UTF-8" in refused(pack, "url", "base")


def test_the_skill_itself_is_no_project(pack: SmallPack) -> None:
    project = str(pack.root)
    assert "is in the skill itself" in refused(pack, "base", "--project", project)


def test_a_project_that_does_not_exist_is_refused(pack: SmallPack) -> None:
    reason = refused(pack, "base", "--project", "typo")
    assert "--project typo: expected a directory that exists" in reason


def test_a_wrong_option_is_wrong_usage(pack: SmallPack) -> None:
    done = pack.add("base", "--force")
    assert (done.code, done.out) == (2, "")


# --- the skill is incomplete -----------------------------------------------------


@pytest.mark.parametrize(
    ("gone", "args"),
    [
        ("snippets", ["base"]),
        ("snippets", []),
        ("snippets/url.py", ["session"]),
        ("snippets/starter", ["starter"]),
        ("snippets/session.py", ["starter"]),
        ("pyproject.toml", ["base"]),
        ("CHANGELOG.md", ["--update"]),
        ("SKILL.md", ["--agents-block"]),
        ("scripts/adding", ["base"]),
        ("scripts/adding/project.py", ["base"]),
    ],
)
def test_a_skill_that_lost_files_says_how_to_install_it(
    pack: SmallPack, gone: str, args: list[str]
) -> None:
    pack.add("base")
    pack.write({"snippets/base.py": "CHANGED = 1\n"})
    path = pack.root / gone
    remove = shutil.rmtree if path.is_dir() else os.unlink
    remove(path)
    before = pack.everything()
    done = pack.add(*args)

    assert (done.code, done.out) == (3, "")
    assert "the skill is incomplete" in done.err
    assert "npx skills@latest add" in done.err
    assert pack.everything() == before


def test_a_table_without_pages_is_an_incomplete_skill(pack: SmallPack) -> None:
    pack.write({"SKILL.md": "# Async SQLAlchemy\n"})
    done = pack.add("--agents-block")
    assert done.code == 3
    assert "no table `| before you | read |`" in done.err


def test_an_old_python_is_told_so_in_one_line(pack: SmallPack) -> None:
    code = (
        "import runpy, sys; sys.modules['tomllib'] = None;"
        f"runpy.run_path({str(pack.script)!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "add.py: Python 3.11 or newer is needed\n"


def test_the_help_names_every_exit_code(pack: SmallPack) -> None:
    done = pack.add("--help")
    assert done.code == 0
    for code in ("  0  ", "  1  ", "  2  ", "  3  "):
        assert code in done.out
