"""The graders grade: a right solution passes all checks, a typical wrong one fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from evals.agents.task import Work, grade
from evals.agents.tasks.every import TASKS
from evals.harness.postgres import admin_url, administer
from evals.harness.project import Project

WRONG = [(name, wrong) for name, task in TASKS.items() for wrong in task.wrong]
# The checks that each wrong solution fails.
FAILS = {
    "looks_before_it_inserts": {"of ten equal requests at once"},
    "creates_tables_at_start": {"tables come from alembic"},
    "listens_to_the_orm": {"updated_at moves"},
    "forgets_the_rows": {"rows that are there", "updated_at moves"},
    "a_second_base": {"the models stay"},
    "counts_rows": {"posts that come and go"},
    "forgets_null": {"every post is shown once", "posts that come and go"},
    "swallows": {"whoever is told 201"},
    "commits_early": {"a refused order"},
    "plain": {"no request waits"},
    "in_the_database_only": {"the index is valid"},
    "leaks": {"the tests pass", "no test sees"},
    "rolls_back_alone": {"the tests pass", "no test sees"},
}


@pytest.fixture
def postgres(pytestconfig: pytest.Config) -> Callable[[], str]:
    """Make an empty database at each call; the server goes with the run."""
    admin = admin_url(int(pytestconfig.getoption("--pg")))

    def make() -> str:
        name = f"agent_{uuid4().hex}"
        asyncio.run(administer(admin, f"CREATE DATABASE {name}"))
        url = admin.set(drivername="postgresql", database=name)
        return url.render_as_string(hide_password=False)

    return make


@pytest.fixture
def work(project: Project, tmp_path: Path, postgres: Callable[[], str]) -> Work:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Work(project, scratch, postgres)


@pytest.mark.parametrize("name", TASKS)
def test_a_reference_solution_passes_every_check(name: str, work: Work) -> None:
    task = TASKS[name]
    work.write(task.start)
    task.reference(work)
    found = grade(task, work)
    assert [check for check in found if not check.passed] == []
    assert len(found) == len(task.checks)


@pytest.mark.parametrize(("name", "wrong"), WRONG)
def test_a_typical_wrong_solution_fails_what_is_wrong_in_it(
    name: str, wrong: str, work: Work
) -> None:
    task = TASKS[name]
    work.write(task.start)
    task.wrong[wrong](work)
    found = grade(task, work, *FAILS[wrong])
    assert [check for check in found if check.passed] == []
    assert len(found) == len(FAILS[wrong])


@pytest.mark.parametrize("name", TASKS)
def test_who_does_nothing_does_not_pass(name: str, work: Work) -> None:
    task = TASKS[name]
    work.write(task.start)
    (first,) = grade(task, work, next(iter(task.checks)))
    assert not first.passed


def test_the_tasks_are_of_six_kinds_and_name_no_file_of_the_skill() -> None:
    assert {task.kind for task in TASKS.values()} == {
        "greenfield", "adopt", "feature", "symptom", "live-schema", "slow-suite",
    }  # fmt: skip
    for task in TASKS.values():
        assert 10 <= task.minutes <= 60
        told = task.prompt + "".join(task.start.values())
        for word in ("skill", "snippet", "add.py", "references/"):
            assert word not in told.casefold(), word
