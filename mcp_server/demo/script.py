"""The script of the demo: what the person says, and what the assistant does about it, step by step."""

import csv
import json
import re
import shlex
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from mcp_server.platforms.local.data import DEMO_TODAY
from mcp_server.settings import Settings, program
from mcp_server.terminal import Bar, Screen, blocks
from mcp_server.text import NOTHING, Language, Text, listed, same

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import ElicitRequestParams, ElicitResult


# The words of the demo. Every number but those in the person's own sentences comes from the tools.

Data = dict[str, Any]

CLUSTER, TAG, ANSWERED, SILENT = "lapsed_regulars", "spending_tier", "answered", "still_silent"
MADE = (SILENT, ANSWERED, TAG, CLUSTER)
"""What the demo creates; what the last run created is removed first, in this order."""
CALL_TASK = "win_back"
"""Name of the call task; a number is added where it is taken."""
DISPLAY_NAME = Text("Lapsed regulars of 1997", "1997 年的流失老客")
CLUSTER_TYPE = "cluster_by_dynamic_condition"
TAG_DISPLAY_NAME = Text("Spending tier", "消费层级")
TAG_TYPE = "tag_by_dynamic_condition"
AS_OF = DEMO_TODAY

TITLE = Text("fenqun · 分群: from a sentence to a live cluster", "fenqun · 分群：从一句话到实时分群")
ABOUT = Text(
    "A shop wants to win back good customers who have gone quiet. What follows is a person's conversation with an assistant: each "
    "line that begins with → is a real call to an MCP server, over stdio, on real data.",
    "一家商店想挽回久未光顾的优质客户。下面是运营人员与 AI 助手的一段对话：以 → 开头的每一行，都是经由 stdio 对 MCP 服务的真实调用；数据也是真实的。",
)
DATA_SET = Text(
    "CDNOW, an online music shop: real purchases of 1997 and 1998",
    "CDNOW 网上唱片店 1997 至 1998 年的真实购买记录",
)


class Scene(NamedTuple):
    """One step: its heading, and what the person says, where it begins with that."""

    heading: Text
    person: Text = NOTHING


ASKED = Text("Before it changes or removes anything, the server asks the person:", "修改或删除之前，服务会先询问本人：")
SAYS_YES = Text("Yes, carry it out.", "是，执行。")
CONNECT = Scene(Text("What the server can do", "服务提供哪些工具"))
LOOK = Scene(
    Text("Look up what the data knows", "查找数据中有什么"),
    Text("What do we know about purchases, and how much was spent?", "购买和消费金额，我们有哪些数据？"),
)
WRITE = Scene(
    Text("From the sentence to a definition", "从一句话到分群定义"),
    Text(
        "I want the customers who bought at least five times in 1997 and spent more than 300 dollars that year, but have bought nothing in the past 90 days.",
        "我想找 1997 年购买至少 5 次、当年消费超过 300 美元，但过去 90 天没有再购买的客户。",
    ),
)
SIZE = Scene(
    Text("How many they are, and where the others are lost", "有多少人，其余的人在哪一步被筛掉"),
    Text("Yes, that is what I mean. How many are they?", "对，就是这个意思。这样有多少人？"),
)
CREATE = Scene(
    Text("Create the cluster", "创建分群"),
    Text("Good. Keep them as a cluster that follows new data.", "好，存成一个会随新数据更新的分群。"),
)
REFRESH = Scene(
    Text("Refresh it, with progress", "刷新分群并显示进度"),
    Text("Compute it again, please.", "请重新计算一次。"),
)
MARK_THEM = Scene(
    Text("Give every customer a value: a tag", "给每位客户一个值：标签"),
    Text(
        "There will be three letters. Mark who spent more than 500 dollars in all, who more than 100, and the rest.",
        "信有三种写法。请标出累计消费超过 500 美元的、超过 100 美元的，以及其余的客户。",
    ),
)
CHANGE = Scene(
    Text("Try a change without making it", "试算修改的影响"),
    Text("What if they had to be quiet for 180 days instead?", "如果改成过去 180 天没有购买，会怎样？"),
)
HAND_ON = Scene(
    Text("Hand the customers on", "导出名单"),
    Text("Leave it at 90 days. I need the list for a mailing.", "还是按 90 天。请导出名单，我要发邮件。"),
)

ANSWERS = Scene(
    Text("Who has answered: a list of ids", "谁已回复：上传 ID 名单"),
    Text(
        "Eighty of them have answered the mail; these are their numbers. Keep them apart from those who have not.",
        "有 80 位已回复邮件，这是他们的客户编号。请把他们与未回复的分开。",
    ),
)
ANALYSE = Scene(
    Text("What the crowd is like: a crowd analysis", "这批人有何特征：人群分析"),
    Text("Before we call anybody: what sets these customers apart?", "外呼之前我想知道：这批客户有什么特点？"),
)
CALL = Scene(
    Text("Call the others: an outbound call task", "给其余的人打电话：外呼任务"),
    Text(
        "Call those who have not answered: between ten and noon, not on Sundays, two lines, for two weeks from Monday. If nobody picks up, once more after 15 minutes.",
        "给没有回复的人打电话：每天 10 点到 12 点，周日不打，两路并发，从下周一起两周；没人接就 15 分钟后再打一次。",
    ),
)
CHANGE_CALL = Scene(
    Text("Change the call task", "修改外呼任务"),
    Text("One line will do, and not on Wednesdays either.", "一路并发就够了，周三也不要打。"),
)

WORDS = (Text("purchase amount", "购买 金额"), Text("购买 金额", "purchase amount"))
"""What is searched for: first in the person's language, then in the other one."""

DRAFT: Mapping[str, Any] = {
    "events": [
        {"eventName": "purchased", "comparator": "gte", "num": "5", "taPropQuota": {"analysis": "TIMES"},
         "startTime": "1997-01-01", "endTime": "1997-12-31"},
        {"eventName": "purchase", "comparator": "greater", "num": "300", "taPropQuota": {"analysis": "SUM", "quota": "amout"},
         "startTime": "1997-01-01", "endTime": "1997-12-31"},
        {"eventName": "purchase", "comparator": "less", "num": "1", "taPropQuota": {"analysis": "TIMES"}, "recentDay": "90-1"},
    ],
    "event_relation": "and",
}  # fmt: skip
"""A first try with mistakes that models make: an event that does not exist, a misspelt property, a window turned
round, which are problems; and "at least", which the language does not have and which is repaired."""


class Tier(NamedTuple):
    """A value of the tag, and the customers who get it: those whose measure of purchases is more than a number."""

    value: Text
    measure: Mapping[str, str]
    above: int


_SPENT = {"analysis": "SUM", "quota": "amount"}
TIERS = (
    Tier(Text("gold", "金牌"), _SPENT, 500),
    Tier(Text("silver", "银牌"), _SPENT, 100),
    Tier(Text("bronze", "铜牌"), {"analysis": "TIMES"}, 0),
)
"""In order: the first that fits counts."""

MOST_FOUND = 6
PROPERTIES = ("#account_id", "last_purchase", "total_amount")
"""What the assistant wants to see of each customer, having looked at the data."""

ANSWERED_NAME = Text("Answered the mail", "已回复邮件")
SILENT_NAME = Text("Lapsed regulars, no answer", "未回复的流失老客")
ANSWERS_SHOWN, MISTYPED = 80, "20-00001"
"""How many answered; and an id that nobody has, as lists from people hold."""
CALLEE = "#account_id"
"""Stands in for a phone number, which the data does not have."""
VALIDITY = ("1998-01-01 00:00:00", "1998-07-31 23:59:59")
CALL_TIMES = ["mon-sat 10:00-12:00"]
FEWER_TIMES = ["mon-tue 10:00-12:00", "thu-sat 10:00-12:00"]
DAYS_OF_CALLS = 14

# Sentences between the results.
CONNECTED = Text(
    "Connected to {server} (MCP {protocol}). It has {n} tools:", "已连接 {server}（MCP {protocol}），共有 {n} 个工具："
)
AGAIN = Text("What the last run made is removed first:", "先删除上次演示留下的内容：")
OTHER_LANGUAGE = Text("Chinese words find it, too:", "用英文词也能找到：")
FOUND_HEAD = (
    Text("name", "名称"),
    Text("kind", "类型"),
    Text("display name", "显示名"),
    Text("values", "取值"),
)
DRAFTED = Text("The assistant's first draft, one condition each:", "助手写出的初稿，每条一个条件：")
MENDED = Text("The suggestions are put in their places, and it is checked again:", "按建议修正后，再检查一次：")
EVERYBODY = Text("all users", "全部用户")
FUNNEL_HEAD = (Text("condition", "条件"), Text("alone", "单独满足"), Text("left", "剩余"), NOTHING)
VALUES_HEAD = (Text("value", "标签值"), Text("users", "人数"), NOTHING)
AS_A_CONDITION = Text(
    "A tag is a condition like any other: the lapsed regulars who are {value}:",
    "标签可以作为条件使用：流失老客中的{value}客户：",
)
QUIET = Text(
    "Of the {good} good customers of 1997, {quiet} have gone quiet: {share}.",
    "1997 年的 {good} 名优质客户中，有 {quiet} 名已久未光顾，占 {share}。",
)
NOT_AMONG_THEM = Text("One number is nobody's: {ids}.", "有一个编号不属于任何客户：{ids}。")
SET_APART = Text("The others, as a fixed list:", "其余的人存为固定名单：")
STAND_IN = Text(
    "{property} stands in for a phone number here; the local platform calls nobody.",
    "这里用 {property} 代替手机号；本地平台不会拨打任何电话。",
)
PROFILE_HEAD = (Text("property", "属性"), Text("value", "取值"), Text("crowd", "人群"), Text("all", "全体"), NOTHING)
TRIED_FIRST = Text("Tried first, then done:", "先试算，再修改：")
SOME = Text("Some of them:", "其中几位：")
RETRIED = Text("The same call once more, as after a lost connection:", "再调用一次，如同断线后重试：")
ONLY_TRIED = Text("It was only tried out; the cluster is as it was:", "以上只是试算，分群保持不变：")
EXPORTED = Text(
    "{rows} rows, {size} bytes; only the path goes into the chat:", "共 {rows} 行、{size} 字节；对话中只传递文件路径："
)
END = Scene(Text("What there is now", "成果与后续"))
SIZE_AT_END = Text(
    '{users} customers are in the cluster "{display_name}" ({cluster_name}, id {cluster_id}).',
    "分群“{display_name}”（{cluster_name}，id {cluster_id}）中现有 {users} 名客户。",
)
DESKTOP = Text(
    "To talk to this data in Claude Desktop, put this into claude_desktop_config.json and restart it:",
    "要在 Claude Desktop 中使用这份数据，请将以下内容写入 claude_desktop_config.json，再重启：",
)
TRY = Text(
    "Then say, for example: “Which customers bought only once? Make them a cluster.”",
    "然后可以说：“哪些客户只买过一次？帮我建一个分群。”",
)
OWN_DATA = Text(
    "Your own data goes into the default workspace, which needs no --workspace; the tools work without MCP, too:",
    "载入你自己的数据（默认工作区，无需 --workspace）；不经 MCP 也能调用工具：",
)

LONGER = "1-180"
"""The window of a longer silence."""


def fixed(arguments: Data, problems: list[Data]) -> Data:
    """The arguments with each suggestion in the place that its path names (a JSON Pointer)."""
    better: Data = json.loads(json.dumps(arguments))
    for problem in problems:
        if "suggestion" in problem:
            *way, last = [p.replace("~1", "/").replace("~0", "~") for p in problem["path"].split("/")[1:]]
            spot: Any = better
            for name in way:
                spot = spot[int(name) if isinstance(spot, list) else name]
            spot[int(last) if isinstance(spot, list) else last] = problem["suggestion"]
    return better


def tiers(language: Language) -> Data:
    """The tag: who spent how much gets which value, in the person's language."""
    return {"userTagValueDefs": [_tier(tier, language) for tier in TIERS]}


def _tier(tier: Tier, language: Language) -> Data:
    bought = {"eventName": "purchase", "comparator": "greater", "num": str(tier.above), "taPropQuota": tier.measure}
    return {"tagValue": tier.value.say(language), "userClusterDef": {"events": [bought]}}


def members_with(value: str) -> Data:
    """The members of the cluster whose tag has a value."""
    member = {"tableType": "cluster", "columnName": CLUSTER, "comparator": "belongToCluster", "ftv": []}
    marked = {"tableType": "cluster", "columnName": TAG, "comparator": "equal", "ftv": [value]}
    return {"filts": [member, marked], "relation": "and"}


def without_answer() -> Data:
    """The members of the cluster who are not on the list of answers."""
    return {
        "filts": [
            {"tableType": "cluster", "columnName": CLUSTER, "comparator": "belongToCluster", "ftv": []},
            {"tableType": "cluster", "columnName": ANSWERED, "comparator": "notBelongToCluster", "ftv": []},
        ],
        "relation": "and",
    }


def with_longer_silence(definition: Data) -> Data:
    """The definition with a longer window in each condition that counts days back."""
    events = [e | {"recentDay": LONGER} if "recentDay" in e else e for e in definition["events"]]
    return definition | {"events": events}


def by_condition(explanation: str) -> list[str]:
    """An explanation as lines: the beginning, then one line for each numbered condition."""
    return [part for part in re.split(r"\s*(?=\([0-9]+\) |（[0-9]+）)", explanation) if part]


# The conversation of the demo: an assistant's end of the connection, and how what it does is shown.


_FAILED = Text("{tool} failed:", "{tool} 调用失败：")


class Halted(Exception):
    """The story cannot go on; the text says why."""

    def __init__(self, words: Text) -> None:
        super().__init__(words.en)
        self.words = words


async def asked_in_sight(screen: Screen, _: object, question: "ElicitRequestParams") -> "ElicitResult":
    """Show what the server asks the person, and answer yes."""
    from mcp_types import ElicitResult

    lines = question.message.splitlines()
    screen.say(ASKED)
    for line in lines:
        screen.item(same(line), mark="│ ")
    screen.person(SAYS_YES)
    return ElicitResult(action="accept", content={"answer": "yes"})


class Conversation:
    """The connection of the demo, with what steps leave for later ones. Halted where a tool returns an error."""

    def __init__(self, client: "Client", settings: Settings, screen: Screen) -> None:
        self.client = client
        self.settings = settings
        self.screen = screen
        self.definition: Data = {}
        """The definition of the cluster, once it is valid."""
        self.exported: Data = {}
        """The answer that names the exported file."""
        self.call_task = ""
        """The id of the call task."""
        self.notified: list[tuple[float, str]] = []
        """The progress notifications of the last call."""
        self._steps = 0

    def begin(self, scene: Scene) -> None:
        """Print the heading of the next step, and what the person says, if anything."""
        self._steps += 1
        self.screen.step(self._steps, scene.heading)
        if scene.person.en:
            self.screen.person(scene.person)

    # invoking tools

    async def ask(self, tool: str, arguments: Mapping[str, Any]) -> Data:
        """Invoke a tool, show that, and return its structured content."""
        self.screen.call(tool, arguments)
        return await self.quietly(tool, arguments)

    async def quietly(self, tool: str, arguments: Mapping[str, Any]) -> Data:
        """Invoke a tool without showing it."""
        self.notified = []
        with Bar(self.settings.language) as bar:

            async def show(progress: float, total: float | None, message: str | None) -> None:
                percent = 100 * progress / (total or 100)
                self.notified.append((percent, message or ""))
                bar.show(percent, same(message or ""))

            result = await self.client.call_tool(tool, dict(arguments), progress_callback=show)
        if result.is_error:
            said = [_FAILED.format(tool=tool), *(same(b.text) for b in result.content if b.type == "text")]
            raise Halted(Text("\n".join(t.en for t in said), "\n".join(t.zh for t in said)))
        return result.structured_content or {}

    def answer(self, answer: Data) -> None:
        """Print the message of a result."""
        self.screen.say(same(answer["message"]))


# The steps, one row each in STEPS: a scene (what the person says) and a function over the conversation (what the assistant
# does). A step leaves what later ones need in the conversation.

ROWS_SHOWN = 3
ROWS_OF_PROFILE = 6
MOST_BARS = 6
"""Progress notifications that are drawn; the last one always is."""


async def connect(conversation: Conversation) -> None:
    """List the tools, and remove what the last run of the demo left."""
    conversation.screen.call("tools/list", {})
    tools = (await conversation.client.list_tools()).tools
    server = conversation.client.server_info
    name = f"{server.name} {server.version}" if server else "–"
    conversation.screen.say(CONNECTED.format(server=name, protocol=conversation.client.protocol_version, n=len(tools)))
    conversation.screen.say(listed(tool.name for tool in tools))
    left = [name for name in MADE if await _exists(name, conversation)]
    if left:
        conversation.screen.say(AGAIN)
    for name in left:
        await _release(name, conversation)
        conversation.answer(await conversation.ask("delete_cluster", {"cluster": name}))


async def _release(name: str, conversation: Conversation) -> None:
    """Remove the crowd analyses that hold a cluster."""
    tasks = await conversation.quietly("list_crowd_analyses", {"crowd_id": name})
    for task in tasks.get("tasks", ()):
        conversation.answer(await conversation.ask("delete_crowd_analysis", {"task_id": task["task_id"]}))


async def look(conversation: Conversation) -> None:
    """Search the data with words of both languages."""
    mine, other = (words.say(conversation.settings.language) for words in WORDS)
    result = await conversation.ask("describe_data", {"search": mine, "limit": MOST_FOUND})
    conversation.answer(result)
    rows = [_event_row(row) for row in result.get("events", ())]
    rows += [_property_row(row, conversation.settings.language) for row in result.get("properties", ())]
    conversation.screen.table(FOUND_HEAD, rows, wide=2)
    conversation.screen.say(OTHER_LANGUAGE)
    again = await conversation.ask("describe_data", {"search": other, "limit": MOST_FOUND})
    names = [r["event"] for r in again.get("events", ())] + [r["property"] for r in again.get("properties", ())]
    conversation.screen.say(same(again["message"]).then(listed(names)))


async def write(conversation: Conversation) -> None:
    """Check a draft, fix it by the suggestions, check again; keep the normalised definition."""
    conversation.screen.say(DRAFTED)
    for event in DRAFT["events"]:
        conversation.screen.item(same(json.dumps(event)))
    arguments: Data = {"qp": DRAFT}
    answer = await conversation.ask("validate_definition", arguments)
    conversation.answer(answer)
    for problem in answer.get("problems", ()):
        conversation.screen.item(same(f"{problem['path']}: {problem.get('got', '')} → {problem.get('suggestion', '')}"))
        conversation.screen.say(same(problem["message"]), indent=2)
    conversation.screen.say(MENDED)
    answer = await conversation.ask("validate_definition", fixed(arguments, answer.get("problems", [])))
    conversation.answer(answer)
    if not answer["valid"]:
        raise Halted(same(answer["message"]))
    for repair in answer.get("repairs", ()):
        change = f"{repair['path']}: {repair['before']} → {repair['after']}"
        conversation.screen.item(
            Text("{change} ({why})", "{change}（{why}）").format(change=change, why=repair["reason"])
        )
    for language in sorted(answer["explanation"], key=lambda spoken: spoken != conversation.settings.language):
        for line in by_condition(answer["explanation"][language]):
            conversation.screen.item(same(line), mark="│ ")
    conversation.definition = answer["definition"]


async def size(conversation: Conversation) -> None:
    """The size, the funnel, and a few of the users."""
    asked = {"sample": ROWS_SHOWN, "properties": PROPERTIES, "qp": conversation.definition}
    seen = await conversation.ask("preview_definition", asked)
    conversation.answer(seen)
    everybody, funnel = seen["all_users"], seen["funnel"]
    rows = [[EVERYBODY.say(conversation.settings.language), "", f"{everybody:,}", blocks(1)]]
    for row in funnel:
        drawn = blocks(row["left"] / max(everybody, 1))
        rows.append([row["condition"], f"{row['alone']:,}", f"{row['left']:,}", drawn])
    conversation.screen.table(FUNNEL_HEAD, rows)
    good, quiet = (row["left"] for row in funnel[-2:])
    share = f"{quiet / max(good, 1):.0%}"
    conversation.screen.say(QUIET.format(good=f"{good:,}", quiet=f"{quiet:,}", share=share))
    sample = seen.get("sample", ())
    if sample:
        conversation.screen.say(SOME)
        columns = list(dict.fromkeys(column for row in sample for column in row))
        conversation.screen.table([same(c) for c in columns], [[row.get(c, "") for c in columns] for row in sample])


async def create(conversation: Conversation) -> None:
    """Create the cluster; and once more, which makes nothing twice."""
    arguments = {
        "cluster_type": CLUSTER_TYPE,
        "cluster_name": CLUSTER,
        "display_name": DISPLAY_NAME.say(conversation.settings.language),
        "qp": conversation.definition,
    }
    conversation.answer(await conversation.ask("create_cluster", arguments))
    conversation.screen.say(RETRIED)
    conversation.answer(await conversation.ask("create_cluster", arguments))


async def refresh(conversation: Conversation) -> None:
    """Compute it again; every progress notification becomes a bar."""
    answer = await conversation.ask("refresh_cluster", {"cluster": CLUSTER})
    for percent, words in [*conversation.notified[:-1][: MOST_BARS - 1], *conversation.notified[-1:]]:
        conversation.screen.bar(percent, same(words))
    conversation.answer(answer)


async def tag(conversation: Conversation) -> None:
    """A value for every customer: counted, created, and used as a condition beside the cluster."""
    language = conversation.settings.language
    tag_qp = tiers(language)
    seen = await conversation.ask("preview_definition", {"tag_qp": tag_qp})
    conversation.answer(seen)
    rows = [[row["value"], f"{row['users']:,}", blocks(row["users"] / seen["all_users"])] for row in seen["values"]]
    conversation.screen.table(VALUES_HEAD, rows)
    arguments = {
        "cluster_type": TAG_TYPE,
        "cluster_name": TAG,
        "display_name": TAG_DISPLAY_NAME.say(language),
        "tag_qp": tag_qp,
    }
    conversation.answer(await conversation.ask("create_tag", arguments))
    best = TIERS[0].value
    conversation.screen.say(AS_A_CONDITION.format(value=best))
    conversation.answer(await conversation.ask("preview_definition", {"qp": members_with(best.say(language))}))


async def change(conversation: Conversation) -> None:
    """Show what another definition would change, and that nothing has changed."""
    longer = with_longer_silence(conversation.definition)
    answer = await conversation.ask("update_cluster", {"cluster": CLUSTER, "dry_run": True, "qp": longer})
    for change in answer.get("changes", ()):
        conversation.screen.item(same(change))
    conversation.answer(answer)
    conversation.screen.say(ONLY_TRIED)
    result = await conversation.ask("list_clusters", {"search": CLUSTER})
    columns = ("cluster_id", "cluster_name", "display_name", "users_num", "progress", "fresh")
    rows = [[_cell(cluster.get(name, "")) for name in columns] for cluster in result.get("clusters", ())]
    conversation.screen.table([same(name) for name in columns], rows, wide=2)


async def hand_on(conversation: Conversation) -> None:
    """Export the users; the answer holds a path, and the first lines of that file are shown."""
    answer = await conversation.ask("export_users", {"cluster": CLUSTER, "properties": PROPERTIES})
    conversation.screen.say(EXPORTED.format(rows=f"{answer['rows']:,}", size=f"{answer['size_bytes']:,}"))
    conversation.screen.exactly(answer["path"])
    for line in _first_lines(Path(answer["path"])):
        conversation.screen.item(same(line), mark="│ ")
    conversation.exported = answer


async def answers(conversation: Conversation) -> None:
    """A list of ids as a cluster, and the members of the first one who are not on it."""
    language = conversation.settings.language
    ids = [*_answered(Path(conversation.exported["path"])), MISTYPED]
    arguments = {
        "display_name": ANSWERED_NAME.say(language),
        "cluster_name": ANSWERED,
        "main_column_name": CALLEE,
        "ids": ids,
    }
    answer = await conversation.ask("import_ids", arguments)
    conversation.answer(answer)
    conversation.screen.say(NOT_AMONG_THEM.format(ids=listed(answer["unmatched"])))
    conversation.screen.say(SET_APART)
    silent = {
        "cluster_type": "cluster_by_result",
        "cluster_name": SILENT,
        "display_name": SILENT_NAME.say(language),
        "qp": without_answer(),
    }
    conversation.answer(await conversation.ask("create_cluster", silent))


async def analyse(conversation: Conversation) -> None:
    """A crowd analysis task over the cluster, and what sets the crowd apart."""
    start, end_time = VALIDITY
    made = await conversation.ask(
        "create_crowd_analysis", {"crowd_id": CLUSTER, "start_time": start, "end_time": end_time}
    )
    conversation.answer(made)
    result = await conversation.ask("get_crowd_analysis", {"task_id": made["result"]["task_id"]})
    conversation.answer(result)
    rows = [
        [row["property"], row["value"], f"{row['share']:.0%}", f"{row['all_share']:.0%}", blocks(row["share"])]
        for row in result["profile"][:ROWS_OF_PROFILE]
    ]
    conversation.screen.table(PROFILE_HEAD, rows, wide=1)


async def call_them(conversation: Conversation) -> None:
    """A call task with the calendar of its calls."""
    conversation.screen.say(STAND_IN.format(property=CALLEE))
    monday = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    monday += timedelta(days=7 - monday.weekday())
    last = monday + timedelta(days=DAYS_OF_CALLS - 1)
    arguments = {
        "task_name": await _free_name(conversation),
        "cluster": SILENT,
        "callee_property": CALLEE,
        "start_time": f"{monday} 00:00:00",
        "end_time": f"{last} 23:59:59",
        "concurrency": 2,
        "call_times": CALL_TIMES,
        "ring_again_times": 1,
        "ring_again_interval": 15,
    }
    answer = await conversation.ask("create_call_task", arguments)
    conversation.answer(answer)
    for line in answer["chart"].splitlines():
        conversation.screen.exactly(line)
    for warning in answer.get("warnings", ()):
        conversation.screen.item(same(warning["message"]))
    conversation.call_task = answer["task"]["task_open_id"]


async def change_calls(conversation: Conversation) -> None:
    """Another number of lines and other days: tried first, then done."""
    arguments = {"task_open_id": conversation.call_task, "concurrency": 1, "call_times": FEWER_TIMES}
    conversation.screen.say(TRIED_FIRST)
    tried = await conversation.ask("update_call_task", arguments | {"dry_run": True})
    for changed in tried.get("changes", ()):
        conversation.screen.item(same(changed))
    conversation.answer(await conversation.ask("update_call_task", arguments))


async def _free_name(conversation: Conversation) -> str:
    """The first of win_back, win_back_2, … that no call task has."""
    result = await conversation.quietly("list_call_tasks", {"search": CALL_TASK, "limit": 100})
    taken = {task["name"] for task in result.get("tasks", ())}
    names = (f"{CALL_TASK}_{n}" if n > 1 else CALL_TASK for n in count(1))
    return next(name for name in names if name not in taken)


def _answered(path: Path) -> list[str]:
    """The customer numbers of those who answered: every few lines of the exported file."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        every = [row[CALLEE] for row in csv.DictReader(file)]
    return every[:: max(1, len(every) // ANSWERS_SHOWN)][:ANSWERS_SHOWN]


async def end(conversation: Conversation) -> None:
    """The size of the cluster, where everything is, and what to do next."""
    cluster = (await conversation.ask("get_cluster", {"cluster": CLUSTER}))["cluster"]
    conversation.screen.say(SIZE_AT_END.format(**{**cluster, "users": f"{cluster['users_num']:,}"}))
    conversation.screen.fact(Text("Workspace", "工作区"), same(conversation.settings.workspace))
    conversation.screen.fact(Text("List", "名单"), same(conversation.exported["path"]))
    conversation.screen.blank()
    conversation.screen.say(DESKTOP)
    command, *options = _server_command(conversation.settings)
    for line in _desktop(command, options):
        conversation.screen.exactly(line)
    conversation.screen.say(TRY)
    conversation.screen.blank()
    conversation.screen.say(OWN_DATA)
    own = shlex.join(program())
    conversation.screen.exactly(f"{own} load --events FILE --users FILE")
    conversation.screen.exactly(f"{own} call describe_data")


class StoryStep(NamedTuple):
    """A step of the demo."""

    scene: Scene
    act: Callable[[Conversation], Awaitable[None]]


STEPS = (
    StoryStep(CONNECT, connect),
    StoryStep(LOOK, look),
    StoryStep(WRITE, write),
    StoryStep(SIZE, size),
    StoryStep(CREATE, create),
    StoryStep(REFRESH, refresh),
    StoryStep(MARK_THEM, tag),
    StoryStep(CHANGE, change),
    StoryStep(HAND_ON, hand_on),
    StoryStep(ANSWERS, answers),
    StoryStep(ANALYSE, analyse),
    StoryStep(CALL, call_them),
    StoryStep(CHANGE_CALL, change_calls),
    StoryStep(END, end),
)


async def play(conversation: Conversation) -> None:
    """Run all steps."""
    for step in STEPS:
        conversation.begin(step.scene)
        await step.act(conversation)


async def _exists(name: str, conversation: Conversation) -> bool:
    result = await conversation.quietly("list_clusters", {"search": name})
    return any(cluster["cluster_name"] == name for cluster in result.get("clusters", ()))


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


def _cell(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _server_command(settings: Settings) -> list[str]:
    options = ["serve", "--workspace", str(settings.workspace)]
    options += ["--project", settings.project_id] if settings.project_id != "1" else []
    return [*program(), *options, *(["--language", "zh"] if settings.language == "zh" else [])]


def _desktop(command: str, options: list[str]) -> list[str]:
    """The lines of claude_desktop_config.json."""
    return [
        '{ "mcpServers": { "fenqun": {',
        f'    "command": {json.dumps(command, ensure_ascii=False)},',
        f'    "args": {json.dumps(options, ensure_ascii=False)}',
        "} } }",
    ]
