"""What a test takes in a pytest run of its own, for the subjects of evals/peers."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

# The first test starts the server and makes the tables, the last one ends what is
# there for all: neither is counted.
CLOCK = """\
import json
import os
import time

ends = []


def pytest_runtest_logfinish():
    ends.append(time.perf_counter())


def pytest_sessionfinish():
    with open(os.environ["BENCH_RESULT"], "w", encoding="utf-8") as file:
        json.dump((ends[-2] - ends[0]) / (len(ends) - 2), file)
"""


async def seconds_a_test(
    scratch: Path, project: str, *args: str, **env: str | Path
) -> float:
    """Run `pytest ARGS` in a project below `scratch`; return the seconds of one test.

    Raises:
        RuntimeError: the run failed; with what it printed.
    """
    (scratch / "clock.py").write_text(CLOCK, encoding="utf-8")
    result = scratch / "result.json"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    inherited.pop("GITHUB_STEP_SUMMARY", None)
    ours = {"PYTHONPATH": scratch, "BENCH_RESULT": result} | env
    process = await asyncio.create_subprocess_exec(
        sys.executable, *("-m", "pytest", "-q", "-p", "clock", *args),
        cwd=scratch / project,
        env=inherited | {name: str(value) for name, value in ours.items()},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    printed, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"pytest in {project} failed:\n{printed.decode()}")
    return float(json.loads(result.read_text(encoding="utf-8")))
