"""Evals for .ci/run: its order, its first failure, what it installs on a bare machine.

The programs that it calls are stand-ins that note how they were called: what they
do, CI itself shows.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTE = '#!/bin/sh\necho "$(basename "$0") $*" >>"$NOTES"\n'
UV = """\
case "$*" in
  *"$BREAKS"*) echo "it broke"; exit 7 ;;
  "venv "*)
    mkdir -p .venv-lowest/bin
    cp "$0" .venv-lowest/bin/python ;;
  *pytest*|*check*) echo "== 3 passed, 1 warning in 2.05s ==" ;;
esac
"""
PYTHON = """\
case "$*" in
  "-c import ensurepip"*) [ -e "$NOTES.venv" ] || exit 1 ;;
  "-m venv"*) mkdir -p .uv/bin; cp "$UV" .uv/bin/uv; cp "$0" .uv/bin/python ;;
esac
"""
APT = 'case "$*" in *python3-venv*) touch "$NOTES.venv" ;; esac\n'


class Machine:
    """A clone on a machine where only these programs are called."""

    def __init__(self, root: Path) -> None:
        self.clone = root / "clone"
        self.notes = root / "notes"
        self.bin = root / "bin"
        (self.clone / ".ci").mkdir(parents=True)
        (self.clone / "evals/servers").mkdir(parents=True)
        shutil.copy(ROOT / ".ci/run", self.clone / ".ci/run")
        self.bin.mkdir()
        self.program("uv", UV)
        self.program("python3", PYTHON)
        self.program("apt-get", APT)
        self.program("dpkg", 'exit "${MISSING:-0}"\n')
        self.program("git", "")
        self.program("sudo", 'shift\n"$@"\n')

    def program(self, name: str, does: str) -> None:
        path = self.bin / name
        path.write_text(NOTE + does, encoding="utf-8")
        path.chmod(0o755)

    def run(self, **env: str) -> tuple[int, list[str], list[str]]:
        """Return the exit code, the lines printed, and the calls."""
        done = subprocess.run(
            ["bash", self.clone / ".ci/run"],
            cwd="/",
            env={
                "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
                "NOTES": str(self.notes),
                "UV": str(self.bin / "uv"),
                "BREAKS": "nothing breaks",
                **env,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        calls = self.notes.read_text(encoding="utf-8").splitlines()
        return done.returncode, done.stdout.splitlines(), calls


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


CALLS = [
    "uv sync -q --upgrade",
    "uv run --no-sync scripts/maintain/check -n 2",
    "uv pip install -q --python .venv-lowest --resolution lowest-direct"
    " -r pyproject.toml --group dev",
    "uv run --no-sync mypy --python-executable .venv-lowest/bin/python snippets",
    "uv run --no-sync pyright --pythonpath .venv-lowest/bin/python",
    "python -m pytest -n 2 --pg=16 evals/snippets",
]


def test_the_newest_releases_are_checked_before_the_lowest(machine: Machine) -> None:
    code, lines, calls = machine.run()

    assert code == 0, lines
    assert [call for call in calls if call in CALLS] == CALLS
    assert lines[-3].startswith("==> all green after ")
    assert lines[-2:] == [
        "check: == 3 passed, 1 warning in 2.05s ==",
        "snippets-on-lowest: == 3 passed, 1 warning in 2.05s ==",
    ]


@pytest.mark.parametrize(
    ("breaks", "step"),
    [
        ("sync -q", "newest-releases"),
        ("maintain/check", "check"),
        ("pip install", "lowest-releases"),
        ("mypy", "types-on-lowest"),
        ("pytest", "snippets-on-lowest"),
    ],
)
def test_the_first_step_that_fails_is_named_and_the_last(
    machine: Machine, breaks: str, step: str
) -> None:
    code, lines, calls = machine.run(BREAKS=breaks)

    assert code == 7
    assert lines[-3] == "it broke"
    assert lines[-1].startswith(f"==> FAILED: {step}, after ")
    assert breaks in calls[-1]


def test_uv_is_installed_into_the_clone_with_what_that_needs(machine: Machine) -> None:
    code, lines, calls = machine.run()

    assert code == 0, lines
    wanted = ("apt-get", "python3 -m", "python -m pip")
    assert [call for call in calls if call.startswith(wanted)] == [
        "apt-get update -q",
        "apt-get install -q -y --no-install-recommends python3-venv",
        "python3 -m venv --clear .uv",
        "python -m pip install -q uv",
    ]
    machine.notes.unlink()
    _, _, again = machine.run()
    assert not [call for call in again if call.startswith(wanted)]


@pytest.mark.parametrize(("missing", "installed"), [("0", False), ("1", True)])
def test_servers_get_the_packages_that_their_files_name(
    machine: Machine, missing: str, installed: bool
) -> None:
    for name, needs in (("pool", "pgbouncer postgresql"), ("text", "postgresql")):
        file = machine.clone / f"evals/servers/test_{name}.py"
        file.write_text(f'"""Evals."""\n\n# apt: {needs}\n', encoding="utf-8")
    (machine.clone / ".uv/bin").mkdir(parents=True)
    shutil.copy(machine.bin / "uv", machine.clone / ".uv/bin/uv")
    code, lines, calls = machine.run(MISSING=missing)

    assert code == 0, lines
    assert "dpkg -s pgbouncer postgresql" in calls
    install = "apt-get install -q -y --no-install-recommends pgbouncer postgresql"
    assert (install in calls) == installed
    assert calls[-1] == "uv run --no-sync python -m pytest -n 2 evals/servers"
    assert lines[-1].startswith("servers: == 3 passed")


def test_real_clients_come_last(machine: Machine) -> None:
    for kind in ("servers", "clients"):
        file = machine.clone / f"evals/{kind}/test_it.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text('"""Evals."""\n', encoding="utf-8")
    code, lines, calls = machine.run()

    assert code == 0, lines
    asked = [call for call in calls if "pytest" in call]
    assert [call.rpartition(" ")[2] for call in asked[-2:]] == [
        "evals/servers",
        "evals/clients",
    ]
    assert calls[-1] == "uv run --no-sync python -m pytest -n 2 evals/clients"
