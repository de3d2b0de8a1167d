"""How each client is asked in print mode, and what its events tell.

A run is a full one: an agent that looks around before it loads a skill has loaded it
all the same. Events differ from client to client; a `Trace` does not.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from dataclasses import dataclass, field
from typing import Any

from evals.clients.sandbox import NAME, Sandbox

SHELLS = {"Bash", "bash", "run_shell_command", "command_execution"}
LOADERS = {"Skill", "skill", "activate_skill"}
KEYS = {
    "claude": ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
    "codex": ("OPENAI_API_KEY", "CODEX_API_KEY"),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL"),
    "opencode": ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENCODE_CONFIG_CONTENT"),
}
CLAUDE_TOOLS = "Skill,Read,Write,Edit,Glob,Grep,Bash"


@dataclass
class Trace:
    """What one run of a client did."""

    fired: bool = False  # the skill was loaded, at any point of the run
    pages: set[str] = field(default_factory=set)  # of the skill's, by their names
    commands: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = None  # US dollars, where the client tells
    seconds: float = 0.0
    failed: str = ""  # why there is no run to judge

    def used(self, tool: str, arguments: dict[str, Any]) -> None:
        told = json.dumps(arguments)
        named = str(arguments.get("skill") or arguments.get("name") or "")
        if tool in LOADERS and named.rpartition(":")[2] == NAME:
            self.fired = True
        if re.search(rf"{NAME}/SKILL\.md", told):
            self.fired = True
        self.pages |= set(re.findall(r"references/([\w-]+)\.md", told))
        self.commands += tool in SHELLS


def arguments(
    client: str, model: str, endpoint: str
) -> tuple[list[str], dict[str, str]]:
    """Return the client's command, and its environment if `endpoint` is not its own."""
    env: dict[str, str] = {}
    if client == "claude":
        words = ["claude", "-p", "--output-format", "stream-json", "--verbose"]
        words += ["--setting-sources", "project", "--strict-mcp-config"]
        words += ["--allowedTools", CLAUDE_TOOLS, "--no-session-persistence"]
        if endpoint:
            env = {"ANTHROPIC_BASE_URL": endpoint, "ANTHROPIC_API_KEY": "none"}
    elif client == "codex":
        words = ["codex", "exec", "--json", "--ephemeral", "--skip-git-repo-check"]
        words += ["-s", "workspace-write"]
        if endpoint:
            own = "model_providers.own"
            words += ["-c", 'model_provider="own"', "-c", f'{own}.name="own"']
            words += ["-c", f'{own}.base_url="{endpoint}/v1"']
            words += ["-c", f'{own}.env_key="OWN_KEY"']
            words += ["-c", f'{own}.wire_api="responses"']
            env = {"OWN_KEY": "none"}
    elif client == "gemini":
        # In another mode of approval Gemini does not offer skills to the model.
        words = ["gemini", "-o", "stream-json", "--skip-trust"]
        words += ["--approval-mode", "yolo"]
        if endpoint:
            env = {"GOOGLE_GEMINI_BASE_URL": endpoint, "GEMINI_API_KEY": "none"}
    elif client == "opencode":
        words = ["opencode", "run", "--format", "json", "--agent", "build"]
        if endpoint:
            options = {"baseURL": f"{endpoint}/v1", "apiKey": "none"}
            provider = {"npm": "@ai-sdk/openai-compatible", "options": options}
            provider["models"] = {model: {}}
            config = {"provider": {"own": provider}}
            env = {"OPENCODE_CONFIG_CONTENT": json.dumps(config)}
            model = f"own/{model}"
    else:
        raise ValueError(f"{client} is not among {', '.join(KEYS)}")
    return [*words, *(["--model", model] if model else [])], env


def ask(
    box: Sandbox, client: str, prompt: str, *, model: str, endpoint: str, limit: float
) -> Trace:
    """Give `prompt` to the client in the sandbox's project; return what it did.

    After `limit` seconds it is ended, and what it did until then counts.
    """
    words, env = arguments(client, model, endpoint)
    box.env |= env
    began = time.monotonic()
    try:
        done = box.start(*words, timeout=limit, stdin=prompt)
        out, failed = done.stdout, ""
        if done.returncode:
            failed = f"exit code {done.returncode}: {done.stderr.strip()[-300:]}"
    except subprocess.TimeoutExpired as late:
        raw = late.stdout or b""
        out = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
        failed = ""
    trace = read(client, out)
    trace.seconds = time.monotonic() - began
    if not out.strip():
        trace.failed = failed or f"{client} said nothing in {limit} s"
    elif failed and not trace.tokens_in:
        trace.failed = failed
    return trace


def read(client: str, out: str) -> Trace:
    """Read a client's events, one JSON object on a line."""
    trace = Trace()
    for line in out.splitlines():
        if not line.startswith("{"):
            continue
        try:
            event = json.loads(line)
        except ValueError:
            continue  # cut where the client was ended
        READERS[client](event, trace)
    return trace


def read_claude(event: dict[str, Any], trace: Trace) -> None:
    if event["type"] == "assistant":
        for block in event["message"]["content"]:
            if block["type"] == "tool_use":
                trace.used(block["name"], block["input"])
        usage = event["message"]["usage"]
        if not trace.cost:
            trace.tokens_in += usage["input_tokens"]
            trace.tokens_out += usage["output_tokens"]
    elif event["type"] == "result":
        usage = event["usage"]
        trace.cost = event["total_cost_usd"]
        trace.tokens_in = (
            usage["input_tokens"]
            + usage["cache_creation_input_tokens"]
            + usage["cache_read_input_tokens"]
        )
        trace.tokens_out = usage["output_tokens"]


def read_codex(event: dict[str, Any], trace: Trace) -> None:
    if event["type"] == "item.completed":
        if event["item"]["type"] == "command_execution":
            command = {"command": event["item"]["command"]}
            trace.used("command_execution", command)
    elif event["type"] == "turn.completed":
        trace.tokens_in += event["usage"]["input_tokens"]
        trace.tokens_out += event["usage"]["output_tokens"]


def read_gemini(event: dict[str, Any], trace: Trace) -> None:
    if event["type"] == "tool_use":
        trace.used(event["tool_name"], event["parameters"])
    elif event["type"] == "result":
        trace.tokens_in = event["stats"]["input_tokens"]
        trace.tokens_out = event["stats"]["output_tokens"]


def read_opencode(event: dict[str, Any], trace: Trace) -> None:
    part = event.get("part", {})
    if event["type"] == "tool_use":
        trace.used(part["tool"], part["state"]["input"])
    elif event["type"] == "step_finish":
        trace.tokens_in += part["tokens"]["input"] + part["tokens"]["cache"]["read"]
        trace.tokens_out += part["tokens"]["output"]
        trace.cost = (trace.cost or 0.0) + part["cost"]


READERS = {
    "claude": read_claude,
    "codex": read_codex,
    "gemini": read_gemini,
    "opencode": read_opencode,
}


def lists(box: Sandbox, client: str) -> bool:
    """Say whether the client offers the skill in the sandbox's project."""
    if client == "claude":
        return (box.project / f".claude/skills/{NAME}/SKILL.md").is_file()
    command = {
        "codex": ("codex", "debug", "prompt-input", "hello"),
        "gemini": ("gemini", "skills", "list"),
        "opencode": ("opencode", "debug", "skill"),
    }[client]
    done = box.start(*command)
    return NAME in done.stdout + done.stderr
