"""The operation that describes a project's events and properties, and the search for them by words in either language."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from pydantic import Field

from mcp_server.errors import NotFound
from mcp_server.language.metadata import Event, Metadata, Names, Property
from mcp_server.language.problems import shorten
from mcp_server.language.suggest import Spelling, alike, fold, nearest_named, one_sign_apart, same_value, spelling
from mcp_server.operations.arguments import Limit, Offset, ProjectId, Search
from mcp_server.operations.operation import Deps, Effect, Params, PartialResult, Result, operation
from mcp_server.text import NOTHING, Text

# Search: in names, display names, remarks and values, in either language


LEAST = 0.62
"""Likeness from which something counts as a match."""
_REMARK, _VALUE, _KIND = 0.85, 0.9, 0.8
"""A match in a remark, in a value or by a word of the same kind counts a little less than one in a name."""
_SHORTEST = 3
"""Latin letters from which a part of a word counts: `is` is in too many words to mean anything."""
_KINDS: tuple[frozenset[str], ...] = tuple(
    frozenset(row.split())
    for row in (
        "下单 订单 购买 买单 成交 order purchase buy checkout",
        "支付 付款 充值 消费 pay payment recharge purchase order",
        "退款 退货 退单 refund return",
        "登录 登陆 登入 login signin logon",
        "注册 开户 register registered registration signup sign_up",
        "余额 balance",
        "金额 价格 amount price revenue total",
        "城市 city",
        "省份 地区 国家 province region country",
        "等级 级别 会员 level vip grade tier member",
        "手机 电话 手机号 phone mobile tel",
        "邮箱 邮件 mail email",
        "性别 gender sex",
        "年龄 生日 age birthday birth",
        "设备 机型 系统 device model os platform",
        "渠道 来源 channel source utm campaign",
        "商品 产品 品类 类目 item product goods category sku",
        "优惠券 券 折扣 coupon voucher discount",
        "加购 购物车 cart",
        "浏览 访问 点击 view visit browse click page",
        "分享 share",
        "收藏 关注 favorite favourite follow wishlist",
        "兴趣 爱好 interest interests",
        "活动 活跃 activity active",
    )
)
"""Common kinds of events and properties, in Chinese and English: data often has English names alone."""


class Hit(NamedTuple):
    """An item that matches, how well (0 to 1), and which of its values were searched for."""

    item: Event | Property
    score: float
    values: tuple[str, ...] = ()


def search(metadata: Metadata, words: str, event: Event | None = None) -> list[Hit]:
    """Events and properties, best first. Without words all of them: events by count, user properties, event properties.

    With an event: it and what it carries.
    """
    terms = words.split()
    if len(terms) > 1:
        terms.insert(0, words.strip())  # all of it may be one name or one value
    items: tuple[Event | Property, ...] = (event, *_carried(metadata, event)) if event else metadata.in_order
    if not terms:
        return [Hit(item, 1.0) for item in items]
    hits = [hit for item in items if (hit := _scored(item, terms)).score >= LEAST]
    hits = hits or [Hit(item, LEAST) for item in items if _nearly(item, terms)]
    return sorted(hits, key=lambda h: -h.score)


def _carried(metadata: Metadata, event: Event) -> list[Property]:
    """The properties of an event; all of events where the platform does not report which events carry what."""
    properties = metadata.properties_of("event")
    reported = any(p.events for p in properties)
    return [p for p in properties if event.name in p.events] if reported else properties


def _nearly(item: Event | Property, terms: list[str]) -> bool:
    """Whether a short Chinese term is a name but for one character; looked at where nothing else matches."""
    return any(one_sign_apart(term, name) for term in terms for name in (item.name, item.names.zh))


def _scored(item: Event | Property, terms: list[str]) -> Hit:
    """How well an item matches: its best term counts most, each further one a little."""
    best, good = 0.0, 0
    values: dict[str, None] = {}
    for term in terms:
        score = max(_in_names(spelling(term), item.name, item.names), _by_kind(term, item.name))
        value = _in_values(term, item) if isinstance(item, Property) else ""
        if value:
            values[value] = None
            score = max(score, _VALUE)
        best = max(best, score)
        good += score >= LEAST
    return Hit(item, best + 0.05 * max(0, good - 1), tuple(values))


def _in_names(word: Spelling, name: str, names: Names) -> float:
    spellings = _spellings(name, names.en, names.zh)
    best = max(alike(word, known) for known in spellings if _comparable(word, known))
    if best < _REMARK and len(word.folded) > 1 and word.folded in fold(f"{names.remark_en} {names.remark_zh}"):
        return _REMARK
    return best


def _comparable(word: Spelling, known: Spelling) -> bool:
    """False for a part of one or two Latin letters, unless it is the word itself."""
    short = known.folded.isascii() and len(known.folded) < _SHORTEST
    return not short or known.folded == word.folded or len(word.folded) < _SHORTEST


def _by_kind(term: str, name: str) -> float:
    """The score of a name that has a word of the same kind as the term: `place_order` for 下单."""
    kin = _same_kind(term)
    if not kin:
        return 0.0
    parts = {part.casefold() for part in name.lstrip("#$").split("_")}
    return _KIND if parts & kin or fold(name) in map(fold, kin) else 0.0


@lru_cache(maxsize=2_000)
def _same_kind(term: str) -> frozenset[str]:
    """The Latin words of the kinds that a term belongs to."""
    folded = fold(term)
    return frozenset(
        word for kind in _KINDS if any(folded == fold(one) for one in kind) for word in kind if word.isascii()
    )


@lru_cache(maxsize=20_000)
def _spellings(*names: str) -> tuple[Spelling, ...]:
    """The names of one thing, and the words in them."""
    known = dict.fromkeys(part for name in names if name for part in (name, *name.replace("_", " ").split()))
    return tuple(map(spelling, known))


def _in_values(word: str, item: Property) -> str:
    """The value that a word names, if any: an exact one first; a word of one letter names only itself."""
    folded = fold(word)
    if not folded:  # nothing but punctuation
        return next((value for value, _ in item.top if word in value), "")
    exact = item.value_by_spelling.get(folded, "")
    if exact or len(folded) < 2:
        return exact
    spellings = item.value_by_spelling.items()
    parts = (value for own, value in spellings if _long(own) and _long(folded) and (folded in own or own in folded))
    return next(parts, "") or same_value(word, (value for value, _ in item.top))


def _long(folded: str) -> bool:
    return len(folded) >= (_SHORTEST if folded.isascii() else 2)


# The operation


VALUES_SHOWN = 8
MOST_NAMES = 60
"""Names that are shown where nothing matches: a model can then choose by itself."""
_SHORT_VALUE = 24
_PRIVATE = (
    "phone",
    "mobile",
    "tel",
    "mail",
    "id",
    "account",
    "name",
    "address",
    "手机",
    "电话",
    "邮箱",
    "姓名",
    "地址",
)
"""Parts of names whose values may tell who somebody is; they are not shown to a search that did not ask for them."""
FEW = 3
"""Results that are few enough to show everything that the platform reports of each."""


class DescribeData(Params):
    search: Search = ""
    event: str = Field("", description="Only this event and the properties it carries")
    limit: Limit = 20
    offset: Offset = 0
    project_id: ProjectId = ""


class EventRow(Result.Row):
    """One kind of event."""

    event: str
    display_name: str = ""
    remark: str = ""
    count: int | None = None
    users: int | None = None
    first: str = ""
    last: str = ""
    more: dict[str, str] = Field({})


class PropertyRow(Result.Row):
    """One property."""

    property: str
    table: str
    type: str
    display_name: str = ""
    remark: str = ""
    values: tuple[str, ...] = ()
    """Most frequent first."""
    more_values: int = 0
    low: str = ""
    high: str = ""
    missing: str = ""
    """Share of rows without a value."""
    events: tuple[str, ...] = ()
    """Events that carry it; empty in the answer for one event."""
    more: dict[str, str] = Field({})
    """What else the platform reports of it, by its own names; only where there are few results."""


class Described(PartialResult):
    project_id: str
    today: str
    time_zone: str
    users: int | None = None
    event_rows: int | None = None
    first_day: str = ""
    last_day: str = ""
    loaded_at: str = ""
    age_days: int | None = Field(None, description="Days since the data was loaded")
    events: tuple[EventRow, ...] = ()
    properties: tuple[PropertyRow, ...] = ()
    total: int = Field(description="Events and properties that match")
    left_out: int = Field(0, description="Of them, not shown here")


@operation(title=Text("Find events and properties", "查找事件与属性"), effect=Effect.READ)
async def describe_data(params: DescribeData, deps: Deps) -> Described:
    """Find the events and properties that a definition may name, by words in English or Chinese (fuzzy; values are
    searched too). Call it before writing a definition: names must be exact. Without words it lists everything, a page
    at a time. "user" properties go into the top filts, "event" ones into an event's own filts."""
    project = deps.project(params.project_id)
    metadata = await deps.segments.metadata(project)
    event = _event(metadata, params.event)
    hits = search(metadata, params.search, event)
    if not hits and params.search and not params.offset:
        return _no_match(search(metadata, "", event), params, project, metadata, deps)
    return _described(hits, params, project, metadata, deps)


_NO_MATCH = Text('Nothing matches "{words}". These are {which}.', "没有找到与“{words}”相符的内容。以下是{which}。")
_ALL_NAMES = Text("all events and properties there are", "全部事件和属性")
_MOST_USED = Text("the first {n} of {all} events and properties", "{all} 个事件和属性中的前 {n} 个")


def _no_match(everything: list[Hit], params: DescribeData, project: str, metadata: Metadata, deps: Deps) -> Described:
    """The names of everything there is, with values that are short and tell nothing of a person."""
    shown = everything[:MOST_NAMES]
    left = len(everything) - len(shown)
    which = _MOST_USED.format(n=len(shown), all=len(everything)) if left else _ALL_NAMES
    described = _described(everything, params.model_copy(update={"limit": MOST_NAMES}), project, metadata, deps)
    return described.model_copy(
        update={
            "message": deps.say(_NO_MATCH.format(words=shorten(params.search), which=which)),
            "next": deps.say(_next([], 0, params, deps)),
            "properties": tuple(row.model_copy(update=_public(row)) for row in described.properties),
            "total": 0,
        }
    )


def _public(row: PropertyRow) -> dict[str, object]:
    parts = row.property.casefold().lstrip("#").replace("-", "_").split("_")
    private = any(
        part in parts or (not part.isascii() and part in row.property + row.display_name) for part in _PRIVATE
    )
    values = () if private else tuple(value for value in row.values if len(value) <= _SHORT_VALUE)
    return {"values": values, "more_values": 0 if private else row.more_values, "low": "", "high": ""}


def _described(hits: list[Hit], params: DescribeData, project: str, metadata: Metadata, deps: Deps) -> Described:
    page = hits[params.offset : params.offset + params.limit]
    left = max(0, len(hits) - params.offset - len(page))
    few = len(hits) <= FEW
    age = deps.data.age(project) if deps.data is not None else None
    return Described(
        message=deps.say(_message(hits, left, params)),
        next=deps.say(_next(hits, left, params, deps)),
        project_id=project,
        today=metadata.today.isoformat(),
        time_zone=metadata.zone,
        users=metadata.users,
        event_rows=metadata.rows,
        first_day=age.first if age else "",
        last_day=age.last if age else "",
        loaded_at=age.loaded_at if age else "",
        age_days=age.days if age else None,
        events=tuple(_event_row(h.item, deps, few=few) for h in page if isinstance(h.item, Event)),
        properties=tuple(
            _property_row(h.item, h.values, deps, params.event, few=few) for h in page if isinstance(h.item, Property)
        ),
        total=len(hits),
        left_out=left,
    )


async def describe_property(name: str, deps: Deps) -> Described:
    """The property of this name: the user's, the events', or both. NotFound names the nearest."""
    project = deps.project("")
    metadata = await deps.segments.metadata(project)
    hits = [Hit(p, 1.0) for table in ("user", "event") if (p := metadata.property(table, name))]
    if not hits:
        known = {p.name: (p.names.en, p.names.zh) for p in metadata.properties if p.table != "cluster"}
        raise _no_such(Text('There is no property "{name}".{hint}', "没有属性“{name}”。{hint}"), name, known)
    return _described(hits, DescribeData(), project, metadata, deps)


def _event(metadata: Metadata, name: str) -> Event | None:
    event = metadata.event_by_name.get(name)
    if name and event is None:
        known = {e.name: (e.names.en, e.names.zh) for e in metadata.events}
        raise _no_such(Text('There is no event "{name}".{hint}', "没有事件“{name}”。{hint}"), name, known)
    return event


def _no_such(text: Text, name: str, known: Mapping[str, tuple[str, str]]) -> NotFound:
    near = nearest_named(name, dict(known))
    hint = Text(" Did you mean {near}?", "是否指 {near}？").format(near=near) if near else NOTHING
    return NotFound(
        text.format(name=shorten(name, 80), hint=hint),
        next_step=Text("Call describe_data with search instead.", "请改用 search 参数查找。"),
    )


def _message(hits: list[Hit], left: int, params: DescribeData) -> Text:
    if not hits:
        return Text('Nothing matches "{words}".', "没有找到与“{words}”相符的内容。").format(
            words=shorten(params.search)
        )
    rest = Text("; {left} more not shown", "；另有 {left} 项未显示").format(left=left) if left else NOTHING
    return Text("{n} found{rest}.", "找到 {n} 项{rest}。").format(n=len(hits), rest=rest)


def _next(hits: list[Hit], left: int, params: DescribeData, deps: Deps) -> Text:
    if not hits and deps.segments.name != "local":
        return Text(
            "Try other words (the account has its names in one language only), or none to list everything.",
            "请换其他词（账号中的名称只有一种语言），或不带 search 列出全部。",
        )
    if not hits:
        return Text("Try other words, or none to list everything.", "请换其他词，或不带 search 列出全部。")
    if left:
        more = params.offset + params.limit
        return Text(
            "More: offset {more}, or narrow with search or event.", "更多：offset {more}，或用 search、event 缩小范围。"
        ).format(more=more)
    return Text("Write the definition and call validate_definition.", "据此写出定义，再调用 validate_definition。")


def _event_row(event: Event, deps: Deps, *, few: bool) -> EventRow:
    return EventRow(
        event=event.name,
        display_name=deps.say(Text(event.names.en, event.names.zh)),
        remark=deps.say(Text(event.names.remark_en, event.names.remark_zh)),
        count=event.count or None,  # an event that was counted has rows
        users=event.users if event.count else None,
        first=event.first,
        last=event.last,
        more=dict(event.more) if few else {},
    )


def _property_row(item: Property, searched: tuple[str, ...], deps: Deps, event: str, *, few: bool) -> PropertyRow:
    # A value that was searched for is shown first, however rare it is.
    values = [*searched, *(v.value for v in item.top if v.value not in searched)]
    return PropertyRow(
        property=item.name,
        table=item.table,
        type=item.type,
        display_name=deps.say(Text(item.names.en, item.names.zh)),
        remark=deps.say(Text(item.names.remark_en, item.names.remark_zh)),
        values=tuple(values[:VALUES_SHOWN]),
        more_values=max(0, item.distinct - VALUES_SHOWN) if item.top else 0,
        low=item.low,
        high=item.high,
        missing=f"{item.null_share:.1%}" if item.null_share else "",
        events=() if event else item.events[:VALUES_SHOWN],
        more=dict(item.more) if few else {},
    )
