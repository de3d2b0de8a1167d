"""Evals for `add.py starter`: a project tree under the user's package name."""

from __future__ import annotations

import configparser
import tomllib
from pathlib import Path

import pytest

from evals.harness.small_pack import SmallPack

IGNORE = "add to .gitignore: .env *.db*"
EXAMPLE = ["app/notes.py", "tests/test_notes.py"]


@pytest.fixture
def pack(tmp_path: Path) -> SmallPack:
    return SmallPack(tmp_path)


def test_the_tree_lands_where_it_lies_with_the_snippets_it_imports(
    pack: SmallPack,
) -> None:
    done = pack.add("starter", "--json")

    assert done.code == 0
    assert done.statuses == dict.fromkeys(
        [
            ".env.example",
            "alembic.ini",
            "app/main.py",
            "app/models.py",
            "app/notes.py",
            "data.json",
            "migrations/script.py.mako",
            "tests/test_notes.py",
            "app/db/url.py",
            "app/db/engine.py",
            "app/db/session.py",
            "app/db/base.py",
            "app/__init__.py",
            "app/db/__init__.py",
            "pyproject.toml",
        ],
        "added",
    )
    for path in done.statuses:
        assert (pack.project / path).is_file()


@pytest.mark.parametrize("args", [["--package", "app"], [], ["--bare"]])
def test_a_second_run_says_same_of_every_file(pack: SmallPack, args: list[str]) -> None:
    pack.add("starter", *args)
    before = pack.everything()
    done = pack.add("starter", *args, "--json")

    assert done.code == 0
    assert set(done.statuses.values()) == {"same"}
    assert "pyproject.toml" not in done.statuses
    assert done.answer["paste"] == {}
    assert pack.everything() == before


def test_a_second_run_finds_the_package_of_the_first(pack: SmallPack) -> None:
    pack.add("starter", "--package", "src/shop")
    assert set(pack.add("starter", "--json").statuses.values()) == {"same"}


def test_the_markers_of_the_example_are_not_laid_down(pack: SmallPack) -> None:
    pack.add("starter")

    assert pack.read("app/main.py").partition("\n")[2] == (
        '"""The application: `uvicorn app.main:app`."""\n\n'
        "import fastapi\n\n"
        "from .db.session import settings\n"
        "from .notes import router\n\n"
        "app = fastapi.FastAPI()\n"
        "app.include_router(router)\n"
        "app.state.settings = settings\n"
    )
    assert pack.read("app/models.py").partition("\n")[2] == (
        '"""The models."""\n\n'
        "from datetime import datetime\n\n"
        "from sqlalchemy.orm import Mapped\n\n"
        "from .db.base import Base as Base\n\n\n"
        "class Note(Base):\n    made_at: Mapped[datetime]\n"
    )


def test_bare_leaves_out_the_example_and_leaves_no_hole(pack: SmallPack) -> None:
    statuses = pack.add("starter", "--bare", "--json").statuses

    assert not set(statuses) & set(EXAMPLE)
    assert pack.read("app/main.py").partition("\n")[2] == (
        '"""The application: `uvicorn app.main:app`."""\n\n'
        "import fastapi\n\n"
        "from .db.session import settings\n\n"
        "app = fastapi.FastAPI()\n"
        "app.state.settings = settings\n"
    )
    assert pack.read("app/models.py").partition("\n")[2] == (
        '"""The models."""\n\nfrom .db.base import Base as Base\n'
    )


@pytest.mark.parametrize(
    ("package", "directory", "name", "root", "regular"),
    [
        ("shop", "shop", "shop", ".", ["shop", "shop/db"]),
        (
            "shop.core",
            "shop/core",
            "shop.core",
            ".",
            ["shop", "shop/core", "shop/core/db"],
        ),
        ("src/shop", "src/shop", "shop", "src", ["src/shop", "src/shop/db"]),
        (
            "src\\shop\\core",
            "src/shop/core",
            "shop.core",
            "src",
            ["src/shop", "src/shop/core", "src/shop/core/db"],
        ),
    ],
)
def test_the_package_has_the_name_that_was_asked_for(
    pack: SmallPack,
    package: str,
    directory: str,
    name: str,
    root: str,
    regular: list[str],
) -> None:
    done = pack.add("starter", "--package", package, "--json")

    assert done.code == 0
    assert f"{directory}/db/engine.py" in done.statuses
    assert not any(path.startswith("app/") for path in done.statuses)
    inits = [path for path in done.statuses if path.endswith("/__init__.py")]
    assert [path.removesuffix("/__init__.py") for path in inits] == regular
    test = pack.read("tests/test_notes.py")
    assert f"import {name}.models\nfrom {name} import models\n" in test
    assert f"from {name}.main import app\n" in test
    assert "assert app and" in test
    main = pack.read(f"{directory}/main.py")
    assert f"`uvicorn {name}.main:app`" in main
    assert "app.include_router" in main
    ini = configparser.ConfigParser()
    ini.read_string(pack.read("alembic.ini").replace("%(here)s", ""))
    assert ini["alembic"]["prepend_sys_path"] == root
    made = tomllib.loads(pack.read("pyproject.toml"))
    assert made["tool"]["pytest"]["ini_options"]["pythonpath"] == [root]
    server = f"uvicorn {name}.main:app" + (" --app-dir src" if root == "src" else "")
    assert server in done.answer["next"]


@pytest.mark.parametrize("text", ["1st", "my-shop", "class", "src", "src/", "", "a..b"])
def test_a_package_that_python_cannot_import_is_refused(
    pack: SmallPack, text: str
) -> None:
    before = pack.everything()
    done = pack.add("starter", "--package", text)

    assert (done.code, done.out) == (2, "")
    assert f"--package {text}: " in done.err
    assert pack.everything() == before


@pytest.mark.parametrize("text", ["json", "alembic", "fastapi", "tests", "src.tests"])
def test_a_package_that_would_hide_another_is_refused(
    pack: SmallPack, text: str
) -> None:
    done = pack.add("starter", "--package", text)
    assert done.code == 2
    assert "is the name of something else" in done.err


@pytest.mark.parametrize("text", ["../shop", "/shop", "src/../../shop"])
def test_a_package_outside_the_project_is_refused(pack: SmallPack, text: str) -> None:
    assert pack.add("starter", "--package", text).code == 2
    assert not (pack.project.parent / "shop").exists()


def test_a_package_needs_no_into(pack: SmallPack) -> None:
    done = pack.add("starter", "--into", "lib/db")
    assert (done.code, "say --package" in done.err) == (2, True)


def test_one_file_comes_alone_with_the_snippets_it_imports(pack: SmallPack) -> None:
    statuses = pack.add("starter/app/models.py", "--package", "shop", "--json").statuses
    assert statuses == {"shop/models.py": "added", "shop/db/base.py": "added"}


def test_one_file_makes_no_project(pack: SmallPack) -> None:
    answer = pack.add("starter/alembic.ini", "--json").answer
    assert [file["path"] for file in answer["files"]] == ["alembic.ini"]
    assert set(answer) == {"project", "dry_run", "files", "install", "paste"}


@pytest.mark.parametrize(
    ("path", "start"),
    [
        (
            "alembic.ini",
            "# From async-sqlalchemy 0.2.0, snippets/starter/alembic.ini sha",
        ),
        (
            ".env.example",
            "# From async-sqlalchemy 0.2.0, snippets/starter/.env.example ",
        ),
        (
            "app/main.py",
            "# From async-sqlalchemy 0.2.0, snippets/starter/app/main.py sha",
        ),
        ("migrations/script.py.mako", "## From async-sqlalchemy 0.2.0, snippets/start"),
        ("data.json", '{"a file": '),
    ],
)
def test_a_stamp_is_a_comment_of_the_language_of_the_file(
    pack: SmallPack, path: str, start: str
) -> None:
    pack.add("starter")
    assert pack.read(path).startswith(start)


def test_a_file_without_a_stamp_is_compared_like_the_others(pack: SmallPack) -> None:
    pack.give("data.json", "{}\n")
    done = pack.add("starter/data.json")
    assert done.code == 1
    assert "+++ snippets/starter/data.json (0.2.0)" in done.out.splitlines()


def test_files_that_are_there_stay_and_the_rest_is_laid_down(pack: SmallPack) -> None:
    pack.give("app/main.py", "app = 1\n")
    done = pack.add("starter", "--json")

    assert done.code == 1
    assert pack.read("app/main.py") == "app = 1\n"
    assert done.statuses.pop("app/main.py") == "differs"
    assert [s for s in done.statuses.values() if s != "added"] == ["differs"]


# --- pyproject.toml and what is left to do ---------------------------------------


def test_a_pyproject_is_made_with_ranges_and_pytest_options(pack: SmallPack) -> None:
    pack.add("starter")
    made = tomllib.loads(pack.read("pyproject.toml"))

    assert made == {
        "project": {
            "name": "project",
            "version": "0.1.0",
            "requires-python": ">=3.11",
            "dependencies": [
                "sqlalchemy[asyncio]>=2.0.40",
                "asyncpg>=0.31",
                "aiosqlite>=0.21",
                "fastapi>=0.121",
                "pydantic-settings>=2.7",
                "uvicorn>=0.34",
            ],
        },
        "dependency-groups": {
            "dev": ["pytest>=8.4", "pytest-asyncio>=1.2", "httpx>=0.28"]
        },
        "tool": {
            "uv": {"package": False},
            "pytest": {
                "ini_options": {
                    "asyncio_mode": "auto",
                    "asyncio_default_fixture_loop_scope": "session",
                    "asyncio_default_test_loop_scope": "session",
                    "pythonpath": ["."],
                    "testpaths": ["tests"],
                }
            },
        },
    }


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("My Shop! (2)", "my-shop-2"),
        ("été", "t"),
        ("日本", "project"),
        ("fastapi", "fastapi-project"),
        ("-x-", "x"),
    ],
)
def test_the_project_is_named_like_its_folder(
    pack: SmallPack, tmp_path: Path, folder: str, name: str
) -> None:
    (tmp_path / folder).mkdir()
    pack.project = tmp_path / folder
    pack.add("starter")
    assert tomllib.loads(pack.read("pyproject.toml"))["project"]["name"] == name


def test_what_is_left_to_do_comes_in_order(pack: SmallPack) -> None:
    done = pack.add("starter")
    steps = [IGNORE, "cp .env.example .env", "alembic upgrade head"]
    steps += ["uvicorn app.main:app", "pytest"]

    assert done.out.index("install with uv:\n  uv sync\n") < done.out.index("then (")
    assert done.out.endswith("".join(f"  {step}\n" for step in steps))
    assert pack.add("starter", "--json").answer["next"] == steps


def test_without_the_example_a_first_revision_is_left_to_make(pack: SmallPack) -> None:
    steps = pack.add("starter", "--bare", "--json").answer["next"]
    made = steps.index('alembic revision --autogenerate -m "first models"')
    assert steps[made - 1] == "write your models in app/models.py"
    assert steps[made + 1] == "alembic upgrade head"


@pytest.mark.parametrize(
    ("ignored", "step"),
    [
        (".env\n*.db*\n", None),
        ("/.env\r\n*.db*\r\n", None),
        (".env*\n*\n", None),
        (".env\n*.db\n", "add to .gitignore: *.db*"),
        ("*.db*\nenv\n", "add to .gitignore: .env"),
        ("", IGNORE),
    ],
)
def test_git_must_ignore_secrets_and_databases(
    pack: SmallPack, ignored: str, step: str | None
) -> None:
    pack.give(".gitignore", ignored)
    steps = pack.add("starter", "--json").answer["next"]
    assert [s for s in steps if "gitignore" in s] == ([step] if step else [])
    assert pack.read(".gitignore") == ignored


def test_settings_that_are_there_are_not_copied_again(pack: SmallPack) -> None:
    pack.give(".env", "DATABASE_URL=secret\n")
    done = pack.add("starter", "--json")
    assert "cp .env.example .env" not in done.answer["next"]
    assert "secret" not in done.out
