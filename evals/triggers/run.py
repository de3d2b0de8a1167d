"""Ask real clients whether they load the skill: precision, recall, cost and time.

    python -m evals.triggers.run --client claude --client codex --model MODEL
    python -m evals.triggers.run --endpoint http://localhost:8000 --client openai-api
    python -m evals.triggers.run --scripted          the runner itself, without a model

Each query goes to the client in print mode in a fresh home and project, in which the
lean tree is installed, `--runs` times. A run counts as loaded if the skill was loaded
at any point. The client `openai-api` or `anthropic-api` is no client but an endpoint
that is given the skills' names and descriptions, and a tool that loads one.

A real run needs the client's key in the environment (ANTHROPIC_API_KEY,
OPENAI_API_KEY, GEMINI_API_KEY) and costs money: 187 queries, three times, is 561 runs
of an agent. It runs the commands that the model wishes, so do it in a container.
--sample asks fewer. --others puts other skills beside ours, as real machines have them.

Recall is the mean over the queries that must load of the share of their runs that did,
precision the share of loading runs that had to; the intervals are Wilson's, and count
queries, not runs, because runs of one query are alike.

Exit codes: 0 measured; 2 wrong usage; 3 a client does not list the skill, or no run
of it could be judged.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evals.clients import client as clients
from evals.clients.client import Trace
from evals.clients.interval import share
from evals.clients.sandbox import NAME, PACKAGES, Sandbox, Tools, lean_tree
from evals.clients.scripted_model import Asked, Call, scripted
from evals.triggers.ranking import Query, others, queries

APIS = ("openai-api", "anthropic-api")
PLACES = (".claude/skills", ".agents/skills")
SYSTEM = (
    "You are a coding agent in a developer's repository. These skills are installed. "
    "If one fits the task, load it by the tool `skill` before anything else; its text "
    "names pages, which the tool `read` opens. Without a fitting skill, just answer."
)
TOOLS = {
    "skill": ("Load a skill by its name.", "name"),
    "read": ("Read a file of a skill by its path.", "path"),
}


class NotListed(Exception):
    """The skill is not where the client looks, so that no rate means anything."""


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        chosen = sample(args.sample)
        if args.scripted:
            model = stack.enter_context(scripted(stand_in(chosen)))
            args.endpoint, args.model = model.url, "scripted"
        try:
            results = [measure(name, chosen, directory, args) for name in args.client]
        except NotListed as error:
            print(error, file=sys.stderr)
            return 3
    report = {"mocked": args.scripted, "runs": args.runs, "clients": results}
    if args.report:
        text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
        args.report.write_text(text, encoding="utf-8", newline="\n")
    print(table(results, mocked=args.scripted))
    judged = all(result["runs_judged"] for result in results)
    return 0 if judged else 3


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--client", action="append", choices=[*PACKAGES, *APIS], help="repeat for more"
    )
    parser.add_argument("--model", default="", help="the client's own name of it")
    parser.add_argument("--runs", type=int, default=3, help="of each query")
    parser.add_argument("--sample", type=int, default=0, help="ask so many queries")
    parser.add_argument("--others", type=int, default=0, help="skills beside ours")
    parser.add_argument("--endpoint", default="", help="ask this URL, not the vendor's")
    parser.add_argument("--scripted", action="store_true", help="a stand-in model")
    parser.add_argument("--limit", type=float, default=300, help="seconds for a run")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--tools", type=Path, help="keep the npm packages here")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write JSON too")
    args = parser.parse_args(argv)
    if not args.client:
        if not args.scripted:
            parser.error("name a --client, or ask for --scripted")
        args.client = list(PACKAGES)
    if set(args.client) & set(APIS) and not (args.endpoint or args.scripted):
        parser.error("an API needs --endpoint, the URL before /v1")
    return args


def sample(number: int) -> list[Query]:
    """Return `number` queries, fitting ones and others in turn; 0 means all."""
    found = queries()
    if not number:
        return found
    draw = random.Random(0)
    fitting = draw.sample([q for q in found if q.should_load], (number + 1) // 2)
    other = draw.sample([q for q in found if not q.should_load], number // 2)
    return [*fitting, *other]


def stand_in(chosen: list[Query]) -> Callable[[Asked], Call | str]:
    """A model that errs on purpose: what the report must say is known.

    It loads the skill for each fitting query but every fifth, and for every tenth of
    the others; then it opens the page that the query names first.
    """
    fitting = [query for query in chosen if query.should_load]
    other = [query for query in chosen if not query.should_load]
    errs = {q.query for q in fitting[4::5]} | {q.query for q in other[9::10]}

    def script(asked: Asked) -> Call | str:
        told = " ".join(asked.text.split())
        for query in sorted(chosen, key=lambda q: -len(q.query)):
            if " ".join(query.query.split()) in told:
                break
        else:
            return "I do not know this query"
        if query.should_load == (query.query in errs):
            return "Done without a skill"
        skill = f".agents/skills/{NAME}"
        page = f"{skill}/references/{(query.pages or ('engine',))[0]}.md"
        if asked.results == 0:
            tools = ("Skill", "skill", "activate_skill", "exec_command", "shell")
            arguments = {"skill": NAME, "name": NAME, "cmd": f"cat {skill}/SKILL.md"}
        elif asked.results == 1:
            tools = ("Bash", "bash", "run_shell_command", "exec_command", "read")
            shown = f"cat {page}"
            arguments = {"command": shown, "cmd": shown, "path": page}
            arguments["description"] = "Read the page"
        else:
            return "Done"
        return Call(tools, only_known(asked, tools, arguments))

    return script


def only_known(
    asked: Asked, tools: tuple[str, ...], arguments: dict[str, str]
) -> dict[str, str]:
    """Return the arguments that the first offered of `tools` takes."""
    takes = {
        "Skill": {"skill"}, "skill": {"name"}, "activate_skill": {"name"},
        "exec_command": {"cmd"}, "read": {"path"},
    }  # fmt: skip
    offered = next((tool for tool in tools if tool in asked.tools), "")
    known = takes.get(offered, {"command", "description"})
    return {key: value for key, value in arguments.items() if key in known}


def measure(
    name: str, chosen: list[Query], directory: Path, args: argparse.Namespace
) -> dict[str, Any]:
    """Ask one client every query, and return what the report says of it."""
    if name in APIS:
        ask = api(name, directory, args)
        tools = None
    else:
        tools = Tools.install(args.tools or directory / "tools", [name, "codex"])
        ask = print_mode(name, tools, directory, args)
    began = time.monotonic()
    asked = [(query, run) for query in chosen for run in range(args.runs)]
    with ThreadPoolExecutor(args.jobs) as pool:
        traces = list(pool.map(lambda pair: ask(*pair), asked))
    rows = [(query, trace) for (query, _), trace in zip(asked, traces, strict=True)]
    return summary(rows) | {
        "client": name,
        "version": version(name, tools) if tools else "",
        "model": args.model or "the client's default",
        "minutes": round((time.monotonic() - began) / 60, 2),
        "traces": [
            asdict(trace)
            | {
                "query": query.query,
                "should_load": query.should_load,
                "pages": sorted(trace.pages),
            }
            for query, trace in rows
        ],
    }


def version(name: str, tools: Tools) -> str:
    package = tools.path / "node_modules" / PACKAGES[name] / "package.json"
    found: str = json.loads(package.read_text(encoding="utf-8"))["version"]
    return found


def install(project: Path, lean: Path, number: int) -> None:
    """Put the lean tree, and `number` other skills, where the clients look."""
    for place in PLACES:
        shutil.copytree(lean, project / place / NAME)
        for name, told in beside(number).items():
            path = project / place / name / "SKILL.md"
            path.parent.mkdir(parents=True)
            head = f"---\nname: {name}\ndescription: >-\n  {told}\n---\n\n"
            path.write_text(f"{head}# {name}\n\n{told}\n", encoding="utf-8")


def beside(number: int) -> dict[str, str]:
    found = others()
    return {name: found[name] for name in random.Random(0).sample([*found], number)}


def print_mode(
    name: str, tools: Tools, directory: Path, args: argparse.Namespace
) -> Callable[[Query, int], Trace]:
    lean = lean_tree(directory / f"lean-{name}")
    keys = {key: os.environ[key] for key in clients.KEYS[name] if key in os.environ}

    def fresh(label: str) -> Sandbox:
        box = Sandbox.make(tools, directory / label)
        box.env |= keys
        install(box.project, lean, args.others)
        return box

    first = fresh(f"{name}-first")
    if not clients.lists(first, name):
        raise NotListed(f"{name} does not list the skill in {first.project}")
    numbers = {query: number for number, query in enumerate(queries())}

    def ask(query: Query, run: int) -> Trace:
        box = fresh(f"{name}-{numbers[query]}-{run}")
        try:
            return clients.ask(
                box, name, query.query,
                model=args.model, endpoint=args.endpoint, limit=args.limit,
            )  # fmt: skip
        finally:
            shutil.rmtree(box.home.parent, ignore_errors=True)

    return ask


def api(
    name: str, directory: Path, args: argparse.Namespace
) -> Callable[[Query, int], Trace]:
    """An endpoint without a client: it sees the list, loads a skill, opens a page."""
    lean = lean_tree(directory / f"lean-{name}")
    skill = (lean / "SKILL.md").read_text(encoding="utf-8")
    told = " ".join(skill.split("description: >-\n")[1].split("\nlicense:")[0].split())
    listed = sorted((beside(args.others) | {NAME: told}).items())
    system = "\n".join([SYSTEM, *(f"- {name}: {told}" for name, told in listed)])
    send = {"openai-api": openai, "anthropic-api": anthropic}[name]

    def ask(query: Query, run: int) -> Trace:
        trace, began = Trace(), time.monotonic()
        history: list[dict[str, Any]] = [{"role": "user", "content": query.query}]
        try:
            for _ in range(6):
                called = send(args, system, history, trace)
                if called is None:
                    break
                tool, arguments, answer = called
                trace.used(tool, arguments)
                path = str(arguments.get("path", "")).partition(f"{NAME}/")[2]
                page = (lean / path).resolve()
                inside = page.is_relative_to(lean) and page.is_file()
                if tool == "skill":
                    answer(skill if arguments.get("name") == NAME else "Loaded.")
                else:
                    answer(page.read_text("utf-8") if inside else "no such file")
        except (OSError, ValueError, KeyError) as error:
            trace.failed = f"{type(error).__name__}: {error}"
        trace.seconds = time.monotonic() - began
        return trace

    return ask


Called = tuple[str, dict[str, Any], Callable[[str], None]] | None


def openai(
    args: argparse.Namespace, system: str, history: list[dict[str, Any]], trace: Trace
) -> Called:
    offered = [
        {"type": "function", "function": {
            "name": name, "description": told, "parameters": schema(argument)}}
        for name, (told, argument) in TOOLS.items()
    ]  # fmt: skip
    got = post(
        f"{args.endpoint}/v1/chat/completions",
        {"authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', 'none')}"},
        {
            "model": args.model,
            "messages": [{"role": "system", "content": system}, *history],
            "tools": offered,
        },
        args.limit,
    )
    trace.tokens_in += got["usage"]["prompt_tokens"]
    trace.tokens_out += got["usage"]["completion_tokens"]
    message = got["choices"][0]["message"]
    calls = message.get("tool_calls")
    if not calls:
        return None
    history.append(message | {"tool_calls": calls[:1]})
    call = calls[0]

    def answer(text: str) -> None:
        history.append({"role": "tool", "tool_call_id": call["id"], "content": text})

    function = call["function"]
    return function["name"], json.loads(function["arguments"]), answer


def anthropic(
    args: argparse.Namespace, system: str, history: list[dict[str, Any]], trace: Trace
) -> Called:
    offered = [
        {"name": name, "description": told, "input_schema": schema(argument)}
        for name, (told, argument) in TOOLS.items()
    ]
    got = post(
        f"{args.endpoint}/v1/messages",
        {
            "x-api-key": os.environ.get("ANTHROPIC_API_KEY", "none"),
            "anthropic-version": "2023-06-01",
        },
        {
            "model": args.model,
            "max_tokens": 1000,
            "system": system,
            "messages": history,
            "tools": offered,
        },
        args.limit,
    )
    trace.tokens_in += got["usage"]["input_tokens"]
    trace.tokens_out += got["usage"]["output_tokens"]
    calls = [block for block in got["content"] if block["type"] == "tool_use"]
    if not calls:
        return None
    call = calls[0]
    history.append({"role": "assistant", "content": [call]})

    def answer(text: str) -> None:
        block = {"type": "tool_result", "tool_use_id": call["id"], "content": text}
        history.append({"role": "user", "content": [block]})

    return call["name"], call["input"], answer


def schema(argument: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {argument: {"type": "string"}},
        "required": [argument],
    }


def post(
    url: str, headers: dict[str, str], body: dict[str, Any], limit: float
) -> dict[str, Any]:
    """Send JSON, return JSON; an error of the endpoint says what it answered."""
    request = urllib.request.Request(
        url,
        json.dumps(body).encode(),
        {"content-type": "application/json", **headers},
    )
    try:
        with urllib.request.urlopen(request, timeout=limit) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        said = error.read().decode("utf-8", "replace")[:300]
        raise ValueError(f"{url} answered {error.code}: {said}") from error


def summary(rows: list[tuple[Query, Trace]]) -> dict[str, Any]:
    """Return rates with intervals, and sums; failed runs are counted apart."""
    judged = [(query, trace) for query, trace in rows if not trace.failed]
    per: dict[Query, list[bool]] = {}
    for query, trace in judged:
        per.setdefault(query, []).append(trace.fired)
    fitting = [sum(f) / len(f) for query, f in per.items() if query.should_load]
    loaded = [(query, trace) for query, trace in judged if trace.fired]
    right = [(query, trace) for query, trace in loaded if query.should_load]
    distinct = len({query for query, _ in loaded})
    precise = len(right) / len(loaded) if loaded else 0.0
    to_page = [bool(trace.pages & set(query.pages)) for query, trace in right]
    costs = [trace.cost for _, trace in judged if trace.cost is not None]
    return {
        "queries": len(per),
        "runs_judged": len(judged),
        "runs_failed": len(rows) - len(judged),
        "first_failure": next((t.failed for _, t in rows if t.failed), ""),
        "recall": share(sum(fitting), len(fitting)),
        "precision": share(precise * distinct, distinct),
        "right_page": share(sum(to_page), len(to_page)),
        "tokens_in": sum(trace.tokens_in for _, trace in judged),
        "tokens_out": sum(trace.tokens_out for _, trace in judged),
        "dollars": round(sum(costs), 4) if costs else None,
        "seconds_a_run": round(
            sum(trace.seconds for _, trace in judged) / max(1, len(judged)), 1
        ),
    }


def table(results: list[dict[str, Any]], *, mocked: bool) -> str:
    lines = []
    if mocked:
        lines += ["MOCKED: a scripted model answered; no rate below is a model's.", ""]
    lines.append(
        f"{'client':<22}{'model':<12}{'runs':>6}{'failed':>7}  {'recall':<19}"
        f"{'precision':<19}{'right page':<19}{'tokens':>9}{'dollars':>9}{'s/run':>7}"
    )
    for found in results:
        rates = [
            f"{rate:.2f} ({low:.2f}-{high:.2f})"
            for rate, low, high in (
                found["recall"], found["precision"], found["right_page"],
            )
        ]  # fmt: skip
        dollars = "-" if found["dollars"] is None else f"{found['dollars']:.2f}"
        lines.append(
            f"{found['client'] + ' ' + found['version']:<22}{found['model'][:11]:<12}"
            f"{found['runs_judged']:>6}{found['runs_failed']:>7}  "
            + "".join(f"{rate:<19}" for rate in rates)
            + f"{found['tokens_in'] + found['tokens_out']:>9}{dollars:>9}"
            f"{found['seconds_a_run']:>7}"
        )
        if found["first_failure"]:
            lines.append(f"  failed: {found['first_failure']}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
