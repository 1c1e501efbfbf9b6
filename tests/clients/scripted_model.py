"""A model that follows a script, served on loopback in the wire formats of four vendors.

Frameworks are driven through their real model classes, pointed at this server, so that what is measured is what a
model would be sent and what a framework makes of its answer: the definitions of tools after every conversion, and
the results as they reach the model's context. The model calls the tools of the script one after another, whatever
they answer. Its arguments keep to the definition that it was sent where a real model is held to that: with OpenAI's
`strict`, which also refuses definitions that break its rules and makes the model fill in every property, and with
Gemini's declarations, which hold the model to the properties that they name.
"""

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Data = dict[str, Any]

MODEL = "scripted"
LAST_WORDS = "The script is done."


@dataclass
class Step:
    """What a model does in one step of the script, and what came of it."""

    step: str
    tool: str
    arguments: Data
    resource_of: str = ""
    """It reads the file that this step exported, with the framework's own tool for that, if it has one."""
    sent: Data | None = None
    """The arguments as the model could write them. None: the step was not reached, or the tool is missing."""
    unnamed: list[str] = field(default_factory=list)
    """Places in the arguments that the definition that the model was sent does not name."""
    filled: list[str] = field(default_factory=list)
    """Places that a strict definition made the model fill in, with the value."""
    result: str | None = None
    """What the model reads of the tool's answer. None: no answer reached it."""


@dataclass
class Request:
    """A request for the model's next turn, in no vendor's format."""

    tools: dict[str, "Definition"]
    results: dict[str, str]
    """Answers of tools by the id of their call; where a format has no ids, the last one is under ""."""
    stream: bool
    length: int
    goes_on: bool = False
    """It continues a conversation that the vendor keeps, so it does not repeat the tools."""


@dataclass
class Definition:
    """A tool as the model is sent it."""

    name: str
    description: str
    schema: Data
    strict: bool = False
    held: bool = False
    """The model writes nothing that the schema does not name."""


class Refused(Exception):
    """The model's vendor would refuse the request."""


class ScriptedModel:
    """One run of the script; `turn` is asked by the server's threads."""

    def __init__(self, steps: list[Step], plausible: Data) -> None:
        """`plausible`: what a sensible model writes for a property that it must fill in, where no default is said."""
        self.steps = steps
        self._plausible = plausible
        self.definitions: dict[str, Definition] = {}
        self.refusals: list[str] = []
        self.longest = 0
        """Characters of the longest request."""
        self.finished = False
        self.turns = 0
        self._at = -1
        self._lock = threading.Lock()

    def turn(self, request: Request) -> tuple[str, str, Data] | None:
        """The next call: its id, the tool's name on the wire, the arguments. None: there is nothing more to do."""
        with self._lock:
            self.longest = max(self.longest, request.length)
            self.turns += 1
            tools = request.tools or (self.definitions if request.goes_on else {})
            if not tools:
                return None
            self.definitions = self.definitions or tools
            self._keep_result(request.results)
            while True:
                self._at += 1
                if self._at >= len(self.steps):
                    self.finished = True
                    return None
                step = self.steps[self._at]
                definition = named(tools, step.tool)
                if step.resource_of:
                    step.arguments = self._address(step.resource_of)
                if definition is not None and (step.arguments or not step.resource_of):
                    break
            step.unnamed = list(unnamed(step.arguments, definition.schema))
            step.sent = step.arguments
            if definition.strict or definition.held:
                step.sent = Writer(definition, self._plausible).write(step)
            return f"call_{self._at}", definition.name, step.sent

    def _keep_result(self, results: dict[str, str]) -> None:
        if 0 <= self._at < len(self.steps):
            result = results.get(f"call_{self._at}", results.get(""))
            if result is not None:
                self.steps[self._at].result = result

    def _address(self, step: str) -> Data:
        """Where the exported file can be read, from what the model was answered."""
        answer = next(done.result for done in self.steps if done.step == step)
        names = re.findall(r"[\w.-]+\.csv", answer or "")
        return {"uri": f"fenqun://exports/{names[-1]}"} if names else {}

    def refuse(self, why: str) -> None:
        with self._lock:
            self.refusals.append(why)


def named(tools: dict[str, Definition], tool: str) -> Definition | None:
    """The tool of this name; frameworks put a prefix before it."""
    fitting = [name for name in tools if re.search(rf"(^|[^a-zA-Z]){tool}$", name)]
    return tools[min(fitting, key=len)] if fitting else None


class _Schema:
    """A JSON Schema, read as far as definitions of tools need it. Gemini writes types in capitals."""

    def __init__(self, schema: Data, root: Data) -> None:
        self.root = root
        options = schema.get("anyOf") or schema.get("any_of") or []
        self.nullable = bool(schema.get("nullable"))
        self.enum = schema.get("enum")
        if "$ref" in schema:
            target: Any = root
            for part in schema["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
        if options:
            kept = [option for option in options if str(option.get("type")).lower() != "null"]
            self.nullable = self.nullable or len(kept) < len(options)
            schema = {**schema, **kept[0]} if kept else schema
        if len(schema.get("allOf", ())) == 1:
            schema = {**schema, **schema["allOf"][0]}
        kinds = schema.get("type")
        kinds = [str(kind).lower() for kind in (kinds if isinstance(kinds, list) else [kinds] if kinds else [])]
        self.nullable = self.nullable or "null" in kinds
        self.kind = next((kind for kind in kinds if kind != "null"), "")
        self.enum = schema.get("enum", self.enum)
        self.data = schema

    @property
    def properties(self) -> Data:
        return dict(self.data.get("properties") or {})

    def of(self, name: str) -> "_Schema":
        return _Schema(self.properties[name], self.root)

    @property
    def items(self) -> "_Schema | None":
        items = self.data.get("items")
        return _Schema(items, self.root) if isinstance(items, dict) else None

    @property
    def open(self) -> bool:
        """It says nothing of what may stand there."""
        return not self.kind and not self.properties


def unnamed(arguments: Any, schema: Data) -> Iterator[str]:
    """Places in the arguments whose names the schema does not say."""
    yield from _unnamed(arguments, _Schema(schema, schema), "")


def _unnamed(value: Any, schema: _Schema | None, place: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if schema is None or name not in schema.properties:
                yield f"{place}/{name}"
            else:
                yield from _unnamed(inner, schema.of(name), f"{place}/{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _unnamed(inner, schema.items if schema else None, f"{place}/{index}")


class Writer:
    """Write arguments within a definition: what it does not name is left out; if it is strict, every property is there."""

    def __init__(self, definition: Definition, plausible: Data) -> None:
        self._definition = definition
        self._plausible = plausible

    def write(self, step: Step) -> Data:
        self._step = step
        schema = self._definition.schema
        return dict(self._value(step.arguments, _Schema(schema, schema), ""))

    def _value(self, value: Any, schema: _Schema, place: str) -> Any:
        if schema.open:
            return value
        if isinstance(value, dict):
            kept = {
                name: self._value(inner, schema.of(name), f"{place}/{name}")
                for name, inner in value.items()
                if name in schema.properties
            }
            return kept | (self._missing(kept, schema, place) if self._definition.strict else {})
        if isinstance(value, list) and schema.items is not None:
            items = schema.items
            return [self._value(inner, items, f"{place}/{index}") for index, inner in enumerate(value)]
        return value

    def _missing(self, kept: Data, schema: _Schema, place: str) -> Data:
        added = {name: self._nothing(name, schema.of(name)) for name in schema.properties if name not in kept}
        self._step.filled += [f"{place}/{name} = {json.dumps(value)}" for name, value in added.items()]
        return added

    def _nothing(self, name: str, schema: _Schema) -> Any:
        """What a careful model writes for a property that it has nothing to say of."""
        if schema.nullable:
            return None
        if "default" in schema.data or name in self._plausible:
            return schema.data.get("default", self._plausible.get(name))
        if schema.enum:
            return next((word for word in ("", "SIMPLE") if word in schema.enum), schema.enum[0])
        if schema.kind == "object":
            return {inner: self._nothing(inner, schema.of(inner)) for inner in schema.properties}
        return {"string": "", "array": [], "boolean": False, "integer": 0, "number": 0}.get(schema.kind)


def strict_problems(schema: Data, place: str = "") -> Iterator[str]:
    """What OpenAI refuses in a strict definition: open objects, and properties that are not required."""
    kinds = schema.get("type")
    if kinds == "object" or (isinstance(kinds, list) and "object" in kinds):
        if schema.get("additionalProperties") is not False:
            yield f"{place or '/'}: 'additionalProperties' is required to be supplied and to be false"
        if set(schema.get("required", ())) != set(schema.get("properties", ())):
            yield f"{place or '/'}: 'required' is required to be an array including every key in properties"
    if kinds == "array" and "items" not in schema:
        yield f"{place or '/'}: array schema missing items"
    for name, inner in {**schema.get("properties", {}), **schema.get("$defs", {})}.items():
        yield from strict_problems(inner, f"{place}/{name}")
    for inner in [schema.get("items"), *schema.get("anyOf", ())]:
        if inner:
            yield from strict_problems(inner, f"{place}/-")


def _refuse_strict(tools: dict[str, Definition]) -> None:
    for definition in tools.values():
        for problem in strict_problems(definition.schema) if definition.strict else ():
            raise Refused(f"Invalid schema for function '{definition.name}': In context={problem}.")


def _text(content: Any) -> str:
    """The words in a result's content: text, or blocks of it."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(_text(block) for block in content)
    if isinstance(content, dict) and isinstance(content.get("text"), str):
        return str(content["text"])
    if isinstance(content, dict) and "content" in content:
        return _text(content["content"])
    return json.dumps(content, ensure_ascii=False)


class ChatCompletions:
    """OpenAI's chat completions, which most frameworks and vendors speak."""

    path = "/chat/completions"

    def read(self, body: Data, length: int) -> Request:
        tools = {}
        for tool in body.get("tools") or ():
            function = tool["function"]
            tools[function["name"]] = Definition(
                function["name"],
                function.get("description") or "",
                function.get("parameters") or {},
                strict=bool(function.get("strict")),
            )
        _refuse_strict(tools)
        # Qwen-Agent names the call by `id`.
        results = {
            message.get("tool_call_id") or message.get("id", ""): _text(message.get("content"))
            for message in body["messages"]
            if message["role"] == "tool"
        }
        return Request(tools, results, bool(body.get("stream")), length)

    def write(self, call: tuple[str, str, Data] | None, turn: int) -> Data:
        message: Data = {"role": "assistant", "content": None if call else LAST_WORDS}
        if call:
            function = {"name": call[1], "arguments": json.dumps(call[2], ensure_ascii=False)}
            message["tool_calls"] = [{"id": call[0], "type": "function", "function": function}]
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if call else "stop", "logprobs": None}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        head = {"id": f"chatcmpl-{turn}", "created": 1, "model": MODEL}
        return {**head, "object": "chat.completion", "choices": [choice], "usage": usage}

    def stream(self, call: tuple[str, str, Data] | None, turn: int) -> Iterator[str]:
        whole = self.write(call, turn)
        choice = whole["choices"][0]
        delta = dict(choice["message"])
        if call:
            delta["tool_calls"] = [{"index": 0, **delta["tool_calls"][0]}]
        for part, reason in ((delta, None), ({}, choice["finish_reason"])):
            chunk = {**whole, "object": "chat.completion.chunk"}
            chunk["choices"] = [{"index": 0, "delta": part, "finish_reason": reason, "logprobs": None}]
            yield f"data: {json.dumps(chunk)}\n\n"
        yield "data: [DONE]\n\n"


class Responses:
    """OpenAI's responses."""

    path = "/responses"

    def read(self, body: Data, length: int) -> Request:
        tools = {
            tool["name"]: Definition(
                tool["name"],
                tool.get("description") or "",
                tool.get("parameters") or {},
                strict=bool(tool.get("strict")),
            )
            for tool in body.get("tools") or ()
            if tool.get("type") == "function"
        }
        _refuse_strict(tools)
        items = body["input"] if isinstance(body["input"], list) else []
        results = {
            item["call_id"]: _text(item["output"]) for item in items if item.get("type") == "function_call_output"
        }
        return Request(tools, results, bool(body.get("stream")), length)

    def write(self, call: tuple[str, str, Data] | None, turn: int) -> Data:
        item: Data = {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": LAST_WORDS, "annotations": []}],
        }
        if call:
            arguments = json.dumps(call[2], ensure_ascii=False)
            item = {"type": "function_call", "id": f"fc_{call[0]}", "call_id": call[0], "name": call[1]}
            item |= {"arguments": arguments, "status": "completed"}
        usage = {
            "input_tokens": 1,
            "output_tokens": 1,
            "total_tokens": 2,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        }
        return {
            "id": f"resp_{turn}",
            "object": "response",
            "created_at": 1,
            "status": "completed",
            "model": MODEL,
            "output": [item],
            "parallel_tool_calls": False,
            "tool_choice": "auto",
            "tools": [],
            "usage": usage,
        }


class Messages:
    """Anthropic's messages."""

    path = "/messages"

    def read(self, body: Data, length: int) -> Request:
        tools = {
            tool["name"]: Definition(tool["name"], tool.get("description") or "", tool["input_schema"])
            for tool in body.get("tools") or ()
        }
        results = {
            block["tool_use_id"]: _text(block.get("content"))
            for message in body["messages"]
            if isinstance(message["content"], list)
            for block in message["content"]
            if block.get("type") == "tool_result"
        }
        goes_on = (body.get("thread") or {}).get("type") == "continue"
        return Request(tools, results, bool(body.get("stream")), length, goes_on)

    def write(self, call: tuple[str, str, Data] | None, turn: int) -> Data:
        block: Data = {"type": "text", "text": LAST_WORDS}
        if call:
            block = {"type": "tool_use", "id": call[0], "name": call[1], "input": call[2]}
        return {
            "id": f"msg_{turn}",
            "type": "message",
            "role": "assistant",
            "model": MODEL,
            "content": [block],
            "stop_reason": "tool_use" if call else "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }


class GenerateContent:
    """Gemini's generateContent."""

    path = ":generateContent"

    def read(self, body: Data, length: int) -> Request:
        tools = {}
        for tool in body.get("tools") or ():
            for declared in tool.get("functionDeclarations") or ():
                schema = declared.get("parameters") or declared.get("parametersJsonSchema") or {}
                tools[declared["name"]] = Definition(
                    declared["name"], declared.get("description") or "", schema, held=True
                )
        parts = [part for content in body["contents"] for part in content.get("parts") or ()]
        answers = [part["functionResponse"]["response"] for part in parts if "functionResponse" in part]
        results = {"": _text(answers[-1])} if answers else {}
        return Request(tools, results, False, length)

    def write(self, call: tuple[str, str, Data] | None, turn: int) -> Data:
        part: Data = {"text": LAST_WORDS}
        if call:
            part = {"functionCall": {"id": call[0], "name": call[1], "args": call[2]}}
        content = {"role": "model", "parts": [part]}
        usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
        candidate = {"content": content, "finishReason": "STOP", "index": 0}
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": MODEL, "responseId": str(turn)}


_FORMATS = (ChatCompletions(), Responses(), Messages(), GenerateContent())


class ModelServer:
    """Serves a scripted model on a free port of this machine; a context manager."""

    def __init__(self, model: ScriptedModel) -> None:
        class Handler(_Handler):
            pass

        Handler.model = model
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def url(self) -> str:
        """Without a version: clients of OpenAI's kind add /v1, the others do so by themselves."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "ModelServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    model: ScriptedModel
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.partition("?")[0]
        form = next((form for form in _FORMATS if path.endswith(form.path)), None)
        if form is None:
            return self._answer(404, {"error": {"message": f"The scripted model has nothing at {path}."}})
        try:
            request = form.read(json.loads(raw), len(raw.decode()))
            if not request.stream:
                return self._answer(200, form.write(self.model.turn(request), self.model.turns))
            if isinstance(form, ChatCompletions):
                return self._stream(form.stream(self.model.turn(request), self.model.turns))
            problem = f"the scripted model does not stream at {path}"
        except (Refused, KeyError, TypeError) as refused:
            problem = f"{type(refused).__name__}: {refused}"
        self.model.refuse(problem)
        return self._answer(400, {"error": {"message": problem, "type": "invalid_request_error"}})

    def _answer(self, status: int, data: Data) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, parts: Iterator[str]) -> None:
        body = "".join(parts).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing; the runs are recorded by what the model saw."""
