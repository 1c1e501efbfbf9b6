"""The demo: the whole job on the bundled data, by a real MCP client that talks to a server in a process of its own.

Its workspace is a folder below the given one. Another run loads the data again and replaces its own cluster and tag;
anything else in that workspace is kept, exported files too.
"""

import os
import sys
import time
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import anyio
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters

from mcp_server.demo import script
from mcp_server.demo.script import Conversation, Halted, asked_in_sight
from mcp_server.settings import Settings
from mcp_server.store.workspace import explained
from mcp_server.terminal import Bar, Screen
from mcp_server.text import Text, listed, same

PATIENCE = 60.0
"""Seconds that the client waits for an answer. Answers take milliseconds here."""
DATA = Path(__file__).parent
MARK = "made-by-fenqun-demo.txt"
"""The file that marks the demo's own folder."""

_MARK_TEXT = Text(
    "This workspace belongs to `fenqun demo`: each run loads its data anew and makes {made} anew.",
    "此工作区属于 `fenqun demo`：每次运行都会重新载入数据，并重建 {made}。",
)
_LOADED = Text("{rows} events of {users} users, in {seconds} s", "{users} 名用户的 {rows} 条事件，用时 {seconds} 秒")
_NO_ANSWER = Text("The server did not answer: {why}.", "服务没有应答：{why}。")


def run(settings: Settings) -> int:
    """Run the script; return 0 where all of it succeeded, else 1. FenqunError where the data cannot be loaded."""
    settings = replace(settings, workspace=_home(settings.workspace))
    screen = Screen(settings.language)
    screen.title(script.TITLE)
    screen.say(script.ABOUT)
    screen.blank()
    try:
        _load(settings, screen)
        anyio.run(_converse, settings, screen)
    except (Halted, BaseExceptionGroup) as error:
        return _failed(_alone(error), settings)
    return 0


def _alone(error: BaseException) -> BaseException:
    """The one error inside the groups that task groups make of it."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _failed(error: BaseException, settings: Settings) -> int:
    """Print on stderr why the demo ended early. Raise what is not about the server."""
    if isinstance(error, MCPError):
        error = Halted(_NO_ANSWER.format(why=error.message))
    if not isinstance(error, Halted):
        raise error
    sys.stdout.flush()
    sys.stderr.write(error.words.say(settings.language) + "\n")
    return 1


def _home(workspace: Path) -> Path:
    """The demo's folder: the first of demo, demo_2, … that is new, empty, or carries the demo's mark."""
    with explained(workspace):
        workspace.mkdir(mode=0o700, parents=True, exist_ok=True)
        home = next(
            folder
            for folder in (workspace / (f"demo_{n}" if n > 1 else "demo") for n in count(1))
            if (folder / MARK).is_file() or not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
        )
        home.mkdir(mode=0o700, exist_ok=True)
        mark = _MARK_TEXT.format(made=listed(script.MADE))
        (home / MARK).write_text(f"{mark.en}\n{mark.zh}\n", encoding="utf-8")
    return home


def _load(settings: Settings, screen: Screen) -> None:
    from mcp_server.platforms.local.loading import load

    screen.fact(Text("Data", "数据"), script.DATA_SET)
    screen.fact(Text("Workspace", "工作区"), same(settings.workspace))
    start = time.monotonic()
    with Bar(settings.language) as bar:
        report = load(
            settings.workspace,
            settings.project_id,
            events=str(DATA / "events.parquet"),
            users=str(DATA / "users.parquet"),
            columns={},
            as_of=script.AS_OF,
            metadata=str(DATA / "metadata.json"),
            memory_limit=settings.memory_limit,
            on_progress=bar.show,
        )
    seconds = f"{time.monotonic() - start:.1f}"
    screen.bar(100, _LOADED.format(rows=f"{report.rows:,}", users=f"{report.users:,}", seconds=seconds))


async def _converse(settings: Settings, screen: Screen) -> None:
    options = ["--workspace", str(settings.workspace), "--project", settings.project_id]
    options += ["--language", settings.language]
    # The workspace is the demo's own: there is nothing in it that FENQUN_READ_ONLY would protect.
    environment = {name: value for name, value in os.environ.items() if name != "FENQUN_READ_ONLY"}
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "mcp_server", "serve", *options], env=environment
    )
    # The server asks before it removes what the last run left; the person of the demo says yes.
    asked = partial(asked_in_sight, screen)
    async with Client(server, read_timeout_seconds=PATIENCE, elicitation_callback=asked) as client:
        await script.play(Conversation(client, settings, screen))
