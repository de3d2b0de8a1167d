"""Format a new revision with ruff, and leave it as it is where there is none.

A post-write hook of Alembic. Its own hooks fail where the tool is missing, as in an
image without development packages, and leave a revision that nobody expects.
https://alembic.sqlalchemy.org/en/latest/autogenerate.html#applying-post-processing-and-python-code-formatters-to-generated-revisions
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys


def main(file: str) -> int:
    """Run `ruff format`, with the project's configuration; return its exit code."""
    if importlib.util.find_spec("ruff"):
        ruff = [sys.executable, "-m", "ruff"]
    elif found := shutil.which("ruff"):
        ruff = [found]
    else:
        print("there is no ruff: the revision is not formatted", file=sys.stderr)
        return 0
    return subprocess.run([*ruff, "format", file], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
