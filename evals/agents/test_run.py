"""Evals for run.py without a client: its sums, its report, and evals.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evals.agents import run
from evals.agents.tasks.every import TASKS
from evals.clients.sandbox import ROOT
from evals.clients.scripted_model import Asked, Call


def ran(task: str, variant: str, checks: float, **more: Any) -> dict[str, Any]:
    facts = {"task": task, "variant": variant, "checks": checks, "minutes": 2.0}
    facts |= {"tokens": 10, "lines": 5, "pages": 0, "commands": 1, "loaded": False}
    return facts | {"failed": "", "graded": []} | more


def test_what_differs_is_compared_task_by_task_and_nothing_is_a_null() -> None:
    runs = [
        ran("posts", "with", 1.0, loaded=True, lines=90),
        ran("posts", "without", 0.25),
        ran("index", "with", 1.0, lines=30),
        ran("index", "without", 0.5),
        ran("index", "with", 0.0, failed="no key"),
    ]
    assert sorted(run.differences(runs[:4], "checks")) == [0.5, 0.75]
    told = run.table([{"client": "c 1", "model": "m", "runs": runs}], mocked=True)
    lines = told.splitlines()
    assert lines[0].startswith("MOCKED")
    assert "4 runs judged, 1 failed" in told
    assert "skill loaded in 1 of 2 runs" in told
    (checks,) = [line for line in lines if "checks passed" in line]
    assert checks.split()[3:6] == ["1.00", "0.38", "+0.62"]
    assert "null" not in checks
    (minutes,) = [line for line in lines if line.startswith("  minutes")]
    assert minutes.endswith("null")
    assert "failed: no key" in told


def test_evals_json_is_made_of_the_tasks() -> None:
    text = (ROOT / "evals/evals.json").read_text(encoding="utf-8")
    assert text == run.evals_json(), "python -m evals.agents.run --evals-json"
    entries = json.loads(text)["evals"]
    assert [entry["id"] for entry in entries] == list(range(1, len(TASKS) + 1))
    assert all(entry["expectations"] == entry["assertions"] for entry in entries)


def test_a_start_is_laid_down_with_its_prompt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(["--lay-down", "posts", str(tmp_path)]) == 0
    assert capsys.readouterr().out == TASKS["posts"].prompt
    for name, text in TASKS["posts"].start.items():
        assert (tmp_path / name).read_text(encoding="utf-8") == text


@pytest.mark.parametrize("words", [[], ["--lay-down", "nothing", "here"]])
def test_wrong_usage_ends_with_two(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run.main(words)
    assert ended.value.code == 2


def test_the_stand_in_is_right_only_where_it_sees_the_skill() -> None:
    prompt = TASKS["posts"].prompt
    tools = ("Bash", "Skill")
    first = run.stand_in(Asked(f"async-sqlalchemy {prompt}", tools, 0))
    then = run.stand_in(Asked(f"async-sqlalchemy {prompt}", tools, 1))
    without = run.stand_in(Asked(prompt, tools, 0))
    assert isinstance(first, Call)
    assert first.arguments == {"skill": "async-sqlalchemy"}
    assert isinstance(then, Call)
    assert then.arguments["command"].endswith("posts reference")
    assert isinstance(without, Call)
    assert without.arguments["command"].endswith("posts counts_rows")
    assert run.stand_in(Asked("something else", tools, 0)) == "I do not know this task"
