"""The talk of the demo, step by step: what the person says, which tool is called, and what it answers."""

import json
import shlex
import sys
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp_server.demo import story
from mcp_server.demo.screen import Screen, blocks
from mcp_server.demo.story import Data, Scene
from mcp_server.settings import Settings
from mcp_server.terminal import Bar
from mcp_server.text import Text, same

if TYPE_CHECKING:
    from mcp import Client

ROWS_SHOWN = 3
MOST_BARS = 6
"""Progress notifications that are drawn; the last one always is."""

_FAILED = Text("{tool} failed:", "{tool} 调用失败：")


class Halted(Exception):
    """The story cannot go on; the text says why."""

    def __init__(self, words: Text) -> None:
        super().__init__(words.en)
        self.words = words


class Talk:
    """The steps over one connection. Halted where a tool answers with an error."""

    def __init__(self, client: "Client", settings: Settings, screen: Screen) -> None:
        self._client = client
        self._settings = settings
        self._screen = screen
        self._steps = 0
        self._notified: list[tuple[float, str]] = []
        """The progress notifications of the last call."""

    async def tell(self) -> None:
        """The whole story."""
        await self._connect()
        await self._look()
        definition = await self._write()
        await self._size(definition)
        await self._create(definition)
        await self._refresh()
        await self._change(definition)
        exported = await self._hand_on()
        await self._end(exported)

    # -- steps -----------------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        """List the tools, and remove the cluster that the last run of the demo left."""
        self._heading(story.CONNECT)
        self._screen.call("tools/list", {})
        tools = (await self._client.list_tools()).tools
        server = self._client.server_info
        name = f"{server.name} {server.version}" if server else "–"
        self._screen.say(story.CONNECTED.format(server=name, protocol=self._client.protocol_version, n=len(tools)))
        self._screen.say(same(", ".join(tool.name for tool in tools)))
        found = await self._quietly("list_clusters", {"search": story.CLUSTER})
        if any(cluster["cluster_name"] == story.CLUSTER for cluster in found.get("clusters", ())):
            self._screen.say(story.AGAIN)
            self._answer(await self._ask("delete_cluster", {"cluster": story.CLUSTER}))

    async def _look(self) -> None:
        """Search the data with words of both languages."""
        self._scene(story.LOOK)
        mine, other = (words.say(self._settings.language) for words in story.WORDS)
        found = await self._ask("describe_data", {"search": mine, "limit": story.MOST_FOUND})
        self._answer(found)
        rows = [_event_row(row) for row in found.get("events", ())]
        rows += [_property_row(row) for row in found.get("properties", ())]
        self._screen.table(story.FOUND_HEAD, rows, wide=2)
        self._screen.say(story.OTHER_LANGUAGE)
        again = await self._ask("describe_data", {"search": other, "limit": story.MOST_FOUND})
        names = [r["event"] for r in again.get("events", ())] + [r["property"] for r in again.get("properties", ())]
        self._screen.say(same(again["message"]).then(same(", ".join(names))))

    async def _write(self) -> Data:
        """Check a draft, mend it by the suggestions, check again; the normalised definition."""
        self._scene(story.WRITE)
        self._screen.say(story.DRAFTED)
        for event in story.DRAFT["events"]:
            self._screen.item(same(json.dumps(event)))
        arguments: Data = {"qp": story.DRAFT}
        answer = await self._ask("validate_definition", arguments)
        self._answer(answer)
        for problem in answer.get("problems", ()):
            self._screen.item(same(f"{problem['path']}: {problem.get('got', '')} → {problem.get('suggestion', '')}"))
            self._screen.say(same(problem["message"]), indent=2)
        self._screen.say(story.MENDED)
        answer = await self._ask("validate_definition", story.mended(arguments, answer.get("problems", [])))
        self._answer(answer)
        if not answer["valid"]:
            raise Halted(same(answer["message"]))
        for repair in answer.get("repairs", ()):
            change = f"{repair['path']}: {repair['before']} → {repair['after']}"
            self._screen.item(Text("{change} ({why})", "{change}（{why}）").format(change=change, why=repair["reason"]))
        for language in sorted(answer["explanation"], key=lambda spoken: spoken != self._settings.language):
            for line in story.by_condition(answer["explanation"][language]):
                self._screen.item(same(line), mark="│ ")
        definition: Data = answer["definition"]
        return definition

    async def _size(self, definition: Data) -> None:
        """The size, the funnel, and a few of the users."""
        self._scene(story.SIZE)
        asked = {"sample": ROWS_SHOWN, "properties": story.PROPERTIES, "qp": definition}
        seen = await self._ask("preview_definition", asked)
        self._answer(seen)
        everybody, funnel = seen["all_users"], seen["funnel"]
        rows = [[story.EVERYBODY.say(self._settings.language), "", f"{everybody:,}", blocks(1)]]
        for row in funnel:
            drawn = blocks(row["left"] / max(everybody, 1))
            rows.append([row["condition"], f"{row['alone']:,}", f"{row['left']:,}", drawn])
        self._screen.table(story.FUNNEL_HEAD, rows)
        good, quiet = (row["left"] for row in funnel[-2:])
        share = f"{quiet / max(good, 1):.0%}"
        self._screen.say(story.QUIET.format(good=f"{good:,}", quiet=f"{quiet:,}", share=share))
        sample = seen.get("sample", ())
        if sample:
            self._screen.say(story.SOME)
            columns = list(dict.fromkeys(column for row in sample for column in row))
            self._screen.table([same(c) for c in columns], [[row.get(c, "") for c in columns] for row in sample])

    async def _create(self, definition: Data) -> None:
        """Create the cluster; and once more, which makes nothing twice."""
        self._scene(story.CREATE)
        arguments = {
            "cluster_type": story.CLUSTER_TYPE,
            "cluster_name": story.CLUSTER,
            "display_name": story.DISPLAY_NAME.say(self._settings.language),
            "qp": definition,
        }
        self._answer(await self._ask("create_cluster", arguments))
        self._screen.say(story.RETRIED)
        self._answer(await self._ask("create_cluster", arguments))

    async def _refresh(self) -> None:
        """Compute it again; every progress notification becomes a bar."""
        self._scene(story.REFRESH)
        answer = await self._ask("refresh_cluster", {"cluster": story.CLUSTER})
        for percent, words in [*self._notified[:-1][: MOST_BARS - 1], *self._notified[-1:]]:
            self._screen.bar(percent, same(words))
        self._answer(answer)

    async def _change(self, definition: Data) -> None:
        """What another definition would change; and that nothing has changed."""
        self._scene(story.CHANGE)
        longer = story.with_longer_silence(definition)
        answer = await self._ask("update_cluster", {"cluster": story.CLUSTER, "dry_run": True, "qp": longer})
        for change in answer.get("changes", ()):
            self._screen.item(same(change))
        self._answer(answer)
        self._screen.say(story.ONLY_TRIED)
        found = await self._ask("list_clusters", {"search": story.CLUSTER})
        columns = ("cluster_id", "cluster_name", "display_name", "users_num", "progress", "fresh")
        rows = [[_said(cluster.get(name, "")) for name in columns] for cluster in found.get("clusters", ())]
        self._screen.table([same(name) for name in columns], rows, wide=2)

    async def _hand_on(self) -> Data:
        """Export the users; the answer holds a path, and the first lines of that file are shown."""
        self._scene(story.HAND_ON)
        answer = await self._ask("export_users", {"cluster": story.CLUSTER, "properties": story.PROPERTIES})
        self._screen.say(story.EXPORTED.format(rows=f"{answer['rows']:,}", size=f"{answer['size_bytes']:,}"))
        self._screen.exactly(answer["path"])
        for line in _first_lines(Path(answer["path"])):
            self._screen.item(same(line), mark="│ ")
        return answer

    async def _end(self, exported: Data) -> None:
        """The size of the cluster, where everything is, and what to do next."""
        self._heading(story.END)
        cluster = (await self._ask("get_cluster", {"cluster": story.CLUSTER}))["cluster"]
        self._screen.say(
            story.SIZE_AT_END.format(
                users=f"{cluster['users_num']:,}", name=cluster["cluster_name"], id=cluster["cluster_id"]
            )
        )
        self._screen.fact(Text("Workspace", "工作区"), same(self._settings.workspace))
        self._screen.fact(Text("List", "名单"), same(exported["path"]))
        self._screen.blank()
        self._screen.say(story.DESKTOP)
        command, *options = _server_command(self._settings)
        for line in _desktop(command, options):
            self._screen.exactly(line)
        self._screen.say(story.TRY)
        self._screen.blank()
        self._screen.say(story.OWN_DATA)
        program = shlex.join(_program())
        self._screen.exactly(f"{program} load --events FILE --users FILE")
        self._screen.exactly(f"{program} call describe_data")

    # -- calling ---------------------------------------------------------------------------------------------

    async def _ask(self, tool: str, arguments: Mapping[str, Any]) -> Data:
        """Call a tool in sight of the reader; its structured content."""
        self._screen.call(tool, arguments)
        return await self._quietly(tool, arguments)

    async def _quietly(self, tool: str, arguments: Mapping[str, Any]) -> Data:
        self._notified = []
        with Bar(self._settings.language) as bar:

            async def show(progress: float, total: float | None, message: str | None) -> None:
                percent = 100 * progress / (total or 100)
                self._notified.append((percent, message or ""))
                bar.show(percent, same(message or ""))

            result = await self._client.call_tool(tool, dict(arguments), progress_callback=show)
        if result.is_error:
            said = [_FAILED.format(tool=tool), *(same(b.text) for b in result.content if b.type == "text")]
            raise Halted(Text("\n".join(t.en for t in said), "\n".join(t.zh for t in said)))
        return result.structured_content or {}

    # -- saying ----------------------------------------------------------------------------------------------

    def _scene(self, scene: Scene) -> None:
        self._heading(scene.heading)
        self._screen.person(scene.person)

    def _heading(self, heading: Text) -> None:
        self._steps += 1
        self._screen.step(self._steps, heading)

    def _answer(self, answer: Data) -> None:
        """The sentence in which a tool says what happened, in the language that the server speaks."""
        self._screen.say(same(answer["message"]))


def _event_row(row: Data) -> list[str]:
    days = f"{row['first'][:10]} – {row['last'][:10]}"
    return [row["event"], "event", row.get("display_name", ""), f"{row['count']:,} × {days}"]


def _property_row(row: Data) -> list[str]:
    low, high = row.get("low", ""), row.get("high", "")
    if row["type"] == "time":
        low, high = low[:10], high[:10]
    span = f"{low} – {high}" if low else ", ".join(row.get("values", ())[:ROWS_SHOWN])
    return [row["property"], f"{row['table']} {row['type']}", row.get("display_name", ""), span]


def _first_lines(path: Path) -> list[str]:
    with path.open(encoding="utf-8") as file:
        return [line.rstrip() for line in islice(file, 1 + ROWS_SHOWN)]


def _said(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _program() -> list[str]:
    """This installation's own command, with its absolute path."""
    beside = Path(sys.executable).with_name("fenqun.exe" if sys.platform == "win32" else "fenqun")
    return [str(beside)] if beside.is_file() else [sys.executable, "-m", "mcp_server"]


def _server_command(settings: Settings) -> list[str]:
    options = ["serve", "--workspace", str(settings.workspace)]
    options += ["--project", settings.project_id] if settings.project_id != "1" else []
    return [*_program(), *options, *(["--language", "zh"] if settings.language == "zh" else [])]


def _desktop(command: str, options: list[str]) -> list[str]:
    """The lines of claude_desktop_config.json."""
    return [
        '{ "mcpServers": { "fenqun": {',
        f'    "command": {json.dumps(command, ensure_ascii=False)},',
        f'    "args": {json.dumps(options, ensure_ascii=False)}',
        "} } }",
    ]
