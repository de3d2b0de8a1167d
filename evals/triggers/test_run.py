"""Evals for run.py, with a scripted model whose errors are known beforehand.

Through an endpoint without a client here; evals/clients has the real clients.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evals.clients.client import READERS, Trace, read
from evals.clients.interval import mean, share
from evals.clients.scripted_model import USAGE, Asked, scripted
from evals.triggers import run
from evals.triggers.ranking import Query, queries


@pytest.mark.parametrize("name", run.APIS)
def test_the_report_says_what_the_model_did(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report.json"
    words = ["--scripted", "--client", name, "--runs", "1", "--report", str(out)]
    assert run.main([*words, "--others", "20", "--jobs", "4"]) == 0

    report = json.loads(out.read_text(encoding="utf-8"))
    assert report["mocked"] is True
    (found,) = report["clients"]
    fitting = [q for q in queries() if q.should_load]
    other = [q for q in queries() if not q.should_load]
    missed, wrong = len(fitting) // 5, len(other) // 10
    loaded = len(fitting) - missed
    assert found["runs_judged"] == len(queries())
    assert found["recall"][0] == pytest.approx(loaded / len(fitting))
    assert found["precision"][0] == pytest.approx(loaded / (loaded + wrong))
    assert found["right_page"][0] == 1.0
    asked = 3 * (loaded + wrong) + missed + len(other) - wrong
    assert (found["tokens_in"], found["tokens_out"]) == tuple(
        asked * tokens for tokens in USAGE
    )
    printed = capsys.readouterr().out
    assert printed.startswith("MOCKED: a scripted model answered")
    assert "0.80 (0.71-0.87)" in printed


def test_a_page_that_was_not_read_or_another_one_does_not_count() -> None:
    asked = Query("how", True, "formal", ("engine",))
    right = Trace(fired=True, pages={"engine", "models"})
    wrong = Trace(fired=True, pages={"models"})
    found = run.summary([(asked, right), (asked, wrong)])
    assert found["right_page"][0] == 0.5
    assert found["recall"][0] == 1.0


def test_a_run_that_failed_is_counted_apart() -> None:
    asked = Query("how", True, "formal", ("engine",))
    rows = [(asked, Trace(fired=True)), (asked, Trace(failed="no key"))]
    found = run.summary(rows)
    assert (found["runs_judged"], found["runs_failed"]) == (1, 1)
    assert found["recall"][0] == 1.0
    assert "failed: no key" in run.table(
        [found | {"client": "c", "version": "", "model": "m"}], mocked=False
    )


def test_an_endpoint_that_refuses_ends_with_three(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with scripted(lambda asked: "done") as model:
        url = f"{model.url}/nothing/of/the/kind?"
        words = ["--client", "openai-api", "--endpoint", url, "--sample", "2"]
        assert run.main([*words, "--runs", "1"]) == 3
    assert "failed: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [([], "name a --client"), (["--client", "openai-api"], "--endpoint")],
)
def test_what_is_missing_is_named(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run.main(words)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_the_stand_in_errs_where_it_says() -> None:
    chosen = queries()
    script = run.stand_in(chosen)
    fitting = [q for q in chosen if q.should_load]
    said = [script(Asked(q.query, ("Skill",), 0)) for q in fitting]
    assert [isinstance(s, str) for s in said[:6]] == [False] * 4 + [True, False]


LINES = {
    "claude": [
        {"type": "assistant", "message": {
            "usage": {"input_tokens": 1, "output_tokens": 1},
            "content": [{"type": "tool_use", "name": "Bash",
                         "input": {"command": "ls"}}]}},
        {"type": "assistant", "message": {
            "usage": {"input_tokens": 1, "output_tokens": 1},
            "content": [{"type": "tool_use", "name": "Skill",
                         "input": {"skill": "async-sqlalchemy:async-sqlalchemy"}}]}},
    ],
    "codex": [
        {"type": "item.completed", "item": {
            "type": "command_execution",
            "command": "bash -lc 'cat .agents/skills/async-sqlalchemy/SKILL.md'"}},
    ],
    "gemini": [
        {"type": "tool_use", "tool_name": "run_shell_command",
         "parameters": {"command": "ls"}},
        {"type": "tool_use", "tool_name": "activate_skill",
         "parameters": {"name": "async-sqlalchemy"}},
    ],
    "opencode": [
        {"type": "tool_use", "part": {
            "tool": "read",
            "state": {"input": {"filePath": "/p/async-sqlalchemy/SKILL.md"}}}},
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
def test_a_skill_that_is_loaded_late_or_by_reading_it_is_loaded(name: str) -> None:
    lines = [json.dumps(line) for line in LINES[name]]
    assert read(name, "\n".join(["talk", *lines, '{"cut": '])).fired
    assert not read(name, "\n".join(lines[:-1])).fired
    other = [line.replace("async-sqlalchemy", "async-sqlalchemy-2") for line in lines]
    assert not read(name, "\n".join(other)).fired


def test_intervals_are_those_of_the_book() -> None:
    """Newcombe 1998, table I: Wilson's interval for 81/263 and for 0/20."""
    assert share(81, 263) == pytest.approx((0.3080, 0.2553, 0.3662), abs=5e-5)
    assert share(0, 20) == pytest.approx((0, 0, 0.1611), abs=5e-5)
    assert share(0, 0) == (0.0, 0.0, 1.0)
    middle, low, high = mean([1.0, 2.0, 3.0, 4.0])
    assert low < middle == 2.5 < high
    assert mean([1.0, 2.0, 3.0, 4.0]) == (middle, low, high)
