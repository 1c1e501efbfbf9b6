"""Run a client's driver against a real server, and judge what its model could see and do."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.clients.scripted_model import ModelServer, ScriptedModel, Step, unnamed

Data = dict[str, Any]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ENVIRONMENTS = ROOT / ".clients"
RESULTS = ENVIRONMENTS / "results"
SCENARIO: Data = json.loads((HERE / "scenario.json").read_text(encoding="utf-8"))
PATIENCE = 150.0
"""Seconds for one run of a driver."""
UNREACHED = "no answer reached the model"
QUIET = {
    "ANONYMIZED_TELEMETRY": "false",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "MASTRA_TELEMETRY_DISABLED": "1",
    "MCP_USE_ANONYMIZED_TELEMETRY": "false",
    "NO_COLOR": "1",
    "OTEL_SDK_DISABLED": "true",
}
"""Frameworks that report to their makers are asked not to; there is no network."""


@dataclass(frozen=True)
class Client:
    """A row of clients.json."""

    name: str
    title: str
    kind: str
    """python or node"""
    environment: str
    package: str
    driver: str
    title_zh: str = ""
    transports: tuple[str, ...] = ("stdio", "http")
    options: Data = field(default_factory=dict)
    slice: bool = False
    known: Data = field(default_factory=dict)
    """Steps that fail in this client for a reason of its own, and the reason."""

    @property
    def folder(self) -> Path:
        return ENVIRONMENTS / self.kind / self.environment

    @property
    def installed(self) -> bool:
        return (self.folder / ".installed").is_file()

    @property
    def version(self) -> str:
        """The version of its main package, from the lock."""
        if self.kind == "python":
            lock = (HERE / "python" / f"{self.environment}.txt").read_text(encoding="utf-8")
            found = re.search(rf"^{re.escape(self.package)}==([^\s;]+)", lock, re.MULTILINE)
            assert found, f"{self.package} is not in the lock of {self.environment}"
            return found[1]
        lock = (HERE / "node" / self.environment / "package-lock.json").read_text(encoding="utf-8")
        return str(json.loads(lock)["packages"][f"node_modules/{self.package}"]["version"])

    def command(self) -> list[str]:
        """The program that runs its driver."""
        if self.kind == "python":
            return [str(self.folder / "bin" / "python"), str(HERE / "drivers" / self.driver)]
        # A module finds its packages from where it is.
        drivers = self.folder / "drivers"
        drivers.mkdir(exist_ok=True)
        for name in ("driving.mjs", self.driver):
            shutil.copyfile(HERE / "drivers" / name, drivers / name)
        return [node(), str(drivers / self.driver)]


def clients() -> list[Client]:
    """All of clients.json; CLIENTS names some of them, `slice` the most telling."""
    rows = json.loads((HERE / "clients.json").read_text(encoding="utf-8"))
    every = [Client(**{**row, "transports": tuple(row.get("transports", ("stdio", "http")))}) for row in rows]
    wanted = os.environ.get("CLIENTS", "all")
    if wanted == "all":
        return every
    if wanted == "slice":
        return [client for client in every if client.slice]
    names = wanted.split(",")
    unknown = set(names) - {client.name for client in every}
    if unknown:
        raise SystemExit(f"CLIENTS names no client of clients.json: {', '.join(sorted(unknown))}")
    return [client for client in every if client.name in names]


def node() -> str:
    """A Node of at least 22.13, which Mastra 2 needs: the one among the packages, else the system's."""
    packaged = sorted((ENVIRONMENTS / "node" / "node" / "node_modules").glob("node-*/bin/node"))
    return str(packaged[0]) if packaged else "node"


def fenqun() -> list[str]:
    """The command under test."""
    return shlex.split(os.environ.get("FENQUN_COMMAND", str(ROOT / ".venv" / "bin" / "fenqun")))


def clean_environment() -> dict[str, str]:
    unwanted = re.compile(
        r"^(FENQUN_|OPENAI_|ANTHROPIC_|GEMINI_|GOOGLE_|LANGSMITH_|LANGCHAIN_|PYTHONDONTWRITE|VIRTUAL_ENV)"
    )
    return {name: value for name, value in os.environ.items() if not unwanted.match(name)}


def terminal(workspace: Path, *arguments: str) -> str:
    """Run a command of fenqun; what it says."""
    done = subprocess.run(
        [*fenqun(), *arguments, "--workspace", str(workspace)],
        capture_output=True,
        encoding="utf-8",
        env=clean_environment(),
        timeout=120,
    )
    assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
    return done.stdout


def load_demo_data(workspace: Path) -> None:
    """The data of `fenqun demo`, which are part of the package."""
    data = next(path.parent for path in sorted(ROOT.glob("mcp_server/**/events.parquet")))
    terminal(
        workspace,
        "load",
        *("--events", str(data / "events.parquet")),
        *("--users", str(data / "users.parquet")),
        *("--metadata", str(data / "metadata.json")),
        *("--as-of", "1998-07-01"),
    )


def exchange(workspace: Path, *messages: Data) -> dict[int, Data]:
    """Send messages to a server over stdio, all before the first answer is read; the answers by their id."""
    with subprocess.Popen(
        [*fenqun(), "serve", "--workspace", str(workspace)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env=clean_environment(),
    ) as server:
        assert server.stdin
        assert server.stdout
        server.stdin.write("".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in messages))
        server.stdin.flush()
        wanted = sum("id" in message for message in messages)
        answers = [json.loads(server.stdout.readline()) for _ in range(wanted)]
        server.stdin.close()
    return {answer["id"]: answer for answer in answers}


def tools_over_stdio(workspace: Path) -> dict[str, Data]:
    """The input schema of each tool as the server lists it, read without any client's library."""
    me = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}
    answers = exchange(
        workspace,
        {"id": 1, "method": "initialize", "params": me},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/list", "params": {}},
    )
    return {tool["name"]: tool["inputSchema"] for tool in answers[2]["result"]["tools"]}


@contextmanager
def served(workspace: Path, *options: str) -> Iterator[str]:
    """`fenqun serve --http` with static tokens; its address."""
    command = [*fenqun(), "serve", "--http", "--port", "0", "--auth", "token", "--workspace", str(workspace), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8", env=clean_environment()) as server:
        assert server.stderr
        said: list[str] = []
        for line in server.stderr:
            said.append(line)
            if found := re.search(r"http://\S+/mcp", line):
                break
        else:
            raise AssertionError(f"The server did not start: {''.join(said)}")
        # It has a line for each request, so somebody has to go on reading.
        rest = threading.Thread(target=server.stderr.read)
        rest.start()
        try:
            yield found[0]
        finally:
            server.terminate()
            rest.join(timeout=30)
            server.wait(timeout=30)


@dataclass
class StepOutcome:
    """What came of one step."""

    step: str
    problems: list[str]
    text: str | None
    lost: list[str]
    """Places in the arguments that the model was not sent the names of, could not write, or that did not arrive."""
    filled: list[str]
    """Places that a strict definition made the model fill in."""


@dataclass
class Outcome:
    """What came of one run: one client, one transport, one script."""

    client: str
    version: str
    transport: str
    script: str
    tools: int
    """Tools of the server that the model was offered."""
    error: str | None
    """What the framework raised to its caller."""
    problems: list[str]
    """Of the run as a whole."""
    steps: list[StepOutcome]
    nulls: list[str]
    """Nulls that reached the server, as places in the arguments; over stdio only."""
    followed: int
    """Resources that the client read by itself; over stdio only."""
    longest: int
    """Characters of the longest request to the model."""
    said: str
    """The end of what the driver wrote to its streams."""

    def fails(self, known: Collection[str] = ()) -> list[str]:
        """All problems, in words, but for those of the steps that are known to fail."""
        steps = [step for step in self.steps if step.step not in known]
        unreached = [step.step for step in steps if step.problems == [UNREACHED]]
        found = [f"{step.step}: {text}" for step in steps for text in step.problems if text != UNREACHED]
        found += [f"{step.step}: the definition lost {', '.join(step.lost)}" for step in steps if step.lost]
        return self.problems + found + ([f"{UNREACHED} for {', '.join(unreached)}"] if unreached else [])

    def save(self) -> None:
        RESULTS.mkdir(parents=True, exist_ok=True)
        path = RESULTS / f"{self.client}.{self.transport}.{self.script}.json"
        path.write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


@dataclass
class Server:
    """What runs are made against."""

    templates: dict[str, Path]
    """Workspaces with the demo's data, one for each script; each run gets a copy."""
    token: str
    """For HTTP; it opens each of them."""
    schemas: dict[str, Data]

    @classmethod
    def prepare(cls, folder: Path) -> "Server":
        whole, waiting = folder / "whole", folder / "waiting"
        load_demo_data(whole)
        token = terminal(whole, "token", "add", "clients", "--scope", "write", "--project", "1").strip()
        shutil.copytree(whole, waiting)
        made = SCENARIO["made_before_waiting"]
        terminal(waiting, "call", made["tool"], json.dumps(made["arguments"]))
        return cls({"whole": whole, "waiting": waiting}, token, tools_over_stdio(whole))


def run(client: Client, transport: str, script: str, server: Server, folder: Path) -> Outcome:
    """Run the script in a client; what came of it, which is also kept for the table."""
    workspace = folder / "workspace"
    shutil.copytree(server.templates[script], workspace)
    consent = "ask" if script == "waiting" else "never"
    steps = steps_of(script)
    model = ScriptedModel([_modelled(step) for step in steps], SCENARIO["plausible"])
    log = folder / "relay.log"
    serve = [*fenqun(), "serve", "--workspace", str(workspace), "--consent", consent]
    job: Data = {
        "transport": transport,
        "command": sys.executable,
        "args": [str(HERE / "relay.py"), str(log), *serve],
        "env": {name: value for name, value in clean_environment().items() if name in ("PATH", "HOME", "LANG")},
        "url": "",
        "headers": {},
        "prompt": SCENARIO["prompt"],
        "steps": steps,
        "options": client.options,
        "patience": PATIENCE,
        "report": str(folder / "report.json"),
    }
    with ExitStack() as stack:
        job["model"] = stack.enter_context(ModelServer(model)).url
        if transport == "http":
            job["url"] = stack.enter_context(served(workspace, "--consent", consent))
            job["headers"] = {"Authorization": f"Bearer {server.token}"}
        report = _drive(client, job, folder)
    outcome = _judge(client, transport, script, server, steps, report, model, log)
    outcome.said = (folder / "driver.log").read_text(encoding="utf-8", errors="replace")[-3000:]
    outcome.save()
    return outcome


def steps_of(script: str) -> list[Data]:
    """The steps of a script, with the arguments that some take over from others."""
    steps: list[Data] = [dict(step) for step in SCENARIO["scripts"][script]]
    by_name = {step["step"]: step for step in steps}
    for step in steps:
        if "arguments_of" in step:
            step["arguments"] = step.get("arguments", {}) | by_name[step["arguments_of"]]["arguments"]
    return steps


def _drive(client: Client, job: Data, folder: Path) -> Data:
    """Run the driver; its report."""
    path = folder / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    home = folder / "home"
    home.mkdir()
    command = [*client.command(), str(path)]
    with (folder / "driver.log").open("wb") as said:
        try:
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                cwd=home,
                env=clean_environment() | QUIET | {"HOME": str(home)},
                timeout=PATIENCE + 30,
            )
        except subprocess.TimeoutExpired:
            return {"tools": [], "steps": [], "error": f"no end within {PATIENCE + 30:.0f} s"}
    report = Path(job["report"])
    if not report.is_file():
        tail = (folder / "driver.log").read_text(encoding="utf-8", errors="replace")[-2000:]
        return {"tools": [], "steps": [], "error": f"no report; it said: {tail}"}
    return dict(json.loads(report.read_text(encoding="utf-8")))


def _judge(
    client: Client,
    transport: str,
    script: str,
    server: Server,
    steps: list[Data],
    report: Data,
    model: ScriptedModel,
    log: Path,
) -> Outcome:
    walked = {step["step"]: step for step in report["steps"]}
    modelled = {step.step: step for step in model.steps}
    messages = list(_messages(log))
    arrived = _arrived(messages, [_given(step, walked, modelled) for step in steps])
    outcomes = []
    for step, got in zip(steps, arrived, strict=True):
        by_client, by_model = walked.get(step["step"]), modelled[step["step"]]
        if "tool" not in step and by_client is None and by_model.sent is None:
            continue  # most frameworks have no way for a model to read a resource
        text = by_client["text"] if by_client else by_model.result
        raised = by_client["raised"] if by_client else None
        outcomes.append(
            StepOutcome(
                step=step["step"],
                problems=[f"it raised {raised}"] if raised else list(_differs(step, text)),
                text=_short(text),
                lost=sorted(_lost(step, by_model, got, server)),
                filled=by_model.filled,
            )
        )
    offered = report["tools"] or list(model.definitions)
    tools = [tool for tool in server.schemas if any(re.search(rf"(^|[^a-zA-Z]){tool}$", name) for name in offered)]
    problems = [f"the framework raised {report['error']}"] if report["error"] else []
    problems += [f"the model's vendor refuses: {refusal}" for refusal in dict.fromkeys(model.refusals)]
    if len(tools) < len(server.schemas):
        problems.append(f"{len(tools)} of {len(server.schemas)} tools")
    read_by_script = sum(
        "resource_of" in step and (step["step"] in walked or modelled[step["step"]].sent is not None) for step in steps
    )
    return Outcome(
        client=client.name,
        version=client.version,
        transport=transport,
        script=script,
        tools=len(tools),
        error=report["error"],
        problems=problems,
        steps=outcomes,
        nulls=sorted(set(_nulls(messages))),
        followed=max(0, sum(message.get("method") == "resources/read" for message in messages) - read_by_script),
        longest=model.longest,
        said="",
    )


def _modelled(step: Data) -> Step:
    """A step as the model takes it. What reads an export is one of the framework's own tools."""
    if "resource_of" in step:
        return Step(step["step"], "read_resource", {}, resource_of=step["resource_of"])
    return Step(step["step"], step["tool"], step["arguments"])


def _given(step: Data, walked: Data, modelled: dict[str, Step]) -> tuple[str, Data] | None:
    """What a step called, by a model or by a client without one."""
    if "tool" not in step:
        return None
    if step["step"] in walked:
        return step["tool"], step["arguments"]
    sent = modelled[step["step"]].sent
    return None if sent is None else (step["tool"], sent)


def _arrived(messages: list[Data], given: list[tuple[str, Data] | None]) -> list[Data | None]:
    """The arguments of each step as the server received them; None where that is not known."""
    calls = [message["params"] for message in messages if message.get("method") == "tools/call"]
    arrived: list[Data | None] = []
    for call in given:
        fits = call is not None and calls and calls[0]["name"] == call[0]
        arrived.append((calls.pop(0).get("arguments") or {}) if fits else None)
    return arrived


def _lost(step: Data, by_model: Step, arrived: Data | None, server: Server) -> set[str]:
    """What of the step's arguments the model could not write, or did not come through to the server."""
    if "tool" not in step:
        return set()
    open_anyway = set(unnamed(step["arguments"], server.schemas[step["tool"]]))
    lost = {place for place in by_model.unnamed if place not in open_anyway}
    if by_model.sent is not None:
        lost |= set(_missing(step["arguments"], by_model.sent, ""))
    if arrived is not None:
        lost |= set(_missing(step["arguments"], arrived, ""))
    return lost


def _missing(given: Any, received: Any, place: str) -> Iterator[str]:
    """Places in what was given that are not in what was received, or are something else there."""
    if isinstance(given, dict) and isinstance(received, dict):
        for name, inner in given.items():
            if name in received:
                yield from _missing(inner, received[name], f"{place}/{name}")
            else:
                yield f"{place}/{name}"
    elif isinstance(given, list) and isinstance(received, list) and len(given) == len(received):
        for index, (inner, other) in enumerate(zip(given, received, strict=True)):
            yield from _missing(inner, other, f"{place}/{index}")
    elif given != received:
        yield place


def _differs(step: Data, text: str | None) -> Iterator[str]:
    """How what the model reads differs from what it has to read."""
    if text is None:
        yield UNREACHED
        return
    plain = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    for wanted in step.get("reads", ()):
        if wanted not in plain:
            yield f"{wanted!r} is not in: {_short(text, 400)}"
    for unwanted in step.get("absent", ()):
        if unwanted in plain:
            yield f"{unwanted!r} is in: {_short(text, 400)}"
    if len(text) > step.get("at_most", len(text)):
        yield f"{len(text)} characters instead of at most {step['at_most']}"


def _short(text: str | None, length: int = 1500) -> str | None:
    return text if text is None or len(text) <= length else f"{text[:length]} … ({len(text)} characters)"


def _messages(log: Path) -> Iterator[Data]:
    """What the client sent over stdio."""
    if not log.is_file():
        return
    for line in log.read_text(encoding="utf-8").splitlines():
        side, _, message = line.partition(" ")
        if side == "client" and message.startswith("{"):
            yield json.loads(message)


def _nulls(messages: list[Data]) -> Iterator[str]:
    for message in messages:
        if message.get("method") == "tools/call":
            yield from _null_places(message["params"].get("arguments"), "")


def _null_places(value: Any, place: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if inner is None:
                yield f"{place}/{name}"
            yield from _null_places(inner, f"{place}/{name}")
    elif isinstance(value, list):
        for inner in value:
            yield from _null_places(inner, f"{place}/-")
