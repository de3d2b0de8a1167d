"""Solve a task here, as its reference or one of its wrong solutions does.

    python -m evals.agents.apply TASK reference|WRONG

What the scripted model runs where a real one would work. Exit codes: 0, or 2.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from evals.agents.task import Work
from evals.agents.tasks.every import TASKS
from evals.harness.project import Project


def main() -> int:
    if len(sys.argv) != 3 or sys.argv[1] not in TASKS:
        print(__doc__, file=sys.stderr)
        return 2
    task, how = TASKS[sys.argv[1]], sys.argv[2]
    with tempfile.TemporaryDirectory() as scratch:
        work = Work(Project(Path.cwd()), Path(scratch), lambda: "")
        (task.reference if how == "reference" else task.wrong[how])(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
