"""Evals for `add.py --update`: copies that nobody changed follow the pack."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.harness.small_pack import SmallPack

BASE = '"""The declarative base."""\n\nBASE = 2\n'
ENGINE = '"""An engine from a URL."""\n\nfrom .url import DRIVERS\n\nENGINE = DRIVERS\n'


@pytest.fixture
def pack(tmp_path: Path) -> SmallPack:
    """A pack whose first version is 0.1.0; `release("0.2.0", ...)` is the next."""
    pack = SmallPack(tmp_path)
    pack.release("0.1.0", {})
    return pack


def release(pack: SmallPack, files: dict[str, str], version: str = "0.2.0") -> None:
    text = (pack.root / "pyproject.toml").read_text(encoding="utf-8")
    pack.write({"pyproject.toml": text.replace("0.1.0", version), **files})


def test_copies_that_nobody_changed_are_replaced_wherever_they_are(
    pack: SmallPack,
) -> None:
    pack.add("base", "--into", "one/db")
    pack.add("base", "--into", "two/database")
    release(pack, {"snippets/base.py": BASE})
    done = pack.add("--update", "--json")

    assert done.code == 0
    assert done.statuses == {
        "one/db/base.py": "updated",
        "two/database/base.py": "updated",
    }
    stamp, _, text = pack.read("two/database/base.py").partition("\n")
    assert text == BASE
    assert stamp.startswith("# From async-sqlalchemy 0.2.0, snippets/base.py sha256:")
    assert pack.add("--update", "--json").statuses == {
        "one/db/base.py": "same",
        "two/database/base.py": "same",
    }


def test_an_update_says_from_which_version_and_what_changed(pack: SmallPack) -> None:
    pack.add("engine")
    release(pack, {"snippets/engine.py": ENGINE})
    done = pack.add("--update")

    assert done.out.splitlines() == [
        "updated app/db/engine.py (0.1.0 -> 0.2.0)",
        "  0.2.0: statements stop after 30 seconds.",
        "same app/db/url.py",
    ]


def test_a_copy_that_its_owner_changed_stays_and_the_news_are_shown(
    pack: SmallPack,
) -> None:
    pack.add("engine")
    mine = pack.read("app/db/engine.py") + "MINE = 1\n"
    pack.give("app/db/engine.py", mine)
    release(pack, {"snippets/engine.py": ENGINE, "snippets/url.py": "DRIVERS = {}\n"})
    done = pack.add("--update", "--json")

    assert done.code == 1
    assert done.statuses == {"app/db/engine.py": "differs", "app/db/url.py": "updated"}
    assert pack.read("app/db/engine.py") == mine
    changed = done.answer["files"][0]
    assert changed["changelog"] == ["0.2.0: statements stop after 30 seconds."]
    assert changed["note"] == ""
    diff = changed["diff"].splitlines()
    assert diff[0].startswith("--- app/db/engine.py (From async-sqlalchemy 0.1.0, ")
    assert diff[1].startswith("+++ snippets/engine.py (From async-sqlalchemy 0.2.0, ")
    assert "-MINE = 1" in diff
    assert "+ENGINE = DRIVERS" in diff


def test_the_news_of_every_version_since_are_shown_newest_first(
    pack: SmallPack,
) -> None:
    pack.add("engine")
    pack.give("app/db/engine.py", pack.read("app/db/engine.py") + "MINE = 1\n")
    log = (pack.root / "CHANGELOG.md").read_text(encoding="utf-8")
    news = "## 0.10.0 - 2027-01-01\n\n- `engine`: faster.\n\n## 0.2.0"
    log = log.replace("## 0.2.0", news)
    release(pack, {"CHANGELOG.md": log, "snippets/engine.py": ENGINE}, "0.10.0")

    assert pack.add("--update", "--json").answer["files"][0]["changelog"] == [
        "0.10.0: faster.",
        "0.2.0: statements stop after 30 seconds.",
    ]


def test_names_choose_the_copies_and_what_they_import(pack: SmallPack) -> None:
    pack.add("engine", "base")
    files = {"snippets/engine.py": ENGINE, "snippets/base.py": BASE}
    release(pack, files | {"snippets/url.py": "DRIVERS = {}\n"})

    assert pack.add("--update", "engine", "--json").statuses == {
        "app/db/engine.py": "updated",
        "app/db/url.py": "updated",
    }
    assert pack.add("--update", "--json").statuses["app/db/base.py"] == "updated"


def test_a_name_without_a_copy_is_refused(pack: SmallPack) -> None:
    pack.add("base")
    done = pack.add("--update", "engine", "url")
    assert (done.code, done.out) == (2, "")
    assert "has no copy of engine or url: leave out --update to add one" in done.err


def test_an_unknown_name_is_refused(pack: SmallPack) -> None:
    done = pack.add("--update", "engin")
    assert (done.code, "did you mean engine?" in done.err) == (2, True)


def test_into_has_no_meaning_with_update(pack: SmallPack) -> None:
    pack.add("base")
    done = pack.add("--update", "--into", "app/db")
    assert (done.code, "leave out --into" in done.err) == (2, True)


def test_without_copies_there_is_nothing_to_update(pack: SmallPack) -> None:
    done = pack.add("--update")
    assert (done.code, done.out) == (0, "")


def test_a_snippet_that_the_new_version_imports_comes_along(pack: SmallPack) -> None:
    pack.add("base", "--into", "lib/database")
    release(pack, {"snippets/base.py": "from .engine import new_engine\n"})
    done = pack.add("--update", "--json")

    assert done.statuses == {
        "lib/database/base.py": "updated",
        "lib/database/url.py": "added",
        "lib/database/engine.py": "added",
    }
    assert done.answer["install"]["uv"] == [
        'uv add "sqlalchemy[asyncio]>=2.0.40" "asyncpg>=0.31" "aiosqlite>=0.21"'
    ]


def test_nothing_comes_along_with_a_copy_that_stays(pack: SmallPack) -> None:
    pack.add("base")
    pack.give("app/db/base.py", pack.read("app/db/base.py") + "MINE = 1\n")
    release(pack, {"snippets/base.py": "from .engine import new_engine\n"})
    assert pack.add("--update", "--json").statuses == {"app/db/base.py": "differs"}


def test_a_file_of_the_same_name_as_the_newcomer_stays(pack: SmallPack) -> None:
    pack.add("base")
    pack.give("app/db/url.py", "MINE = 1\n")
    release(pack, {"snippets/base.py": "from .engine import new_engine\n"})
    done = pack.add("--update", "--json")

    assert done.statuses == {"app/db/base.py": "updated", "app/db/engine.py": "added"}
    assert pack.read("app/db/url.py") == "MINE = 1\n"


def test_windows_line_ends_of_the_copy_stay(pack: SmallPack) -> None:
    pack.add("base")
    text = pack.read("app/db/base.py").replace("\n", "\r\n")
    pack.give("app/db/base.py", "\ufeff" + text)
    release(pack, {"snippets/base.py": BASE})

    assert pack.add("--update").code == 0
    new = pack.read("app/db/base.py")
    assert new.startswith("\ufeff# From async-sqlalchemy 0.2.0, ")
    assert new.partition("\r\n")[2] == BASE.replace("\n", "\r\n")
    assert pack.add("--update", "--json").statuses == {"app/db/base.py": "same"}


def test_a_dry_update_writes_nothing(pack: SmallPack) -> None:
    pack.add("base")
    release(pack, {"snippets/base.py": BASE})
    before = pack.everything()
    done = pack.add("--update", "--dry-run")

    assert (done.code, pack.everything()) == (0, before)
    assert done.out == "would be updated app/db/base.py (0.1.0 -> 0.2.0)\n"


def test_an_old_skill_replaces_no_newer_copy(pack: SmallPack) -> None:
    release(pack, {"snippets/base.py": BASE}, "0.10.0")
    pack.add("base")
    text = (pack.root / "pyproject.toml").read_text(encoding="utf-8")
    pack.write(
        {
            "pyproject.toml": text.replace("0.10.0", "0.9.0"),
            "snippets/base.py": "OLD = 1\n",
        }
    )
    done = pack.add("--update", "--json")

    assert done.code == 1
    assert done.statuses == {"app/db/base.py": "differs"}
    assert done.answer["files"][0]["note"] == (
        "copied from 0.10.0, which is newer: update the skill"
    )
    assert pack.read("app/db/base.py").endswith(BASE)


def test_a_copy_of_what_the_skill_no_longer_has_stays(pack: SmallPack) -> None:
    pack.write({"snippets/old_name.py": '"""Old."""\n'})
    pack.add("old_name")
    (pack.root / "snippets/old_name.py").unlink()
    release(pack, {})
    done = pack.add("--update")

    assert done.code == 0
    assert done.out.splitlines() == [
        "kept app/db/old_name.py (no longer in the skill)",
        "  0.2.0: renamed to `base`.",
    ]


def test_a_copy_that_was_renamed_is_never_replaced(pack: SmallPack) -> None:
    pack.add("base")
    (pack.project / "app/db/base.py").rename(pack.project / "app/db/orm.py")
    assert pack.add("--update", "--json").statuses == {"app/db/orm.py": "same"}

    release(pack, {"snippets/base.py": BASE})
    done = pack.add("--update")
    assert done.code == 1
    assert done.out.splitlines()[0] == (
        "differs app/db/orm.py (moved or renamed: merge by hand)"
    )
    assert "BASE = 2" not in pack.read("app/db/orm.py")


@pytest.mark.parametrize("package", ["app", "src/shop"])
@pytest.mark.parametrize("bare", [[], ["--bare"]])
def test_the_starter_is_updated_under_its_package_name(
    pack: SmallPack, package: str, bare: list[str]
) -> None:
    pack.add("starter", "--package", package, *bare)
    assert set(pack.add("--update", "--json").statuses.values()) == {"same"}

    main = (pack.root / "snippets/starter/app/main.py").read_text(encoding="utf-8")
    main += "\nfrom app.db.base import Base\n"
    ini = (pack.root / "snippets/starter/alembic.ini").read_text(encoding="utf-8")
    files = {"app/main.py": main, "alembic.ini": ini + "timezone = UTC\n"}
    release(pack, {f"snippets/starter/{path}": text for path, text in files.items()})
    done = pack.add("--update", "--json")

    name = package.removeprefix("src/")
    updated = {path for path, s in done.statuses.items() if s == "updated"}
    assert (done.code, updated) == (0, {"alembic.ini", f"{package}/main.py"})
    assert pack.read(f"{package}/main.py").endswith(
        f"\nfrom {name}.db.base import Base\n"
    )
    assert ("notes" in pack.read(f"{package}/main.py")) is not bool(bare)
    root = "src" if package.startswith("src/") else "."
    assert f"prepend_sys_path = {root}\ntimezone" in pack.read("alembic.ini")
    log = {f["path"]: f["changelog"] for f in done.answer["files"]}
    assert log["alembic.ini"] == ["0.2.0: revisions are named by time."]
    again = pack.add("--update", "starter/alembic.ini", "--json")
    assert again.statuses == {"alembic.ini": "same"}


def test_the_example_stays_wired_when_its_files_are_no_longer_copies(
    pack: SmallPack,
) -> None:
    pack.add("starter")
    pack.give("app/notes.py", "router = None\n")
    (pack.project / "tests/test_notes.py").unlink()
    assert pack.add("--update", "--json").statuses["app/main.py"] == "same"

    main = (pack.root / "snippets/starter/app/main.py").read_text(encoding="utf-8")
    release(pack, {"snippets/starter/app/main.py": main + "NEW = 1\n"})
    assert pack.add("--update", "--json").statuses["app/main.py"] == "updated"
    assert "from .notes import router\n" in pack.read("app/main.py")
    assert pack.read("app/main.py").endswith("NEW = 1\n")


def test_a_project_below_the_project_keeps_its_own_starter(pack: SmallPack) -> None:
    (pack.project / "backend").mkdir()
    pack.add("starter", "--package", "shop", "--project", "backend")
    pack.add("starter")
    main = "from app.db.base import Base\n"
    release(pack, {"snippets/starter/app/main.py": main, "snippets/base.py": BASE})
    done = pack.add("--update", "--json")

    assert done.code == 0
    updated = {path for path, status in done.statuses.items() if status == "updated"}
    # A snippet is the same wherever it lies; the starter's files name the package.
    assert updated == {"app/main.py", "app/db/base.py", "backend/shop/db/base.py"}
    kept = {f["note"] for f in done.answer["files"] if f["status"] == "kept"}
    assert kept == {"of a project of its own: say --project backend"}
    inside = pack.add("--update", "--project", "backend", "--json")
    assert inside.statuses["shop/main.py"] == "updated"
    assert pack.read("backend/shop/main.py").endswith("from shop.db.base import Base\n")


def test_the_copies_of_a_project_below_do_not_say_where_ours_go(
    pack: SmallPack,
) -> None:
    (pack.project / "backend").mkdir()
    pack.add("starter", "--package", "shop", "--project", "backend")
    assert pack.add("base", "--json").statuses == {"app/db/base.py": "added"}
    (pack.project / "backend/pyproject.toml").unlink()
    (pack.project / "app/db/base.py").unlink()
    assert pack.add("base", "--json").statuses == {"backend/shop/db/base.py": "same"}
