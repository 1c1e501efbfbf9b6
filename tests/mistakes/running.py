"""Send each mistake to a real server as a client does, and check whether the answer leads right.

The mistakes are data: one TOML file for each subject. A call is written as the tool's name and the JSON that is sent.

    [[mistake]]
    id = "city_in_english"
    meant = "Customers in Shanghai."
    sends = 'preview_definition {"qp": {…}}'
    right = { suggests_only = ["上海"], followed = { users = 3 } }

`before` is what was done before (calls, or `load 2026-07-18`: the same data a few days later); `files` are put into the
imports folder; `project = "named"` is the shop with display names; `then` is a later call with its own `right`. The keys of
`right` are those of `CHECKS`, `either` (a list of which one has to hold) and `followed` (about the answer to the same call with
every suggestion put in its place). An answer has to succeed unless `code` or `refused` says otherwise. `schema TOOL` in place
of a call is what a client shows the model of a tool: some mistakes can only be prevented there.
"""

import io
import json
import re
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client
from mcp.shared.exceptions import MCPError

from mcp_server import cli
from mcp_server.app import build
from mcp_server.settings import Settings
from tests.answers import error_data
from tests.people import says_yes

HERE = Path(__file__).parent
TODAY = "2026-07-15"
LANGUAGES = ("en", "zh")
READING = ("describe_data", "validate_definition", "preview_definition", "list_clusters")
"""Mistakes with these tools, and nothing before or after, share one server."""

Right = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """How many of the mistakes lead right."""

    right: int
    total: int

    def __str__(self) -> str:
        return f"{self.right} of {self.total} lead right"


BEFORE = Figure(166, 303)
"""When the list was written, before anything was changed for it."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """What a model or a client sends, what was meant by it, and what a good answer is."""

    id: str
    subject: str
    meant: str
    sends: str
    right: Right
    before: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    project: str = "shop"
    then: tuple[Mapping[str, Any], ...] = ()

    @property
    def reads(self) -> bool:
        """Whether it leaves the workspace as it was."""
        return self.sends.split()[0] in READING and not (self.before or self.files or self.then)


@dataclass(frozen=True, slots=True)
class Answer:
    """All that a model gets to read, and the same as data."""

    failed: bool
    text: str
    data: Mapping[str, Any]

    @property
    def findings(self) -> list[Mapping[str, Any]]:
        """Problems and warnings."""
        return [*self.data.get("problems", ()), *self.data.get("warnings", ())]


def mistakes() -> list[Mistake]:
    """All of them, subject by subject. The strings of `[calls]` may be named in `before`."""
    listed = []
    for path in sorted(HERE.glob("*.toml")):
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        calls = content.get("calls", {})
        for row in content["mistake"]:
            before = tuple(calls.get(call, call) for call in row.pop("before", ()))
            listed.append(Mistake(subject=path.stem, before=before, then=tuple(row.pop("then", ())), **row))
    return listed


def expected_failures() -> list[str]:
    """The ids of the mistakes that do not yet lead right."""
    lines = (HERE / "expected_failures").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


class Shop:
    """The two projects, loaded once, and clients of servers that work on copies of them."""

    def __init__(self, root: Path, portal: BlockingPortal, stack: ExitStack) -> None:
        self._root = root
        self._portal = portal
        self._stack = stack
        self._shared: dict[tuple[str, str], Client] = {}
        _load(root / "shop", TODAY)
        _load(root / "named", TODAY, "--metadata", str(HERE / "shop" / "names.json"))

    def faults(self, mistake: Mistake, language: str) -> list[str]:
        """What is wrong with the answer; nothing where it leads right."""
        if mistake.reads:
            key = mistake.project, language
            if key not in self._shared:
                self._shared[key] = self._stack.enter_context(self._connected(self._copied(mistake.project), language))
            return self._portal.call(_faults, mistake, self._shared[key], None)
        workspace = self._copied(mistake.project)
        for name, content in mistake.files.items():
            (workspace / "imports" / name).write_text(content, encoding="utf-8", newline="")
        with self._connected(workspace, language) as client:
            return self._portal.call(_faults, mistake, client, workspace)

    def _copied(self, project: str) -> Path:
        workspace = shutil.copytree(self._root / project, Path(tempfile.mkdtemp(dir=self._root)) / "workspace")
        (workspace / "imports").mkdir(exist_ok=True)
        return workspace

    @contextmanager
    def _connected(self, workspace: Path, language: str) -> Iterator[Client]:
        app = build(Settings(workspace, language=language, threads=1))
        try:
            client = Client(app.server(), elicitation_callback=says_yes)
            with self._portal.wrap_async_context_manager(client):
                yield client
        finally:
            app.close()


@contextmanager
def opened(root: Path) -> Iterator[Shop]:
    """The shop, closed at the end."""
    with start_blocking_portal() as portal, ExitStack() as stack:
        yield Shop(root, portal, stack)


def _load(workspace: Path, today: str, *more: str) -> None:
    """Load the shop's files as the command does."""
    files = ("--users", str(HERE / "shop" / "users.jsonl"), "--events", str(HERE / "shop" / "events.jsonl"))
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        status = cli.main(["load", *files, "--as-of", today, "--workspace", str(workspace), *more])
    if status:
        raise AssertionError(output.getvalue())


async def _faults(mistake: Mistake, client: Client, workspace: Path | None) -> list[str]:
    """Do what comes before, send it, and send what follows."""
    for step in mistake.before:
        tool, _, today = step.partition(" ")
        if tool == "load":
            await anyio.to_thread.run_sync(_load, workspace, today)
        elif (answer := await _answer(client, *_call(step))).failed:
            return [f"before: {step}\n{answer.text}"]
    faults = await _sent(client, mistake.sends, mistake.right)
    for later in mistake.then:
        faults += await _sent(client, later["sends"], later["right"])
    return faults


async def _sent(client: Client, call: str, right: Right) -> list[str]:
    """Send a call; what is wrong with its answer."""
    tool, arguments = _call(call)
    return await _compared(client, tool, arguments, await _answer(client, tool, arguments), right)


async def _compared(client: Client, tool: str, arguments: Any, answer: Answer, right: Right) -> list[str]:
    """Compare an answer with what is right, `either` and `followed` included."""
    if "either" in right:
        ways = [await _compared(client, tool, arguments, answer, way) for way in right["either"]]
        return [] if [] in ways else [fault for way in ways for fault in way]
    faults = checked(answer, {key: value for key, value in right.items() if key != "followed"})
    if "followed" in right:
        try:
            again = with_suggestions(arguments, answer.findings)
        except (LookupError, TypeError, ValueError):
            return [*faults, f"a path leads to nothing in the arguments\n{answer.text}"]
        if again == arguments:
            return [*faults, f"there is no suggestion to follow\n{answer.text}"]
        followed = await _answer(client, tool, again)
        faults += [f"followed: {fault}" for fault in checked(followed, right["followed"])]
    return faults


async def _listed(client: Client, name: str) -> Answer:
    """What a client shows the model of a tool."""
    listed = await client.list_tools()
    tool = next(tool for tool in listed.tools if tool.name == name)
    text = f"{tool.description}\n{json.dumps(tool.input_schema, ensure_ascii=False)}"
    return Answer(failed=False, text=text, data={})


def _call(written: str) -> tuple[str, Any]:
    tool, _, arguments = written.partition(" ")
    if tool == "schema":
        return tool, arguments
    return tool, json.loads(arguments) if arguments else None


async def _answer(client: Client, tool: str, arguments: Any) -> Answer:
    if tool == "schema":
        return await _listed(client, arguments)
    try:
        result = await client.call_tool(tool, arguments)
    except MCPError as error:
        return Answer(failed=True, text=str(error), data={})
    text = "\n".join(block.text for block in result.content if hasattr(block, "text"))
    data = error_data(result) if result.is_error else result.structured_content or {}
    return Answer(bool(result.is_error), text, data)


def with_suggestions(arguments: Any, findings: Sequence[Mapping[str, Any]]) -> Any:
    """The arguments with what is at each finding's path replaced by its suggestion; LookupError and the like for a wrong path."""
    changed = deepcopy(arguments)
    for finding in findings:
        steps = [step.replace("~1", "/").replace("~0", "~") for step in finding["path"].split("/")[1:]]
        if not finding.get("suggestion") or not steps:
            continue
        place = changed
        for step in steps[:-1]:
            place = place[int(step) if isinstance(place, list) else step]
        last = int(steps[-1]) if isinstance(place, list) else steps[-1]
        if finding["code"] in ("key_unknown", "argument_unknown"):
            place[finding["suggestion"]] = place.pop(last)
            continue
        try:
            value = json.loads(finding["suggestion"])
        except json.JSONDecodeError:
            value = finding["suggestion"]
        place[last] = finding["suggestion"] if isinstance(value, int | float) else value
    return changed


def checked(answer: Answer, right: Right) -> list[str]:
    """What is wrong with an answer, in words, with the answer itself."""
    rows: list[str] = []
    if answer.failed and not right.keys() & {"code", "refused"}:
        rows.append("it failed")
    for key, wanted in right.items():
        if not CHECKS[key](answer, wanted):
            rows.append(f"{key} = {json.dumps(wanted, ensure_ascii=False)}")
    return [f"{'; '.join(rows)}\n{answer.text}"] if rows else []


def _says(answer: Answer, pattern: str) -> bool:
    return re.search(pattern, answer.text, re.IGNORECASE | re.ASCII) is not None


def _counts(answer: Answer, pattern: str, number: int) -> bool:
    """Whether the number is beside the words, in one line."""
    beside, figure = r"[^\n\d]{0,40}", rf"(?<!\d){number}(?!\d)"
    return _says(answer, f"(?:{pattern}){beside}{figure}|{figure}{beside}(?:{pattern})")


def _value(data: Any, path: str) -> Any:
    """The value at a dotted path; None where there is none."""
    for step in path.split("."):
        if isinstance(data, list):
            data = data[int(step)] if int(step) < len(data) else None
        else:
            data = data.get(step) if isinstance(data, Mapping) else None
    return data


def _users(answer: Answer, wanted: int) -> bool:
    return bool(answer.data.get("users_num", _value(answer.data, "cluster.users_num")) == wanted)


def _codes(answer: Answer, kind: str) -> list[str]:
    return [row["code"] for row in answer.data.get(kind, ())]


def _suggestions(answer: Answer) -> list[str]:
    return [row["suggestion"] for row in answer.findings if row.get("suggestion")]


def _funnel(answer: Answer, wanted: Sequence[int]) -> bool:
    return [row["left"] for row in answer.data.get("funnel", ())] == list(wanted)


CHECKS: Mapping[str, Callable[[Answer, Any], bool]] = {
    # outcome
    "code": lambda answer, wanted: answer.failed and answer.data.get("code") == wanted,
    "refused": lambda answer, wanted: answer.failed is wanted,
    "users": _users,
    "has": lambda answer, wanted: all(_value(answer.data, path) == value for path, value in wanted.items()),
    "funnel": _funnel,
    # what is found wrong or odd, by its code
    "problems": lambda answer, wanted: set(wanted) <= set(_codes(answer, "problems")),
    "warns": lambda answer, wanted: set(wanted) <= set(_codes(answer, "warnings")),
    "warns_not": lambda answer, wanted: not set(wanted) & set(_codes(answer, "warnings")),
    # suggestions: each of these is given; none but these is given
    "suggests": lambda answer, wanted: all(any(word in given for given in _suggestions(answer)) for word in wanted),
    "suggests_only": lambda answer, wanted: set(_suggestions(answer)) <= set(wanted),
    # words, as patterns that may hold both languages; letter case does not count
    "says": lambda answer, wanted: all(_says(answer, pattern) for pattern in wanted),
    "counts": lambda answer, wanted: all(_counts(answer, pattern, number) for pattern, number in wanted.items()),
    "says_not": lambda answer, wanted: not any(_says(answer, pattern) for pattern in wanted),
    # what was changed in the reading: the ends of the paths
    "repairs": lambda answer, wanted: all(
        any(row["path"].endswith(end) for row in answer.data.get("repairs", ())) for end in wanted
    ),
    "repairs_not": lambda answer, wanted: (
        not any(row["path"].endswith(end) for row in answer.data.get("repairs", ()) for end in wanted)
    ),
}
