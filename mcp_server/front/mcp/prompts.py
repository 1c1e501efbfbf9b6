"""Prompts: the jobs that a person starts from a menu of the client, in English and in Chinese.

Arguments are texts, as the protocol has them; the assistant asks for what is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, GetPromptResult, PromptMessage, TextContent
from mcp_types import Prompt as WirePrompt
from mcp_types import PromptArgument as WireArgument

from mcp_server.language.suggest import nearest
from mcp_server.text import Language, Text, listed

LANGUAGE = "language"
MOST_CHARACTERS = 4000
"""Of one argument: a sentence or a brief, not a document."""

_LANGUAGES: Mapping[str, Language] = {"en": "en", "zh": "zh"}


@dataclass(frozen=True, slots=True)
class Argument:
    """One thing that a person fills in."""

    name: str
    text: Text
    required: bool = True


@dataclass(frozen=True, slots=True)
class Prompt:
    """One job."""

    name: str
    title: Text
    text: Text
    arguments: tuple[Argument, ...]
    body: Text
    """The request to the assistant, with `{argument}` places."""


_IN = Argument(LANGUAGE, Text("en or zh; the server's language if left out", "en 或 zh；不填则用服务的语言"), False)
_CLUSTER = Argument("cluster", Text("Name or id of the cluster", "分群的名称或 id"))

PROMPTS: tuple[Prompt, ...] = (
    Prompt(
        "build_segment",
        Text("Build a segment from a sentence", "用一句话创建分群"),
        Text("Turn a sentence about users into a cluster, step by step", "把一句对用户的描述，一步步变成分群"),
        (Argument("sentence", Text("Which users, in your own words", "用自己的话描述是哪些用户")), _IN),
        Text(
            """\
Make a cluster of these users: {sentence}

1. Look up the events, properties and values with describe_data; never guess a name. If a word could mean two things in the data, ask me.
2. Write the definition and call validate_definition until no problem is left. Show me its explanation in plain words, with every repair and warning.
3. Call preview_definition and tell me the size, its share of all users and which condition loses most of them.
4. Propose a cluster_name and a display_name, and whether it should be static or dynamic. Create it with create_cluster only when I agree.
5. Tell me when it is computed and what can be done next.""",
            """\
请把下面这些用户建成分群：{sentence}

1. 用 describe_data 查出事件、属性和取值，绝不猜测名称；如果某个词在数据中有两种含义，请先问我。
2. 写出定义并调用 validate_definition，直到没有问题为止。用通俗的话把解释给我看，并说明每一处修正和提醒。
3. 调用 preview_definition，告诉我人数、占全部用户的比例，以及哪个条件流失的人最多。
4. 给出 cluster_name、显示名称的建议，以及用静态还是动态分群。我同意后再用 create_cluster 创建。
5. 计算完成后告诉我，并说明接下来可以做什么。""",
        ),
    ),
    Prompt(
        "review_segment",
        Text("Review a segment", "检查一个分群"),
        Text("Check whether a cluster says what its name promises", "检查一个分群是否名副其实"),
        (_CLUSTER, _IN),
        Text(
            """\
Review the cluster {cluster}.

1. get_cluster: tell me in plain words whom it holds, how many, and whether it is fresh. Does the definition say what the name and the remarks promise?
2. preview_definition with its definition: which conditions lose most users, and does any select nobody or everybody?
3. Look for the usual traps: windows with or without today, "at least" against "more than", users without a value, names of events that changed.
4. list_clusters: is there another one for the same users?
5. Propose changes, each with its effect on the size (update_cluster with dry_run). Change nothing before I agree.""",
            """\
请检查分群 {cluster}。

1. 用 get_cluster 查看，用通俗的话告诉我它包含哪些人、有多少人、是否为最新。定义与名称、备注所说的是否一致？
2. 用它的定义调用 preview_definition：哪些条件流失最多？有没有条件一个人也选不出，或者选中所有人？
3. 检查常见易错点：窗口是否含今天、“至少”与“多于”、没有值的用户、已变化的事件名称。
4. 用 list_clusters 看看是否已有针对同一批用户的分群。
5. 提出修改建议，并用 update_cluster 的 dry_run 说明每项修改对人数的影响。在我同意之前不要做任何更改。""",
        ),
    ),
    Prompt(
        "plan_call_campaign",
        Text("Plan a call campaign for a segment", "为分群规划外呼"),
        Text("Work out when a segment can be called, and set up the call task", "算出何时可以外呼，并设置外呼任务"),
        (
            _CLUSTER,
            Argument(
                "wishes",
                Text(
                    "When to call and when not, how often to redial, by when",
                    "何时可打、何时不可打、重拨几次、何时完成",
                ),
            ),
            _IN,
        ),
        Text(
            """\
Plan an outbound call campaign for the cluster {cluster}. My wishes: {wishes}

1. get_cluster: is it fresh, and how many people are in it? Tell me whom it holds before anything else.
2. list_call_tasks: is there a task for it? Otherwise create_call_task, first with dry_run. Give call_times as I said them; ask me what is missing.
3. Show me the call calendar: when calls happen, whether the list can be finished in time, the worst case. Name every warning, above all calls outside usual hours and too many calls to one person.
4. If it can't be finished, propose more lines, more days or fewer redials, and what each would bring.
5. Change the task only when I agree. Remind me that people are really called: they must have agreed to it, and must be able to opt out.""",
            """\
请为分群 {cluster} 规划外呼。我的要求：{wishes}

1. 用 get_cluster 确认它是否最新、有多少人，先告诉我包含哪些人。
2. 用 list_call_tasks 看是否已有相应任务；没有则用 create_call_task，先带 dry_run。按我所说填写 call_times，缺少的信息请问我。
3. 给我看外呼日历：何时拨打、能否按时打完、最坏情况如何。说明每一条提醒，尤其是非常规时段外呼，以及对同一人拨打过多。
4. 如果打不完，请提出增加并发、增加天数或减少重拨的方案，并说明各自的效果。
5. 我同意后再修改任务。请提醒我：这会真正打给用户，须事先征得同意，并提供退订方式。""",
        ),
    ),
)


def listed_prompts() -> list[WirePrompt]:
    """All prompts as the protocol shows them: titles and descriptions in both languages."""
    return [
        WirePrompt(
            name=p.name,
            title=_both(p.title),
            description=_both(p.text),
            arguments=[WireArgument(name=a.name, description=_both(a.text), required=a.required) for a in p.arguments],
        )
        for p in PROMPTS
    ]


def filled_prompt(name: str, arguments: Mapping[str, str], language: Language) -> GetPromptResult:
    """The prompt with its arguments filled in.

    Raises MCPError (invalid parameters): unknown prompt or argument, a required one missing, one too long.
    """
    by_name = {p.name: p for p in PROMPTS}
    if name not in by_name:
        text = Text("There is no such prompt. There is: {close}.", "没有这个提示词。可用：{close}。")
        raise _refused(text, language, close=nearest(name, list(by_name)) or listed(by_name))
    prompt = by_name[name]
    _check(prompt, arguments, language)
    values = {a.name: arguments.get(a.name, "").strip() for a in prompt.arguments}
    spoken = _LANGUAGES.get(values.get(LANGUAGE, ""), language)
    message = PromptMessage(
        role="user", content=TextContent(type="text", text=prompt.body.format(**values).say(spoken))
    )
    return GetPromptResult(description=prompt.text.say(spoken), messages=[message])


def _check(prompt: Prompt, arguments: Mapping[str, str], language: Language) -> None:
    known = {a.name: a for a in prompt.arguments}
    for name, value in arguments.items():
        if name not in known:
            text = Text("{prompt} takes {names}.", "{prompt} 的参数为：{names}。")
            raise _refused(text, language, prompt=prompt.name, names=listed(known))
        if len(value) > MOST_CHARACTERS:
            text = Text("{name} may have {n} characters at most.", "{name} 最多 {n} 个字符。")
            raise _refused(text, language, name=name, n=MOST_CHARACTERS)
    for argument in prompt.arguments:
        if argument.required and not arguments.get(argument.name, "").strip():
            text = Text("{name} is missing: {what}.", "缺少 {name}：{what}。")
            raise _refused(text, language, name=argument.name, what=argument.text)
    if arguments.get(LANGUAGE, "").strip() not in ("", *_LANGUAGES):
        raise _refused(Text("{name} must be en or zh.", "{name} 应为 en 或 zh。"), language, name=LANGUAGE)


def _refused(text: Text, language: Language, **values: object) -> MCPError:
    return MCPError(code=INVALID_PARAMS, message=text.format(**values).say(language))


def _both(text: Text) -> str:
    return f"{text.en} · {text.zh}"
