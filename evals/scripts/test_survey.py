"""Evals for scripts/survey.py: its command line, its text, and copies of the pack."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from evals.harness.small_pack import ROOT, Done
from evals.harness.surveyed import LISTS, PAGES, Report, Surveyed, constant


@pytest.fixture
def tree(tmp_path: Path) -> Surveyed:
    return Surveyed(tmp_path)


def test_every_page_that_it_offers_is_a_page_of_the_pack() -> None:
    assert (
        set(PAGES) - {page.stem for page in (ROOT / "references").glob("*.md")} == set()
    )


def test_help_documents_every_list_and_every_exit_code(tree: Surveyed) -> None:
    done = tree.run("--help")

    assert done.code == 0
    for key, meaning in LISTS.items():
        assert f"  {key:<11} {meaning}\n" in done.out
    assert "usage: survey.py [-h] [--json] [PATH]\n" in done.out
    assert "one JSON object on stdout" in done.out
    assert re.findall(r"^  (\d)  ", done.out, re.MULTILINE) == ["0", "2", "3"]


def test_the_json_has_the_lists_that_help_documents_and_no_other(
    tree: Surveyed,
) -> None:
    tree.lay({"db.py": "x = 'sqlite://'\n"})
    answer = tree.run("--json").answer

    assert list(answer) == ["root", "style", *LISTS]
    assert answer["root"] == str(tree.project.resolve())
    assert answer["databases"] == [{"at": "db.py:1", "what": "sqlite", "note": ""}]


@pytest.mark.parametrize("path", ["nowhere", "file.txt"])
def test_a_path_that_is_no_folder_is_wrong_usage(tree: Surveyed, path: str) -> None:
    tree.give("file.txt", "")
    done = tree.run(path, "--json")

    assert (done.code, done.out) == (2, "")
    said = f"error: {path} is not a folder: give the folder of the project\n"
    assert done.err.endswith(said)


def test_an_unknown_option_is_wrong_usage(tree: Surveyed) -> None:
    assert tree.run("--jason").code == 2


@pytest.mark.parametrize("name", ["SKILL.md", "pyproject.toml", "snippets"])
def test_a_skill_that_lost_files_says_so(tree: Surveyed, name: str) -> None:
    lost = tree.root / name
    shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
    done = tree.run()

    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("survey.py: the skill is incomplete: ")


@pytest.mark.parametrize("folder", ["adding", "surveying"])
def test_a_skill_that_lost_a_folder_of_scripts_says_so(
    tree: Surveyed, folder: str
) -> None:
    shutil.rmtree(tree.root / "scripts" / folder)
    done = tree.run()

    assert (done.code, done.out) == (3, "")
    assert done.err.startswith(f"survey.py: the skill is incomplete: scripts/{folder}")


def test_an_older_python_is_told_which_one_is_needed(tree: Surveyed) -> None:
    missing = "raise ModuleNotFoundError('no', name='tomllib')\n"
    (tree.root / "scripts" / "tomllib.py").write_text(missing, encoding="utf-8")
    done = tree.run()

    assert (done.code, done.out) == (2, "")
    assert done.err == "survey.py: Python 3.11 or newer is needed\n"


def test_a_page_is_offered_only_where_skill_md_leads_to_it(tree: Surveyed) -> None:
    text = "| [a](references/live.md), [b](references/set-up.md) |\n"
    text += "[c](references/testing.md)\n| testing.md | references/testing.md |\n"
    (tree.root / "SKILL.md").write_text(text, encoding="utf-8")
    tree.lay({"tests/test_a.py": ""})

    assert tree.survey().pages == ["set-up"]


def test_an_unchanged_copy_is_told_from_a_changed_one(tree: Surveyed) -> None:
    tree.add("engine", "starter")
    tree.give("app/db/engine.py", tree.read("app/db/engine.py").replace("\n", "\r\n"))
    tree.give("app/main.py", tree.read("app/main.py") + "x = 1\n")
    report = tree.survey()

    assert report["copies"] == [
        ".env.example starter/.env.example 0.2.0, unchanged",
        "alembic.ini starter/alembic.ini 0.2.0, unchanged",
        "app/main.py starter/app/main.py 0.2.0, changed",
        "app/models.py starter/app/models.py 0.2.0, unchanged",
        "app/notes.py starter/app/notes.py 0.2.0, unchanged",
        "app/db/base.py base.py 0.2.0, unchanged",
        "app/db/engine.py engine.py 0.2.0, unchanged",
        "app/db/session.py session.py 0.2.0, unchanged",
        "app/db/url.py url.py 0.2.0, unchanged",
        "migrations/script.py.mako starter/migrations/script.py.mako 0.2.0, unchanged",
        "tests/test_notes.py starter/tests/test_notes.py 0.2.0, unchanged",
    ]
    assert report["notes"] == []


def test_the_text_tells_copies_by_their_state(tree: Surveyed) -> None:
    tree.add("engine", "base")
    tree.give("app/db/url.py", tree.read("app/db/url.py") + "x = 1\n")

    assert (
        "copies: 0.2.0, unchanged app/db/base.py, app/db/engine.py;"
        " 0.2.0, changed app/db/url.py"
    ) in tree.run().out.splitlines()


def test_the_dialects_that_a_copy_supports_are_no_databases(tree: Surveyed) -> None:
    tree.add("starter/.env.example", "starter/app/main.py")
    tree.give("app/main.py", tree.read("app/main.py") + "x = 'postgresql://h/d'\n")
    tree.give("app/own.py", "x = 'postgresql://h/d'\n")

    assert tree.survey()["databases"] == [
        ".env.example:3 sqlite",
        "app/own.py:1 postgresql",
    ]


def test_a_copy_is_outdated_when_the_pack_has_another_text(tree: Surveyed) -> None:
    tree.add("engine", "base", "starter/alembic.ini")
    tree.give("app/db/engine.py", tree.read("app/db/engine.py") + "x = 1\n")
    tree.release(
        "0.3.0", {"snippets/engine.py": "new = True\n", "snippets/extra.py": "x = 1\n"}
    )
    (tree.root / "snippets/url.py").unlink()
    report = tree.survey()

    assert report["copies"] == [
        "alembic.ini starter/alembic.ini 0.2.0, unchanged, outdated",
        "app/db/base.py base.py 0.2.0, unchanged",
        "app/db/engine.py engine.py 0.2.0, changed, outdated",
        "app/db/url.py url.py 0.2.0, unchanged, no longer in the pack",
    ]


def test_the_stamp_of_another_pack_is_a_comment(tree: Surveyed) -> None:
    tree.add("base")
    copy = tree.read("app/db/base.py")
    tree.give("app/db/base.py", copy.replace("async-sqlalchemy", "other"))
    tree.give("late.py", f"\n{copy}")

    assert tree.survey()["copies"] == []


def test_a_stamp_that_names_a_file_elsewhere_leads_nowhere(tree: Surveyed) -> None:
    stamp = "# From async-sqlalchemy 0.2.0, snippets/{} sha256:0123456789ab\n"
    tree.give("a.py", stamp.format("../pyproject.toml"))
    tree.give("b.py", stamp.format("starter/../../pyproject.toml"))

    assert tree.survey()["copies"] == [
        "a.py ../pyproject.toml 0.2.0, changed, no longer in the pack",
        "b.py starter/../../pyproject.toml 0.2.0, changed, no longer in the pack",
    ]


def test_a_layer_of_copies_needs_no_adoption_and_is_nothing_to_keep(
    tree: Surveyed,
) -> None:
    tree.add("engine", "base", "starter/app/models.py")
    report = tree.survey()

    assert report["engines"] == ["app/db/engine.py:11 create_async_engine async"]
    assert report["bases"] == ["app/db/base.py:7 Base"]
    assert (report.kept, report.problems) == ([], [])
    assert report.pages == ["models", "migrations"]


def test_a_base_and_an_engine_beside_the_copies_are_kept_not_the_copies(
    tree: Surveyed,
) -> None:
    tree.add("engine", "base")
    tree.lay(
        {
            "shop/db.py": """
                from sqlalchemy.ext.asyncio import create_async_engine
                from sqlalchemy.orm import DeclarativeBase


                class Base(DeclarativeBase): ...


                def connect(url):
                    return create_async_engine(url)
                """
        }
    )
    report = tree.survey()

    assert report.kept == ["shop/db.py:5 Base", "shop/db.py:9 create_async_engine"]
    assert report.problems == [
        "app/db/base.py:7 second-base",
        "app/db/engine.py:11 second-engine",
    ]
    assert "adopt" in report.pages


def test_the_text_shortens_what_the_json_has_whole(tree: Surveyed) -> None:
    tree.lay({f"a{n}.py": "x = 'sqlite://'\n" for n in range(8)})
    lines = tree.run().out.splitlines()

    files = ", ".join(f"a{n}.py:1" for n in range(6))
    assert f"databases: sqlite {files} and 2 more" in lines
    assert len(tree.survey()["databases"]) == 8
    (tree.project / "a6.py").unlink()
    (tree.project / "a7.py").unlink()
    assert f"databases: sqlite {files}" in tree.run().out.splitlines()


def test_what_is_in_the_way_says_what_is_wrong_with_it() -> None:
    texts = constant("survey.py", "IN_THE_WAY").values()
    assert [text for text in texts if len(text.split()) < 5] == []


def test_the_text_ends_with_what_was_not_read(tree: Surveyed) -> None:
    tree.lay({"a/setup.cfg": "x", "b/setup.cfg": "x"})
    tree.lay({"a/pyproject.toml": "", "b/pyproject.toml": ""})
    assert tree.run().out.splitlines()[-3:] == [
        "notes:",
        "  is not a valid setup.cfg a/setup.cfg, b/setup.cfg",
        "  several projects: survey one alone to see what fits it",
    ]


def test_the_text_of_an_empty_project_is_what_to_read(tree: Surveyed) -> None:
    assert tree.run().out.splitlines() == [
        f"root: {tree.project.resolve()}",
        "style: none",
        "pages:",
        "  set-up references/set-up.md: no-layer",
    ]


def test_what_the_real_pack_lays_down_is_recognised_and_not_in_its_own_way(
    tmp_path: Path,
) -> None:
    def run(script: str, *args: str) -> Done:
        command = [sys.executable, "-I", "-S", str(ROOT / "scripts" / script), *args]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False
        )
        return Done(done.returncode, done.stdout, done.stderr)

    assert run("add.py", "starter").code == 0
    report = Report(run("survey.py", "--json"))

    assert report.style == "async"
    assert all(copy.endswith("unchanged") for copy in report["copies"])
    assert report.kept == ["migrations history"]
    assert (report.problems, report["notes"]) == ([], [])
    assert report["alembic"][1:] == [
        "migrations/env.py env.py",
        "migrations history revisions 1, heads 1",
    ]
    assert len(report["models"]) == len(report["apps"]) == len(report["bases"]) == 1
