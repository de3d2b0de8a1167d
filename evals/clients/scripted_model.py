"""A model that does what a script says, behind the three protocols clients speak.

It stands in for Anthropic, OpenAI and Gemini endpoints, so that real clients run end
to end without an account. It says nothing about what a model would choose.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = (1000, 50)  # tokens in and out of each answer, so that sums can be checked


@dataclass(frozen=True)
class Asked:
    """One request, whatever its protocol: all text in it, and what may be called."""

    text: str
    tools: tuple[str, ...]
    results: int  # how many results of tools it holds: how far the script has got


@dataclass(frozen=True)
class Call:
    """What the model does: the first of `tools` that the client offers."""

    tools: tuple[str, ...]
    arguments: dict[str, Any]


Script = Callable[[Asked], Call | str]


@dataclass
class ScriptedModel:
    """Where the model listens, and every request that it got."""

    script: Script
    port: int = 0
    asked: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, asked: Asked) -> tuple[str, dict[str, Any]] | str:
        """Return a tool and its arguments, or what is said last."""
        self.asked.append(asked)
        # Clients ask on the side, for a title say, and offer no tools then.
        wanted = self.script(asked) if asked.tools else "a title"
        if isinstance(wanted, str):
            return wanted
        for tool in wanted.tools:
            if tool in asked.tools:
                return tool, wanted.arguments
        return f"none of {wanted.tools} is among {asked.tools}"


@contextmanager
def scripted(script: Script) -> Iterator[ScriptedModel]:
    """Serve the model on a loopback port while the block runs."""
    model = ScriptedModel(script)

    class Handler(Protocols):
        answer = staticmethod(model.answer)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    model.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield model
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Protocols(BaseHTTPRequestHandler):
    """Reads a request of any of the protocols, and answers in it."""

    protocol_version = "HTTP/1.1"
    answer: Callable[[Asked], tuple[str, dict[str, Any]] | str]

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: the report is on stdout."""

    def do_GET(self) -> None:
        self.send({"data": [], "models": []})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            body = json.loads(raw)
        except ValueError:
            self.send({})
            return
        path = self.path.partition("?")[0]
        if path.endswith("/count_tokens"):
            self.send({"input_tokens": USAGE[0]})
        elif path.endswith("/messages"):
            self.speak_anthropic(body)
        elif path.endswith("/responses"):
            self.speak_responses(body)
        elif path.endswith("/chat/completions"):
            self.speak_chat(body)
        elif "generatecontent" in path.casefold():
            self.speak_gemini(body, stream="stream" in path)
        else:
            self.send({})

    def send(self, body: dict[str, Any]) -> None:
        self.write(json.dumps(body).encode(), "application/json")

    def events(self, events: list[tuple[str, dict[str, Any]]]) -> None:
        """Send server-sent events; a name of "" sends the data alone."""
        lines = [
            (f"event: {name}\n" if name else "") + f"data: {json.dumps(data)}\n\n"
            for name, data in events
        ]
        self.write("".join(lines).encode(), "text/event-stream")

    def write(self, data: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def speak_anthropic(self, body: dict[str, Any]) -> None:
        tools = tuple(tool["name"] for tool in body.get("tools") or [])
        got = self.answer(Asked(*all_text(body), tools, count(body, "tool_result")))
        stop = "end_turn"
        if isinstance(got, str):
            block: dict[str, Any] = {"type": "text", "text": got}
            start, delta = {"type": "text", "text": ""}, {"type": "text_delta"}
            delta["text"] = got
        else:
            stop = "tool_use"
            call = {"type": "tool_use", "id": f"toolu_{count(body, 'tool_result')}"}
            block = call | {"name": got[0], "input": got[1]}
            start = block | {"input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(got[1])}
        usage = {"input_tokens": USAGE[0], "output_tokens": USAGE[1]}
        message = {
            "id": "msg", "type": "message", "role": "assistant",
            "model": body.get("model"), "content": [block], "stop_reason": stop,
            "stop_sequence": None, "usage": usage,
        }  # fmt: skip
        if not body.get("stream"):
            self.send(message)
            return
        begun = message | {"content": [], "stop_reason": None}
        stopped = {"stop_reason": stop, "stop_sequence": None}
        parts: list[tuple[str, dict[str, Any]]] = [
            ("message_start", {"message": begun}),
            ("content_block_start", {"index": 0, "content_block": start}),
            ("content_block_delta", {"index": 0, "delta": delta}),
            ("content_block_stop", {"index": 0}),
            ("message_delta", {"delta": stopped, "usage": usage}),
            ("message_stop", {}),
        ]
        self.events([(name, {"type": name} | data) for name, data in parts])

    def speak_responses(self, body: dict[str, Any]) -> None:
        tools = tuple(tool.get("name", "") for tool in body.get("tools") or [])
        done = count(body, "function_call_output")
        got = self.answer(Asked(*all_text(body), tools, done))
        if isinstance(got, str):
            said = [{"type": "output_text", "text": got}]
            item: dict[str, Any] = {"type": "message", "role": "assistant"}
            item |= {"id": "m", "content": said}
        else:
            item = {"type": "function_call", "call_id": f"call_{done}"}
            item |= {"name": got[0], "arguments": json.dumps(got[1])}
        usage = {
            "input_tokens": USAGE[0], "output_tokens": USAGE[1],
            "total_tokens": sum(USAGE),
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        }  # fmt: skip
        parts: list[tuple[str, dict[str, Any]]] = [
            ("response.created", {"response": {"id": "r"}}),
            ("response.output_item.done", {"output_index": 0, "item": item}),
            ("response.completed", {"response": {"id": "r", "usage": usage}}),
        ]
        self.events([(name, {"type": name} | data) for name, data in parts])

    def speak_chat(self, body: dict[str, Any]) -> None:
        tools = tuple(tool["function"]["name"] for tool in body.get("tools") or [])
        done = sum(m.get("role") == "tool" for m in body["messages"])
        got = self.answer(Asked(*all_text(body), tools, done))
        message: dict[str, Any] = {"role": "assistant"}
        if isinstance(got, str):
            message["content"] = got
        else:
            function = {"name": got[0], "arguments": json.dumps(got[1])}
            call = {"index": 0, "id": f"call_{done}", "type": "function"}
            message["tool_calls"] = [call | {"function": function}]
        reason = "stop" if isinstance(got, str) else "tool_calls"
        usage = {"prompt_tokens": USAGE[0], "completion_tokens": USAGE[1]}
        usage["total_tokens"] = sum(USAGE)
        base = {"id": "c", "created": 1, "model": body.get("model")}
        if not body.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": reason}
            self.send(base | {"object": "chat.completion", "choices": [choice]}
                      | {"usage": usage})  # fmt: skip
            return
        base["object"] = "chat.completion.chunk"
        first = {"index": 0, "delta": message, "finish_reason": None}
        last = {"index": 0, "delta": {}, "finish_reason": reason}
        self.events([
            ("", base | {"choices": [first]}),
            ("", base | {"choices": [last], "usage": usage}),
        ])  # fmt: skip

    def speak_gemini(self, body: dict[str, Any], *, stream: bool) -> None:
        declared = [
            function["name"]
            for tool in body.get("tools") or []
            for function in tool.get("functionDeclarations", [])
        ]
        done = count(body, "functionResponse")
        got = self.answer(Asked(*all_text(body), tuple(declared), done))
        part: dict[str, Any] = {"text": got}
        if not isinstance(got, str):
            part = {"functionCall": {"name": got[0], "args": got[1], "id": f"f{done}"}}
        answer = {
            "candidates": [
                {
                    "content": {"role": "model", "parts": [part]},
                    "finishReason": "STOP",
                    "index": 0,
                }
            ],
            "usageMetadata": {
                "promptTokenCount": USAGE[0],
                "candidatesTokenCount": USAGE[1],
                "totalTokenCount": sum(USAGE),
            },
            "modelVersion": "scripted",
        }
        if stream:
            self.events([("", answer)])
        else:
            self.send(answer)


def all_text(body: dict[str, Any]) -> tuple[str]:
    """Return every string in the request, tools left out, joined."""
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, list):
            for item in value:
                walk(item)
        elif isinstance(value, dict):
            for item in value.values():
                walk(item)

    walk({key: value for key, value in body.items() if key != "tools"})
    return ("\n".join(found),)


def count(value: Any, kind: str) -> int:
    """Count the blocks of a kind: `{"type": kind}`, or the key itself in Gemini's."""
    if isinstance(value, list):
        return sum(count(item, kind) for item in value)
    if isinstance(value, dict):
        here = value.get("type") == kind or (kind in value)
        return int(here) + sum(count(item, kind) for item in value.values())
    return 0
