"""Give real agents the tasks, with the skill and without it, and grade what they leave.

    python -m evals.agents.run --client claude --model MODEL --runs 3
    python -m evals.agents.run --scripted               the runner, without a model
    python -m evals.agents.run --lay-down posts DIR     one task's start, to look at
    python -m evals.agents.run --evals-json             what evals/evals.json holds

Each run has a fresh home and a fresh project with the task's start tree in git. The
skill, the lean tree, lies in the project or it does not; nothing else differs, and the
prompt names no skill. The grader runs what is there when the agent ends, or when
--limit is over. Everything of a run that fails to start is counted apart.

A real run needs the client's key (ANTHROPIC_API_KEY, OPENAI_API_KEY, GEMINI_API_KEY)
and money: six tasks, twice, three times, is 36 runs of up to an hour. The agent runs
the commands that the model wishes, so do it in a container.

The report has means side by side, and the mean of their differences, task by task and
run by run, with a 95 % bootstrap interval. An interval that holds 0 is a null result,
and stays in the report as one.

Exit codes: 0 measured; 2 wrong usage; 3 no run could be judged, or the server of
PostgreSQL did not start.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from evals.agents.task import Work, grade
from evals.agents.tasks.every import TASKS
from evals.clients import client as clients
from evals.clients.interval import mean
from evals.clients.sandbox import NAME, PACKAGES, ROOT, Sandbox, Tools, lean_tree
from evals.clients.scripted_model import Asked, Call, scripted
from evals.harness import postgres
from evals.harness.project import Project
from evals.triggers.run import PLACES, only_known, version

VARIANTS = ("with", "without")
MEASURES = {
    "checks": "checks passed, share",
    "minutes": "minutes",
    "tokens": "tokens",
    "lines": "lines written",
    "pages": "pages read",
    "commands": "commands run",
}


@dataclass
class Run:
    """One run of one agent on one task."""

    task: str
    variant: str
    checks: float
    minutes: float
    tokens: int
    lines: int
    pages: int
    commands: int
    loaded: bool
    failed: str
    graded: list[dict[str, Any]]


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    if args.evals_json:
        print(evals_json(), end="")
        return 0
    if args.lay_down:
        name, directory = args.lay_down
        Project(Path(directory)).write(TASKS[name].start)
        print(TASKS[name].prompt, end="")
        return 0
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        directory.chmod(0o755)
        if args.scripted:
            model = stack.enter_context(scripted(stand_in))
            args.endpoint, args.model = model.url, "scripted"
        try:
            admin = postgres.admin_url(18)
            if "EVALS_RUN_DIR" in os.environ:
                stack.callback(end_server)
        except postgres.ServerUnavailable as error:
            print(error, file=sys.stderr)
            return 3
        results: list[dict[str, Any]] = []
        for name in args.client:
            tools = Tools.install(args.tools or directory / "tools", [name, "codex"])
            runs = [
                one(name, task, variant, tools, directory, admin, args)
                for task in args.task or TASKS
                for _ in range(args.runs)
                for variant in VARIANTS
            ]
            about = {"client": f"{name} {version(name, tools)}"}
            about["model"] = args.model or "the client's default"
            results.append(about | {"runs": [asdict(run) for run in runs]})
    if args.report:
        report = {"mocked": args.scripted, "clients": results}
        text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
        args.report.write_text(text, encoding="utf-8", newline="\n")
    print(table(results, mocked=args.scripted))
    judged = all(any(not r["failed"] for r in found["runs"]) for found in results)
    return 0 if judged else 3


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--client", action="append", choices=[*PACKAGES])
    parser.add_argument("--model", default="", help="the client's own name of it")
    parser.add_argument("--task", action="append", choices=[*TASKS], help="repeat")
    parser.add_argument("--runs", type=int, default=1, help="of each task, each way")
    parser.add_argument("--limit", type=float, default=3600, help="seconds for a run")
    parser.add_argument("--endpoint", default="", help="ask this URL, not the vendor's")
    parser.add_argument("--scripted", action="store_true", help="a stand-in model")
    parser.add_argument("--tools", type=Path, help="keep the npm packages here")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write JSON too")
    parser.add_argument("--lay-down", nargs=2, metavar=("TASK", "DIRECTORY"))
    parser.add_argument("--evals-json", action="store_true")
    args = parser.parse_args(argv)
    if args.lay_down and args.lay_down[0] not in TASKS:
        parser.error(f"{args.lay_down[0]} is not among {', '.join(TASKS)}")
    if not (args.client or args.lay_down or args.evals_json):
        if not args.scripted:
            parser.error("name a --client, or ask for --scripted")
        args.client = ["claude"]
    return args


def end_server() -> None:
    """Stop the server of this run, if it is ours and not a pytest's around us."""
    if "PYTEST_CURRENT_TEST" not in os.environ:
        postgres.remove_run(Path(os.environ.pop("EVALS_RUN_DIR")))


def stand_in(asked: Asked) -> Call | str:
    """A model that solves each task where the skill is, and errs where it is not."""
    told = " ".join(asked.text.split())
    asked_for = [n for n, t in TASKS.items() if " ".join(t.prompt.split()) in told]
    if not asked_for:
        return "I do not know this task"
    name, task = asked_for[0], TASKS[asked_for[0]]
    installed = NAME in told  # its clients list it, or not
    if installed and asked.results == 0:
        tools: tuple[str, ...] = ("Skill", "skill", "activate_skill", "exec_command")
        arguments = {"skill": NAME, "name": NAME}
        arguments["cmd"] = f"cat .agents/skills/{NAME}/SKILL.md"
    elif asked.results == int(installed):
        tools = ("Bash", "bash", "run_shell_command", "exec_command")
        how = "reference" if installed else next(iter(task.wrong))
        command = f"python -m evals.agents.apply {name} {how}"
        arguments = {"command": command, "cmd": command, "description": "Solve it"}
    else:
        return "Done"
    return Call(tools, only_known(asked, tools, arguments))


def one(
    name: str,
    task_name: str,
    variant: str,
    tools: Tools,
    directory: Path,
    admin: Any,
    args: argparse.Namespace,
) -> Run:
    """Let one agent do one task, and grade it."""
    task = TASKS[task_name]
    place = directory / uuid4().hex
    box = Sandbox.make(tools, place)
    keys = {key: os.environ[key] for key in clients.KEYS[name] if key in os.environ}
    # The agent's `python` is ours: the project's packages are there.
    path = str(Path(sys.executable).parent) + os.pathsep + tools.search_path
    box.env |= keys | {"PATH": path}
    if args.scripted:
        box.env["PYTHONPATH"] = str(ROOT)
    Project(box.project).write(task.start)
    if variant == "with":
        lean = lean_tree(place / "lean")
        for folder in PLACES:
            shutil.copytree(lean, box.project / folder / NAME)
    box.commit(box.project, "start")
    scratch = place / "scratch"
    scratch.mkdir()

    def empty() -> str:
        database = f"agent_{uuid4().hex}"
        asyncio.run(postgres.administer(admin, f"CREATE DATABASE {database}"))
        url = admin.set(drivername="postgresql", database=database)
        return str(url.render_as_string(hide_password=False))

    box.env["DATABASE_URL"] = (
        empty() if task.databases == "postgresql" else f"sqlite:///{scratch}/work.db"
    )
    trace = clients.ask(
        box, name, task.prompt,
        model=args.model, endpoint=args.endpoint, limit=args.limit,
    )  # fmt: skip
    lines = written(box)
    found = grade(task, Work(Project(box.project), scratch, empty))
    with suppress(OSError):
        shutil.rmtree(place)
    return Run(
        task=task_name,
        variant=variant,
        checks=sum(check.passed for check in found) / len(found),
        minutes=trace.seconds / 60,
        tokens=trace.tokens_in + trace.tokens_out,
        lines=lines,
        pages=len(trace.pages),
        commands=trace.commands,
        loaded=trace.fired,
        failed=trace.failed,
        graded=[asdict(check) for check in found],
    )


def written(box: Sandbox) -> int:
    """Count the lines that the agent added; copies by add.py are lines as well."""
    box.run("git", "add", "-A", cwd=box.project)
    ours = [f":!{folder}" for folder in PLACES]
    told = box.run(
        "git", "diff", "--cached", "--numstat", "--", ".", *ours, cwd=box.project
    )
    added = [line.split("\t")[0] for line in told.splitlines()]
    return sum(int(number) for number in added if number.isdecimal())


def table(results: list[dict[str, Any]], *, mocked: bool) -> str:
    """Return means side by side, differences with intervals, and each task's checks."""
    lines = []
    if mocked:
        lines += [
            "MOCKED: a scripted model answered; no number below is a model's.",
            "",
        ]
    for found in results:
        good = [run for run in found["runs"] if not run["failed"]]
        lines.append(f"{found['client']}, {found['model']}: {len(good)} runs judged, "
                     f"{len(found['runs']) - len(good)} failed")  # fmt: skip
        lines.append(f"  {'':<22}{'with':>9}{'without':>9}  difference (95 %)")
        for key, told in MEASURES.items():
            by = {v: [r[key] for r in good if r["variant"] == v] for v in VARIANTS}
            sides = [mean(by[variant])[0] for variant in VARIANTS]
            middle, low, high = mean(differences(good, key))
            null = "  null" if low <= 0 <= high else ""
            lines.append(
                f"  {told:<22}{sides[0]:>9.2f}{sides[1]:>9.2f}"
                f"  {middle:+.2f} ({low:+.2f} to {high:+.2f}){null}"
            )
        used = [run["loaded"] for run in good if run["variant"] == "with"]
        lines.append(f"  skill loaded in {sum(used)} of {len(used)} runs that had it")
        for task in dict.fromkeys(run["task"] for run in good):
            shares = [
                [r["checks"] for r in good if (r["task"], r["variant"]) == (task, v)]
                for v in VARIANTS
            ]
            told = "  ".join(f"{mean(share)[0]:>7.2f}" for share in shares)
            lines.append(f"  {task:<22}{told}  checks")
        lines += [f"  failed: {r['failed']}" for r in found["runs"] if r["failed"]][:3]
    return "\n".join(lines)


def differences(runs: list[dict[str, Any]], key: str) -> list[float]:
    """Return with minus without for each pair: the n-th runs of a task, both ways."""
    found = []
    for task in dict.fromkeys(run["task"] for run in runs):
        sides = [
            [r[key] for r in runs if (r["task"], r["variant"]) == (task, variant)]
            for variant in VARIANTS
        ]
        found += [a - b for a, b in zip(*sides, strict=False)]
    return found


def evals_json() -> str:
    """Return the tasks in the format of evals/evals.json.

    `expectations` and `assertions` hold the same: tools read one or the other.
    """
    entries = []
    for number, (name, task) in enumerate(TASKS.items(), 1):
        checks = list(task.checks)
        entries.append(
            {
                "id": number,
                "name": name,
                "prompt": task.prompt,
                "expected_output": (
                    "A project for which every expectation holds; the grader is "
                    f"evals/agents/tasks/{name}.py, the start tree comes from "
                    f"`python -m evals.agents.run --lay-down {name} DIRECTORY`"
                ),
                "files": [],
                "expectations": checks,
                "assertions": checks,
            }
        )
    found = {"skill_name": NAME, "evals": entries}
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
