"""Evals for scripts/maintain/quote.py, run on a small pack of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).resolve().parents[2]
SNIPPET = '''\
"""A café."""

# The only price
# that there is.
PRICE: int = 3
SIZES = CUPS = (1, 2)


def decorated(function: object) -> object:
    return function


@decorated
async def order(size: int) -> int:
    """Ünïcode."""
    return PRICE * size


class Menu:
    # Euros.
    limit = 5

    @property
    def total(self) -> int:
        return PRICE
'''


class Pack:
    """A directory with one snippet, the script and the pages of a test."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("snippets/café.py", SNIPPET)
        self.write("snippets/starter/alembic.ini", "[alembic]\nx = ü\n")
        script = root / "scripts/maintain/quote.py"
        script.parent.mkdir(parents=True)
        shutil.copy(ROOT / "scripts/maintain/quote.py", script)
        self.script = script

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())

    def read(self, name: str) -> str:
        return (self.root / name).read_bytes().decode()

    def quote(self, *args: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, self.script, *args],
            cwd=self.root.parent,
            capture_output=True,
            encoding="utf-8",
            env=os.environ
            | {"PYTHONIOENCODING": "utf-8", "PYTHONWARNDEFAULTENCODING": "1"},
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def filled(self, fence: str) -> str:
        """Return what a page that holds only `fence` becomes."""
        self.write("README.md", fence)
        assert self.quote()[0] == 0
        return self.read("README.md")


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    return Pack(tmp_path / "pack")


@pytest.mark.parametrize(
    "page", ["SKILL.md", "README.md", "CONTRIBUTING.md", "references/cake.md"]
)
def test_a_stale_fence_is_named_by_check_and_filled_without_it(
    pack: Pack, page: str
) -> None:
    stale = "before\n\n```python snippets/café.py::SIZES\nSIZES = ()\n```\n\nafter\n"
    pack.write(page, stale)

    assert pack.quote("--check") == (1, f"stale: {page}\n", "")
    assert pack.read(page) == stale
    assert pack.quote() == (0, f"refreshed: {page}\n", "")
    assert pack.read(page) == stale.replace("()", "CUPS = (1, 2)")
    assert pack.quote("--check") == (0, "", "")


@pytest.mark.parametrize(
    ("names", "code"),
    [
        ("PRICE", "# The only price\n# that there is.\nPRICE: int = 3"),
        ("CUPS", "SIZES = CUPS = (1, 2)"),
        (
            "order",
            "@decorated\nasync def order(size: int) -> int:\n"
            '    """Ünïcode."""\n    return PRICE * size',
        ),
        ("Menu.limit", "# Euros.\nlimit = 5"),
        ("Menu.total", "@property\ndef total(self) -> int:\n    return PRICE"),
        (
            "PRICE,SIZES,Menu.limit",
            "# The only price\n# that there is.\nPRICE: int = 3\n"
            "SIZES = CUPS = (1, 2)\n\n\n# Euros.\nlimit = 5",
        ),
    ],
)
def test_a_name_is_quoted_whole_and_without_its_indentation(
    pack: Pack, names: str, code: str
) -> None:
    opening = f"```python snippets/café.py::{names}\n"

    assert pack.filled(f"{opening}```\n") == f"{opening}{code}\n```\n"


def test_a_fence_in_a_list_keeps_the_indentation_of_the_list(pack: Pack) -> None:
    page = pack.filled("- one\n  ```py snippets/café.py::order\n  ```\n- two\n")

    assert page == (
        "- one\n  ```py snippets/café.py::order\n  @decorated\n"
        '  async def order(size: int) -> int:\n      """Ünïcode."""\n'
        "      return PRICE * size\n  ```\n- two\n"
    )


def test_a_fence_without_names_quotes_the_whole_file(pack: Pack) -> None:
    opening = "```ini snippets/starter/alembic.ini\n"

    assert pack.filled(f"{opening}old\n```\n") == f"{opening}[alembic]\nx = ü\n```\n"


def test_windows_line_ends_stay_and_are_no_difference(pack: Pack) -> None:
    fence = "```python snippets/café.py::CUPS\r\nSIZES = CUPS = (1, 2)\r\n```\r\n"
    pack.write("SKILL.md", fence)

    assert pack.quote("--check") == (0, "", "")
    assert pack.filled(fence.replace("(1, 2)", "()")) == fence


def test_shell_and_text_hold_text_of_their_own(pack: Pack) -> None:
    page = dedent("""\
        ```sh
        alembic upgrade head
        ```
        ````markdown
        ```python
        an example inside an example
        ```
        ````
        ~~~text
        ```
        ~~~
        """)
    pack.write("README.md", page)

    assert pack.quote("--check") == (0, "", "")


@pytest.mark.parametrize(
    ("fence", "problem"),
    [
        ("```python\nx = 1\n```", "this fence names no source: ```python path::Name"),
        ("```py\nx = 1\n```", "this fence names no source: ```py path::Name"),
        ("```\nx = 1\n```", "this fence names no source: ```text path::Name"),
        ("~~~python\nx = 1\n~~~", "this fence names no source: ```python path::Name"),
        ("```toml\nx = 1\n```", "this fence names no source: ```toml path::Name"),
        (
            "```python snippets/tea.py::Tea\n```",
            "snippets/tea.py is no file of the pack: give its path from the root",
        ),
        (
            "```python ../secret.py::KEY\n```",
            "../secret.py is no file of the pack: give its path from the root",
        ),
        (
            "```python snippets/café.py::PRICE,Menu.tea,tea\n```",
            "snippets/café.py defines no Menu.tea, tea",
        ),
        ("```sh\nls\n``", "this fence is never closed"),
    ],
)
def test_a_fence_that_cannot_be_filled_is_an_error_and_stays(
    pack: Pack, fence: str, problem: str
) -> None:
    (pack.root.parent / "secret.py").write_text("KEY = 1\n", encoding="utf-8")
    page = f"# Cake\n\n{fence}\n"
    pack.write("references/cake.md", page)
    stale = "```python snippets/café.py::CUPS\n```\n"
    pack.write("SKILL.md", stale)

    wrong = f"references/cake.md:3: {problem}\n"
    assert pack.quote("--check") == (3, "stale: SKILL.md\n", wrong)
    assert pack.quote() == (3, "refreshed: SKILL.md\n", wrong)
    assert pack.read("references/cake.md") == page


def test_help_documents_every_exit_code_and_a_wrong_argument_is_2(pack: Pack) -> None:
    code, text, _ = pack.quote("--help")

    assert code == 0
    assert all(f"{number} " in text.partition("Exit codes:")[2] for number in range(4))
    assert pack.quote("--chek")[0] == 2
