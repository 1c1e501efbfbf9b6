"""What the demo tells: the person's words, and what an assistant makes of them. Every number but those in the
person's own sentences comes from the tools.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from mcp_server.text import NOTHING, Language, Text

Data = dict[str, Any]

CLUSTER, TAG, ANSWERED, SILENT = "lapsed_regulars", "spending_tier", "answered", "still_silent"
MADE = (SILENT, ANSWERED, TAG, CLUSTER)
"""What the demo makes; what the last run made of it is removed first, in this order."""
CALL_TASK = "win_back"
"""Name of the call task; a number is added where it is taken."""
DISPLAY_NAME = Text("Lapsed regulars of 1997", "1997 年的流失老客")
CLUSTER_TYPE = "cluster_by_dynamic_condition"
TAG_DISPLAY_NAME = Text("Spending tier", "消费层级")
TAG_TYPE = "tag_by_dynamic_condition"
AS_OF = "1998-07-01"
"""The demo's today: the day after the last purchase in the data."""

TITLE = Text("fenqun · 分群: from a sentence to a live cluster", "fenqun · 分群：从一句话到实时分群")
ABOUT = Text(
    "A shop wants to win back good customers who have gone quiet. What follows is a person's talk with an assistant: each "
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

# What is said between the answers.
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
    "{users} customers are in the cluster {name} (id {id}).", "分群 {name}（id {id}）中现有 {users} 名客户。"
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


def mended(arguments: Data, problems: list[Data]) -> Data:
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
