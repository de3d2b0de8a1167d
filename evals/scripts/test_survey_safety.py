"""Evals for scripts/survey.py: it tells no secret, changes nothing, never stops."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from evals.harness.surveyed import Report, Surveyed

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
PASSWORD = "Hunter2/plus@SECRET"
SECRETS = [
    "Hunter2",
    "plus",
    "db.internal",
    "owner_7",
    "t0k3n",
    "privatehost",
    "s3same",
]


@pytest.fixture
def tree(tmp_path: Path) -> Surveyed:
    return Surveyed(tmp_path)


def secrets() -> dict[str, str | bytes]:
    """A project with a password in every place where people leave one."""
    url = f"postgresql+asyncpg://owner_7:{quote(PASSWORD, safe='')}@db.internal/shop"
    raw = f"postgresql://owner_7:{PASSWORD}@db.internal:6543/shop"
    return {
        ".env": f"DATABASE_URL={url}\nexport DB_PASSWORD='{PASSWORD}'\n{raw}\n",
        ".env.example": f"POSTGRES_HOST=db.internal\nPOSTGRES_PASSWORD={PASSWORD}\n",
        "alembic.ini": f"[alembic]\nsqlalchemy.url = {url.replace('%', '%%')}\n",
        "compose.yaml": (
            "services:\n  db:\n    image: privatehost:5000/t0k3n/postgres:17\n"
            f"    environment:\n      POSTGRES_PASSWORD: {PASSWORD}\n"
            f"      DATABASE_URL: {raw}\n"
        ),
        ".github/workflows/ci.yml": f"env:\n  TEST_DATABASE_URL: {raw}\n",
        "pyproject.toml": (
            '[project]\nname = "t0k3n"\nrequires-python = "s3same"\n'
            "dependencies = [\n"
            '  "sqlalchemy @ git+https://owner_7:t0k3n@privatehost/x.git",\n'
            '  "alembic Hunter2",\n]\n'
            "[tool.poetry.dependencies]\n"
            'fastapi = { git = "https://t0k3n@privatehost/f.git" }\n'
            'pydantic = "s3same"\n'
            "[[tool.poetry.source]]\n"
            'url = "https://owner_7:t0k3n@privatehost/simple"\n'
        ),
        "uv.lock": (
            '[[package]]\nname = "sqlalchemy"\nversion = "t0k3n"\n'
            'source = { git = "https://t0k3n@privatehost/x.git" }\n'
        ),
        "requirements.txt": (
            "--index"
            "-url https://owner_7:t0k3n@privatehost/simple\n"
            "-r https://owner_7:t0k3n@privatehost/r.txt\n"
            "-r s3same/t0k3n.txt\n"
            "asyncpg @ https://t0k3n@privatehost/a.whl\n"
            "sqlalchemy==2.0.44 --config-settings=t0k3n\n"
        ),
        ".python-version": "s3same\n",
        "app/settings.py": (
            "import os\n"
            f"URL = {url!r}\n"
            f"OTHER = f'postgresql+Hunter2://owner_7:{{x}}@db.internal/y'\n"
            f"DB = os.environ.get('DATABASE_URL', {raw!r})\n"
            f"password = {PASSWORD!r}\n"
        ),
        "app/broken.py": f"from sqlalchemy import x\nurl = '{raw}\n",
        "app/null.py": f"import sqlalchemy\nurl = '{raw}'\0\n".encode(),
        "broken/pyproject.toml": f'[project]\nname = "{PASSWORD}" {PASSWORD}\n',
        "setup.cfg": f"[metadata]\n{PASSWORD} {raw}\nthis is no setting\n",
    }


def test_nothing_of_a_password_a_user_or_a_host_is_ever_told(tree: Surveyed) -> None:
    for name, content in secrets().items():
        tree.give(name, content)
    told = tree.answers()

    encoded = [base64.b64encode(secret.encode()).decode()[:8] for secret in SECRETS]
    assert [secret for secret in SECRETS + encoded if secret in told] == []
    assert PASSWORD.encode().hex() not in told


def test_each_place_with_a_secret_was_read_all_the_same(tree: Surveyed) -> None:
    for name, content in secrets().items():
        tree.give(name, content)
    report = tree.survey()

    assert report["databases"] == [
        ".env:1 postgresql+asyncpg",
        ".env:3 postgresql",
        ".env.example:1 postgresql in parts",
        "alembic.ini:2 postgresql+asyncpg",
        "compose.yaml:3 postgres image 17",
        "compose.yaml:6 postgresql",
        "setup.cfg:2 postgresql",
        ".github/workflows/ci.yml:2 postgresql",
        "app/settings.py:2 postgresql+asyncpg",
        "app/settings.py:3 postgresql+other",
        "app/settings.py:4 postgresql",
    ]
    assert report["ranges"] == [
        "pyproject.toml:5 sqlalchemy from elsewhere",
        "pyproject.toml:6 alembic from elsewhere",
        "pyproject.toml:9 fastapi from elsewhere",
        "pyproject.toml:10 pydantic from elsewhere",
        "requirements.txt:4 asyncpg from elsewhere",
        "requirements.txt:5 sqlalchemy ==2.0.44",
    ]
    assert report["locked"] == ["uv.lock:3 sqlalchemy from elsewhere"]
    assert report["notes"] == [
        "requirements.txt:2 includes what is missing or outside",
        "requirements.txt:3 includes what is missing or outside",
        "setup.cfg is not a valid setup.cfg",
        f"app/broken.py cannot be parsed by Python {PYTHON}, line 2",
        f"app/null.py cannot be parsed by Python {PYTHON}",
        "broken/pyproject.toml is not valid TOML",
        ". several projects: survey one alone to see what fits it",
    ]


def test_nothing_of_the_project_is_imported_or_changed(tree: Surveyed) -> None:
    spy = "from pathlib import Path\n\nPath(__file__).with_suffix('.ran').touch()\n"
    names = ["sqlalchemy", "json", "sitecustomize", "app/__init__", "app/models"]
    names += ["conftest", "migrations/env", "surveying/source", "adding/pack"]
    tree.lay({f"{name}.py": f"import sqlalchemy\n{spy}" for name in names})
    before = tree.everything()

    assert tree.answers()
    assert tree.everything() == before


def test_files_of_any_encoding_are_read(tree: Surveyed) -> None:
    model = "from sqlalchemy.orm import DeclarativeBase\n# caf\u00e9\n"
    model += "class Base(DeclarativeBase): pass\n"
    tree.give("bom.py", b"\xef\xbb\xbf" + model.encode())
    tree.give("crlf.py", model.replace("\n", "\r\n"))
    tree.give("latin.py", model.encode("latin-1"))
    tree.give("requirements.txt", "sqlalchemy==2.0.44\r\n".encode("utf-16"))
    tree.give("requirements/be.txt", b"\xfe\xff" + "alembic\n".encode("utf-16-be"))
    report = tree.survey()

    assert report["bases"] == ["bom.py:3 Base", "crlf.py:3 Base", "latin.py:3 Base"]
    assert report["ranges"] == [
        "requirements.txt:1 sqlalchemy ==2.0.44",
        "requirements/be.txt:1 alembic any",
    ]
    assert report["notes"] == []


def test_a_broken_file_is_noted_and_the_others_are_read(tree: Surveyed) -> None:
    tree.lay(
        {
            "a.py": "import sqlalchemy\ndef (:\n",
            "b.py": f"import sqlalchemy\nx = {'(' * 1000}{')' * 1000}\n",
            "c.py": f"import sqlalchemy\nx = {'-' * 200_000}1\n",
            "d.py": 'import sqlalchemy\nx = "\\d"\n' + "x + " * 900 + "x\n",
            "e.py": 'x = "sqlite://"\n',
            "pyproject.toml": "[tool.poetry]\nname = 'x'\nname = 'y'\n",
            "f/pyproject.toml": f"x = {'[' * 10_000}\n",
            "poetry.lock": """
                <<<<<<< ours
                [[package]]
                name = "sqlalchemy"
                version = "2.0.44"
                =======
                [[package
                """,
        }
    )
    report = tree.survey()

    assert report["notes"][:-1] == [
        f"a.py cannot be parsed by Python {PYTHON}, line 2",
        f"b.py cannot be parsed by Python {PYTHON}, line 2",
        f"c.py cannot be parsed by Python {PYTHON}",
        "pyproject.toml is not valid TOML",
        "f/pyproject.toml is not valid TOML",
    ]
    assert report["databases"] == ["e.py:1 sqlite"]
    assert report["locked"] == ["poetry.lock:4 sqlalchemy 2.0.44"]


def test_a_pyproject_of_the_wrong_shape_asks_for_nothing(tree: Surveyed) -> None:
    shapes = [
        "project = 1\ntool = [2]\n",
        "[project]\ndependencies = 'sqlalchemy'\noptional-dependencies = ['x']\n",
        "[project.optional-dependencies]\nx = 3\ny = [4]\n[tool]\npoetry = true\n",
        "[tool.poetry]\ndependencies = ['x']\ngroup = { a = 5, b = { c = 6 } }\n",
        "[dependency-groups]\nx = { alembic = '1' }\n",
        "[tool.uv]\ndev-dependencies = 1\n[tool.pdm]\ndev-dependencies = ['x']\n",
    ]
    tree.lay({f"{n}/pyproject.toml": text for n, text in enumerate(shapes)})
    report = tree.survey()

    assert len(report["projects"]) == len(shapes)
    assert (report["ranges"], report["python"]) == ([], [])
    assert len(report["notes"]) == 1


def test_a_huge_file_is_read_to_a_bound(tree: Surveyed) -> None:
    filler = "# nothing\n" * 100_000
    tree.give(".env", f"A=postgresql://h/d\n{filler}B=sqlite:///x.db\n")
    lock = '[[package]]\nname = "sqlalchemy"\nversion = "2.0.44"\n'
    tree.give("uv.lock", f"{filler}{lock}")
    report = tree.survey()

    assert report["databases"] == [".env:1 postgresql"]
    assert report["locked"] == ["uv.lock:100003 sqlalchemy 2.0.44"]
    assert report["notes"] == [".env only its first 1000000 bytes were read"]


def test_the_bound_of_a_file_is_inclusive(tree: Surveyed) -> None:
    tree.give(".env", b"#" * 999_999 + b"\n")
    assert tree.survey()["notes"] == []
    tree.give(".env", b"#" * 1_000_000 + b"\n")
    assert len(tree.survey()["notes"]) == 1


def test_folders_that_are_not_the_projects_own_code_are_left_out(
    tree: Surveyed,
) -> None:
    url = "x = 'sqlite://'\n"
    skills = [".agents", ".claude", ".codex", ".cursor", ".gemini", ".github", "agent"]
    tree.lay(
        {
            **{f"{folder}/skills/async/db.py": url for folder in skills},
            ".github/skills/async/SKILL.md": "",
            "agent/skills/async/SKILL.md": "",
            ".venv/db.py": url,
            "env/pyvenv.cfg": "",
            "env/db.py": url,
            "conda/conda-meta/x": "",
            "conda/db.py": url,
            "node_modules/x/db.py": url,
            "lib/site-packages/x/db.py": url,
            "x.egg-info/db.py": url,
            "__pycache__/db.py": url,
            "build/db.py": url,
            "dist/db.py": url,
            ".git/db.py": url,
            "src/app/db.py": url,
        }
    )
    assert tree.survey()["databases"] == ["src/app/db.py:1 sqlite"]


def test_a_folder_that_is_named_is_surveyed_whatever_it_is(tree: Surveyed) -> None:
    tree.lay({".venv/pyvenv.cfg": "", ".venv/db.py": "x = 'sqlite://'\n"})
    assert tree.survey(".venv")["databases"] == ["db.py:1 sqlite"]


def test_thousands_of_files_are_read(tree: Surveyed) -> None:
    for number in range(3_000):
        tree.give(
            f"package{number % 50}/module{number}.py", f"x = 'sqlite:///{number}'\n"
        )
    report = tree.survey()

    assert len(report["databases"]) == 3_000
    assert report["notes"] == []
    assert "package0/module0.py:1, " in (text := tree.run().out)
    assert text.splitlines()[-3].endswith(" and 2994 more")


def test_it_stops_at_a_number_of_files_and_says_so(tree: Surveyed) -> None:
    script = tree.root / "scripts/surveying/project.py"
    text = script.read_text(encoding="utf-8")
    script.write_text(text.replace("FILES = 20_000", "FILES = 3"), encoding="utf-8")
    for name in "abcde":
        tree.give(f"{name}.py", "x = 'sqlite://'\n")
        tree.give(f"{name}.jpg", "not counted")
    report = tree.survey()

    assert report["databases"] == [f"{name}.py:1 sqlite" for name in "abc"]
    assert report["notes"] == [". stopped at 3 files: survey a part"]


def test_what_may_not_be_read_is_noted(tree: Surveyed) -> None:
    # Permissions do not stop root, nor do they mean the same on Windows.
    tree.lay(
        {
            "closed.py": "x = 'sqlite://'\n",
            "closed/db.py": "x = 'sqlite://'\n",
            "open.py": "x = 'sqlite://'\n",
        }
    )
    script = tree.give(
        "../refuse.py",
        f"""
import os, pathlib, runpy, sys

path_open, scandir = pathlib.Path.open, os.scandir


def opened(path, *args, **kwargs):
    if path.name == "closed.py":
        raise PermissionError(13, "Permission denied", str(path))
    return path_open(path, *args, **kwargs)


def scanned(path):
    if os.path.basename(path) == "closed":
        raise PermissionError(13, "Permission denied", path)
    return scandir(path)


pathlib.Path.open, os.scandir = opened, scanned
runpy.run_path({str(tree.root / "scripts/survey.py")!r}, run_name="__main__")
""",
    )
    report = Report(tree.add("--json", script=script))

    assert report["notes"] == ["closed.py cannot be read", "closed cannot be read"]
    assert report["databases"] == ["open.py:1 sqlite"]


def test_a_warning_about_the_projects_code_is_nobodys_affair(tree: Surveyed) -> None:
    tree.give("db.py", 'x = "sqlite://\\d"\n')
    script = tree.give(
        "../warned.py",
        f"""
import runpy, warnings

warnings.simplefilter("error")
runpy.run_path({str(tree.root / "scripts/survey.py")!r}, run_name="__main__")
""",
    )
    report = Report(tree.add("--json", script=script))

    assert (report["databases"], report["notes"]) == (["db.py:1 sqlite"], [])
