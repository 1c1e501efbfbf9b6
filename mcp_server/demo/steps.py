"""The steps of the demo, one row each in STEPS: what the person says, and what the assistant does about it.

A step is a function over the talk; what a later step needs (the definition, the exported file) it leaves there. Adding
a step is writing its scene in `story.py`, its function here, and its row.
"""

import csv
import json
import shlex
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from mcp_server.demo import story
from mcp_server.demo.screen import blocks
from mcp_server.demo.story import Data, Scene
from mcp_server.demo.talk import Halted, Talk
from mcp_server.settings import Settings
from mcp_server.text import Language, Text, listed, same

ROWS_SHOWN = 3
ROWS_OF_PROFILE = 6
MOST_BARS = 6
"""Progress notifications that are drawn; the last one always is."""


async def connect(talk: Talk) -> None:
    """List the tools, and remove what the last run of the demo left."""
    talk.screen.call("tools/list", {})
    tools = (await talk.client.list_tools()).tools
    server = talk.client.server_info
    name = f"{server.name} {server.version}" if server else "–"
    talk.screen.say(story.CONNECTED.format(server=name, protocol=talk.client.protocol_version, n=len(tools)))
    talk.screen.say(listed(tool.name for tool in tools))
    left = [name for name in story.MADE if await _exists(name, talk)]
    if left:
        talk.screen.say(story.AGAIN)
    for name in left:
        await _release(name, talk)
        talk.answer(await talk.ask("delete_cluster", {"cluster": name}))


async def _release(name: str, talk: Talk) -> None:
    """Remove the crowd analyses that hold a cluster."""
    tasks = await talk.quietly("list_crowd_analyses", {"crowd_id": name})
    for task in tasks.get("tasks", ()):
        talk.answer(await talk.ask("delete_crowd_analysis", {"task_id": task["task_id"]}))


async def look(talk: Talk) -> None:
    """Search the data with words of both languages."""
    mine, other = (words.say(talk.settings.language) for words in story.WORDS)
    found = await talk.ask("describe_data", {"search": mine, "limit": story.MOST_FOUND})
    talk.answer(found)
    rows = [_event_row(row) for row in found.get("events", ())]
    rows += [_property_row(row, talk.settings.language) for row in found.get("properties", ())]
    talk.screen.table(story.FOUND_HEAD, rows, wide=2)
    talk.screen.say(story.OTHER_LANGUAGE)
    again = await talk.ask("describe_data", {"search": other, "limit": story.MOST_FOUND})
    names = [r["event"] for r in again.get("events", ())] + [r["property"] for r in again.get("properties", ())]
    talk.screen.say(same(again["message"]).then(listed(names)))


async def write(talk: Talk) -> None:
    """Check a draft, mend it by the suggestions, check again; the normalised definition is kept."""
    talk.screen.say(story.DRAFTED)
    for event in story.DRAFT["events"]:
        talk.screen.item(same(json.dumps(event)))
    arguments: Data = {"qp": story.DRAFT}
    answer = await talk.ask("validate_definition", arguments)
    talk.answer(answer)
    for problem in answer.get("problems", ()):
        talk.screen.item(same(f"{problem['path']}: {problem.get('got', '')} → {problem.get('suggestion', '')}"))
        talk.screen.say(same(problem["message"]), indent=2)
    talk.screen.say(story.MENDED)
    answer = await talk.ask("validate_definition", story.mended(arguments, answer.get("problems", [])))
    talk.answer(answer)
    if not answer["valid"]:
        raise Halted(same(answer["message"]))
    for repair in answer.get("repairs", ()):
        change = f"{repair['path']}: {repair['before']} → {repair['after']}"
        talk.screen.item(Text("{change} ({why})", "{change}（{why}）").format(change=change, why=repair["reason"]))
    for language in sorted(answer["explanation"], key=lambda spoken: spoken != talk.settings.language):
        for line in story.by_condition(answer["explanation"][language]):
            talk.screen.item(same(line), mark="│ ")
    talk.definition = answer["definition"]


async def size(talk: Talk) -> None:
    """The size, the funnel, and a few of the users."""
    asked = {"sample": ROWS_SHOWN, "properties": story.PROPERTIES, "qp": talk.definition}
    seen = await talk.ask("preview_definition", asked)
    talk.answer(seen)
    everybody, funnel = seen["all_users"], seen["funnel"]
    rows = [[story.EVERYBODY.say(talk.settings.language), "", f"{everybody:,}", blocks(1)]]
    for row in funnel:
        drawn = blocks(row["left"] / max(everybody, 1))
        rows.append([row["condition"], f"{row['alone']:,}", f"{row['left']:,}", drawn])
    talk.screen.table(story.FUNNEL_HEAD, rows)
    good, quiet = (row["left"] for row in funnel[-2:])
    share = f"{quiet / max(good, 1):.0%}"
    talk.screen.say(story.QUIET.format(good=f"{good:,}", quiet=f"{quiet:,}", share=share))
    sample = seen.get("sample", ())
    if sample:
        talk.screen.say(story.SOME)
        columns = list(dict.fromkeys(column for row in sample for column in row))
        talk.screen.table([same(c) for c in columns], [[row.get(c, "") for c in columns] for row in sample])


async def create(talk: Talk) -> None:
    """Create the cluster; and once more, which makes nothing twice."""
    arguments = {
        "cluster_type": story.CLUSTER_TYPE,
        "cluster_name": story.CLUSTER,
        "display_name": story.DISPLAY_NAME.say(talk.settings.language),
        "qp": talk.definition,
    }
    talk.answer(await talk.ask("create_cluster", arguments))
    talk.screen.say(story.RETRIED)
    talk.answer(await talk.ask("create_cluster", arguments))


async def refresh(talk: Talk) -> None:
    """Compute it again; every progress notification becomes a bar."""
    answer = await talk.ask("refresh_cluster", {"cluster": story.CLUSTER})
    for percent, words in [*talk.notified[:-1][: MOST_BARS - 1], *talk.notified[-1:]]:
        talk.screen.bar(percent, same(words))
    talk.answer(answer)


async def tag(talk: Talk) -> None:
    """A value for every customer: counted, created, and used as a condition beside the cluster."""
    language = talk.settings.language
    tag_qp = story.tiers(language)
    seen = await talk.ask("preview_definition", {"tag_qp": tag_qp})
    talk.answer(seen)
    rows = [[row["value"], f"{row['users']:,}", blocks(row["users"] / seen["all_users"])] for row in seen["values"]]
    talk.screen.table(story.VALUES_HEAD, rows)
    arguments = {
        "cluster_type": story.TAG_TYPE,
        "cluster_name": story.TAG,
        "display_name": story.TAG_DISPLAY_NAME.say(language),
        "tag_qp": tag_qp,
    }
    talk.answer(await talk.ask("create_tag", arguments))
    best = story.TIERS[0].value
    talk.screen.say(story.AS_A_CONDITION.format(value=best))
    talk.answer(await talk.ask("preview_definition", {"qp": story.members_with(best.say(language))}))


async def change(talk: Talk) -> None:
    """What another definition would change; and that nothing has changed."""
    longer = story.with_longer_silence(talk.definition)
    answer = await talk.ask("update_cluster", {"cluster": story.CLUSTER, "dry_run": True, "qp": longer})
    for change in answer.get("changes", ()):
        talk.screen.item(same(change))
    talk.answer(answer)
    talk.screen.say(story.ONLY_TRIED)
    found = await talk.ask("list_clusters", {"search": story.CLUSTER})
    columns = ("cluster_id", "cluster_name", "display_name", "users_num", "progress", "fresh")
    rows = [[_said(cluster.get(name, "")) for name in columns] for cluster in found.get("clusters", ())]
    talk.screen.table([same(name) for name in columns], rows, wide=2)


async def hand_on(talk: Talk) -> None:
    """Export the users; the answer holds a path, and the first lines of that file are shown."""
    answer = await talk.ask("export_users", {"cluster": story.CLUSTER, "properties": story.PROPERTIES})
    talk.screen.say(story.EXPORTED.format(rows=f"{answer['rows']:,}", size=f"{answer['size_bytes']:,}"))
    talk.screen.exactly(answer["path"])
    for line in _first_lines(Path(answer["path"])):
        talk.screen.item(same(line), mark="│ ")
    talk.exported = answer


async def answers(talk: Talk) -> None:
    """A list of ids as a cluster, and the members of the first one who are not on it."""
    language = talk.settings.language
    ids = [*_answered(Path(talk.exported["path"])), story.MISTYPED]
    arguments = {
        "display_name": story.ANSWERED_NAME.say(language),
        "cluster_name": story.ANSWERED,
        "main_column_name": story.CALLEE,
        "ids": ids,
    }
    answer = await talk.ask("import_ids", arguments)
    talk.answer(answer)
    talk.screen.say(story.NOT_AMONG_THEM.format(ids=listed(answer["unmatched"])))
    talk.screen.say(story.SET_APART)
    silent = {
        "cluster_type": "cluster_by_result",
        "cluster_name": story.SILENT,
        "display_name": story.SILENT_NAME.say(language),
        "qp": story.without_answer(),
    }
    talk.answer(await talk.ask("create_cluster", silent))


async def analyse(talk: Talk) -> None:
    """A crowd analysis task over the cluster, and what sets the crowd apart."""
    start, end_time = story.VALIDITY
    made = await talk.ask(
        "create_crowd_analysis", {"crowd_id": story.CLUSTER, "start_time": start, "end_time": end_time}
    )
    talk.answer(made)
    found = await talk.ask("get_crowd_analysis", {"task_id": made["result"]["task_id"]})
    talk.answer(found)
    rows = [
        [row["property"], row["value"], f"{row['share']:.0%}", f"{row['all_share']:.0%}", blocks(row["share"])]
        for row in found["profile"][:ROWS_OF_PROFILE]
    ]
    talk.screen.table(story.PROFILE_HEAD, rows, wide=1)


async def call_them(talk: Talk) -> None:
    """A call task with the calendar of its calls."""
    talk.screen.say(story.STAND_IN.format(property=story.CALLEE))
    monday = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    monday += timedelta(days=7 - monday.weekday())
    last = monday + timedelta(days=story.DAYS_OF_CALLS - 1)
    arguments = {
        "task_name": await _free_name(talk),
        "cluster": story.SILENT,
        "callee_property": story.CALLEE,
        "start_time": f"{monday} 00:00:00",
        "end_time": f"{last} 23:59:59",
        "concurrency": 2,
        "call_times": story.CALL_TIMES,
        "ring_again_times": 1,
        "ring_again_interval": 15,
    }
    answer = await talk.ask("create_call_task", arguments)
    talk.answer(answer)
    for line in answer["chart"].splitlines():
        talk.screen.exactly(line)
    for warning in answer.get("warnings", ()):
        talk.screen.item(same(warning["message"]))
    talk.call_task = answer["task"]["task_open_id"]


async def change_calls(talk: Talk) -> None:
    """Another number of lines and other days: tried first, then done."""
    arguments = {"task_open_id": talk.call_task, "concurrency": 1, "call_times": story.FEWER_TIMES}
    talk.screen.say(story.TRIED_FIRST)
    tried = await talk.ask("update_call_task", arguments | {"dry_run": True})
    for changed in tried.get("changes", ()):
        talk.screen.item(same(changed))
    talk.answer(await talk.ask("update_call_task", arguments))


async def _free_name(talk: Talk) -> str:
    """The first of win_back, win_back_2, … that no call task has."""
    found = await talk.quietly("list_call_tasks", {"search": story.CALL_TASK, "limit": 100})
    taken = {task["name"] for task in found.get("tasks", ())}
    names = (f"{story.CALL_TASK}_{n}" if n > 1 else story.CALL_TASK for n in count(1))
    return next(name for name in names if name not in taken)


def _answered(path: Path) -> list[str]:
    """The customer numbers of those who answered: every few lines of the exported file."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        every = [row[story.CALLEE] for row in csv.DictReader(file)]
    return every[:: max(1, len(every) // story.ANSWERS_SHOWN)][: story.ANSWERS_SHOWN]


async def end(talk: Talk) -> None:
    """The size of the cluster, where everything is, and what to do next."""
    cluster = (await talk.ask("get_cluster", {"cluster": story.CLUSTER}))["cluster"]
    talk.screen.say(
        story.SIZE_AT_END.format(
            users=f"{cluster['users_num']:,}", name=cluster["cluster_name"], id=cluster["cluster_id"]
        )
    )
    talk.screen.fact(Text("Workspace", "工作区"), same(talk.settings.workspace))
    talk.screen.fact(Text("List", "名单"), same(talk.exported["path"]))
    talk.screen.blank()
    talk.screen.say(story.DESKTOP)
    command, *options = _server_command(talk.settings)
    for line in _desktop(command, options):
        talk.screen.exactly(line)
    talk.screen.say(story.TRY)
    talk.screen.blank()
    talk.screen.say(story.OWN_DATA)
    program = shlex.join(_program())
    talk.screen.exactly(f"{program} load --events FILE --users FILE")
    talk.screen.exactly(f"{program} call describe_data")


class Step(NamedTuple):
    """A row of the story."""

    scene: Scene
    act: Callable[[Talk], Awaitable[None]]


STEPS = (
    Step(story.CONNECT, connect),
    Step(story.LOOK, look),
    Step(story.WRITE, write),
    Step(story.SIZE, size),
    Step(story.CREATE, create),
    Step(story.REFRESH, refresh),
    Step(story.MARK_THEM, tag),
    Step(story.CHANGE, change),
    Step(story.HAND_ON, hand_on),
    Step(story.ANSWERS, answers),
    Step(story.ANALYSE, analyse),
    Step(story.CALL, call_them),
    Step(story.CHANGE_CALL, change_calls),
    Step(story.END, end),
)


async def tell(talk: Talk) -> None:
    """The whole story."""
    for step in STEPS:
        talk.begin(step.scene)
        await step.act(talk)


async def _exists(name: str, talk: Talk) -> bool:
    found = await talk.quietly("list_clusters", {"search": name})
    return any(cluster["cluster_name"] == name for cluster in found.get("clusters", ()))


def _event_row(row: Data) -> list[str]:
    days = f"{row['first'][:10]} – {row['last'][:10]}"
    return [row["event"], "event", row.get("display_name", ""), f"{row['count']:,} × {days}"]


def _property_row(row: Data, language: Language) -> list[str]:
    low, high = row.get("low", ""), row.get("high", "")
    if row["type"] == "time":
        low, high = low[:10], high[:10]
    span = f"{low} – {high}" if low else listed(row.get("values", ())[:ROWS_SHOWN]).say(language)
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
