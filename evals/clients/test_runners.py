"""The runners drive real clients from end to end; only the model is scripted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from evals.agents import run as agents
from evals.clients.sandbox import PACKAGES, Tools
from evals.triggers import run as triggers


@pytest.mark.parametrize("client", PACKAGES)
def test_a_client_loads_the_skill_when_its_model_says_so(
    client: str, tools: Tools, tmp_path: Path
) -> None:
    out = tmp_path / "report.json"
    words = ["--scripted", "--client", client, "--runs", "1", "--sample", "2"]
    words += ["--others", "10", "--tools", str(tools.path), "--report", str(out)]
    assert triggers.main([*words, "--jobs", "2"]) == 0

    (found,) = json.loads(out.read_text(encoding="utf-8"))["clients"]
    fitting, other = found["traces"]
    assert (fitting["should_load"], other["should_load"]) == (True, False)
    assert (fitting["fired"], other["fired"]) == (True, False), found
    assert len(fitting["pages"]) == 1
    assert fitting["commands"] >= 1
    assert fitting["tokens_in"] == 3 * other["tokens_in"] > 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", found["version"])


def test_an_agent_does_a_task_with_the_skill_and_without(
    tools: Tools, tmp_path: Path
) -> None:
    out = tmp_path / "report.json"
    words = ["--scripted", "--client", "claude", "--task", "index"]
    words += ["--tools", str(tools.path), "--report", str(out)]
    assert agents.main(words) == 0

    (found,) = json.loads(out.read_text(encoding="utf-8"))["clients"]
    with_it, without = found["runs"]
    assert (with_it["variant"], without["variant"]) == ("with", "without")
    assert (with_it["loaded"], without["loaded"]) == (True, False), found
    assert (with_it["checks"], without["checks"]) == (1.0, 0.5), found
    assert with_it["lines"] > without["lines"] > 0
    assert with_it["commands"] == without["commands"] == 1
