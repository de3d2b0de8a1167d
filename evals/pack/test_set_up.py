"""The set-up page, followed command by command, in an empty directory."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import URL

from evals.harness.project import ROOT, Project, free_port

PAGE = (ROOT / "references/set-up.md").read_text(encoding="utf-8")
FENCES = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
LAY_DOWN, MAKE_IT_YOURS, POSTGRESQL, COME_BACK = FENCES
SERVE = "uv run uvicorn app.main:app"


class Shell:
    """Somebody who types a page's commands into a project's directory."""

    def __init__(self, project: Project, skill: Path, package: str = "app") -> None:
        self.project = project
        self.skill = skill
        self.package = package
        # `uv run` made an environment for the evals; the project makes its own.
        project.env |= {"UV_PROJECT_ENVIRONMENT": ".venv", "UV_LINK_MODE": "hardlink"}

    def type(self, fence: str) -> str:
        """Run each line of `fence`, up to the server; return what was printed."""
        printed = ""
        for line in fence.splitlines():
            if line.startswith("export "):
                continue  # the eval knows the server's URL
            if line != SERVE:
                printed += self.run(line)
        return printed

    def run(self, line: str, *, check: bool = True) -> str:
        words = line.replace("SKILL", str(self.skill)).replace(
            "app.", f"{self.package}."
        )
        done = subprocess.run(
            self.arguments(words),
            cwd=self.project.path,
            env=self.project.environment(None),
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert (done.returncode == 0) is check, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def arguments(self, line: str) -> list[str]:
        words = re.findall(r'"([^"]*)"|(\S+)', line)
        found = [quoted or plain for quoted, plain in words]
        if found[0] == "uv":
            found[0] = os.environ.get("UV") or shutil.which("uv") or "uv"
        if found[0] == "rm":  # the one pattern of the page
            paths = self.project.path.glob(found.pop())
            found += [str(path) for path in paths]
        return found

    @contextmanager
    def serving(self) -> Iterator[httpx.Client]:
        """Run the page's server, as it stands there, on a free port."""
        port = free_port()
        env = self.project.environment({"UVICORN_PORT": str(port)})
        process = subprocess.Popen(
            self.arguments(SERVE.replace("app.", f"{self.package}.")),
            cwd=self.project.path,
            env=env,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        assert process.stderr
        try:
            log = ""
            while "Uvicorn running" not in log:
                line = process.stderr.readline()
                assert line, f"the server ended:\n{log}"
                log += line
            with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
                yield client
        finally:
            process.terminate()
            process.communicate(timeout=30)


def passed(printed: str) -> int:
    found = re.search(r"(\d+) passed", printed)
    assert found, printed
    return int(found[1])


def create_and_read(client: httpx.Client) -> None:
    created = client.post("/notes", json={"text": "milk"})
    assert created.status_code == 201
    path = f"/notes/{created.json()['id']}"
    assert client.get(path).json() == created.json()
    assert client.get("/notes/999999").status_code == 404


@pytest.fixture(scope="module")
def skill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pack where an agent has it, read-only as far as the system allows."""
    target = tmp_path_factory.mktemp("agent") / "skills/async-sqlalchemy"
    for name in ("scripts", "snippets", "references"):
        shutil.copytree(
            ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("SKILL.md", "CHANGELOG.md", "pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, target / name)
    return target


def test_the_page_holds_command_by_command(
    project: Project, skill: Path, fresh_database: URL, database: str
) -> None:
    shell = Shell(project, skill)
    if database == "postgresql":
        url = fresh_database.set(drivername="postgresql")
        plain = url.render_as_string(hide_password=False)
        # The environment wins over the `.env` that the page makes.
        project.env["DATABASE_URL"] = plain
    printed = shell.type(LAY_DOWN)
    assert passed(printed) >= 6
    with shell.serving() as client:
        create_and_read(client)

    # Both databases were under test although one of them is configured.
    verbose = shell.run("uv run pytest -v")
    assert "[sqlite] PASSED" in verbose
    assert "[postgresql] PASSED" in verbose

    if database == "sqlite":
        assert passed(shell.type(MAKE_IT_YOURS)) >= 6
        with shell.serving() as client:
            create_and_read(client)
    else:
        shell.type(POSTGRESQL)
        missing = fresh_database.set(drivername="postgresql", database="nowhere")
        project.env["DATABASE_URL"] = missing.render_as_string(hide_password=False)
        told = shell.run("uv run alembic upgrade head", check=False)
        assert "database nowhere does not exist" in told
        assert "createdb" in told
        assert "Traceback" not in told
    block = project.path / "AGENTS.md"
    assert not block.exists()
    shell.type(COME_BACK)
    assert "references/engine.md" in block.read_text(encoding="utf-8")


@pytest.mark.parametrize("package", ["shop", "src/shop"])
def test_it_holds_under_another_name(
    project: Project, skill: Path, package: str
) -> None:
    shell = Shell(project, skill, package="shop")
    laid_down = LAY_DOWN.replace("starter", f"starter --package {package}")
    assert passed(shell.type(laid_down)) >= 6
    if package == "shop":
        with shell.serving() as client:
            create_and_read(client)
    assert not (project.path / "app").exists()


def test_bare_leaves_the_example_out(project: Project, skill: Path) -> None:
    shell = Shell(project, skill)
    shell.run("python3 SKILL/scripts/add.py starter --bare")
    own = [*project.path.glob("app/*.py"), *project.path.glob("[mt]*/**/*.py")]
    assert own
    for path in own:
        assert "note" not in path.read_text(encoding="utf-8").casefold(), path
    project.write(
        {
            ".env": "DATABASE_URL=sqlite:///app.db\n",
            "app/orders.py": (
                "from sqlalchemy.orm import Mapped, mapped_column\n\n"
                "from .models import Base\n\n\n"
                "class Order(Base):\n"
                '    __tablename__ = "order"\n\n'
                "    id: Mapped[int] = mapped_column(primary_key=True)\n"
            ),
        }
    )
    project.run("-m", "alembic", "revision", "--autogenerate", "-m", "create order")
    project.run("-m", "alembic", "upgrade", "head")
    checked = project.run("-m", "alembic", "check")
    assert "No new upgrade operations" in checked.stdout


LAYER = {
    "commit": (
        "app/db/fastapi_session.py",
        "    async with sessions.begin() as session:\n        yield session\n",
        "    async with sessions() as session:\n        yield session\n",
    ),
    "rollback": (
        "app/db/fastapi_session.py",
        "    async with sessions.begin() as session:\n        yield session\n",
        "    async with sessions() as session:\n"
        "        try:\n            yield session\n"
        "        finally:\n            await session.commit()\n",
    ),
    "revision": ("migrations/versions/*.py", '"created_at"', '"made_at"'),
    "route": ("app/notes.py", "return note\n", "return None\n"),
}


@pytest.mark.parametrize("part", LAYER)
def test_the_laid_down_tests_see_a_broken(
    part: str, project: Project, skill: Path
) -> None:
    project.run(str(skill / "scripts/add.py"), "starter")
    pattern, right, wrong = LAYER[part]
    (file,) = project.path.glob(pattern)
    text = file.read_text(encoding="utf-8")
    assert right in text
    file.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    done = project.run("-m", "pytest", "-q", "-k", "sqlite", check=False)
    assert done.returncode == 1, done.stdout + done.stderr


@pytest.mark.parametrize("bare", [[], ["--bare"]], ids=["example", "bare"])
def test_what_is_laid_down_passes_lint_and_types(
    bare: list[str], project: Project, skill: Path
) -> None:
    project.run(str(skill / "scripts/add.py"), "starter", *bare)
    project.run("-m", "ruff", "format", "--check", "--no-cache", ".")
    project.run("-m", "ruff", "check", "--select", "E4,E7,F,I,UP,B", "--no-cache", ".")
    project.run("-m", "mypy", "--strict", "--no-incremental", "app", "tests")
