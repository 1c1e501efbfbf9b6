"""Tags in words: snapshots in both languages, who has no value, and that two meanings never read the same."""

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise, permutations

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from mcp_server.language import vocabulary
from mcp_server.language import vocabulary as words
from mcp_server.language.compare import compare_tags
from mcp_server.language.explain import explain_tag
from mcp_server.language.model import TagQp
from tests.language.meanings import Raw, collisions, meaning
from tests.language.projects import GAME, event, user
from tests.language.tags import FIRST_LAST, QUOTA, first_tag, metric_tag, taken, value, values_tag
from tests.language.test_explain_faithful import HOSTILE, METADATA, WINDOWS, having
from tests.reading.tables import metadata_of
from tests.reading.tag_strategies import tags
from tests.reading.worlds import still_world

AS_OF = ("As of 2024-07-01, Asia/Shanghai: ", "以 2024-07-01（Asia/Shanghai）为准，")
WEEK = (
    "from 2024-06-24 to 2024-06-30 (the past 7 days, without today)",
    "2024-06-24 至 2024-06-30（过去 7 天，不含今天）",
)
ALWAYS = ("at any time (future events included)", "任何时间（含未来的事件）")
ITEM = {"tableType": "event", "columnName": "item", "comparator": "equal", "ftv": ["x"]}

SNAPSHOTS = [
    (
        values_tag(value("heavy", tagRemark="spends a lot")),
        f'a tag with one value, "heavy" for users who meet this condition: did `purchase` (Purchase) more than 4 times '
        f"(5 or more) {WEEK[0]}. All other users have no value.",
        f'标签只有一个值："heavy"，适用于满足以下条件的用户：{WEEK[1]}，`purchase`（购买）的次数大于 4 次（即至少 5 次）。'
        "其他用户没有标签值。",
    ),
    (
        values_tag(
            value("a", {"events": [event(num="0")], "filts": [user("Level", "greater", "3")]}),
            value("b", {"filts": [user("city", "equal", "上海")]}),
        ),
        f'a user gets the first value that fits, in this order: (1) "a" for users who meet this condition: all of '
        f"[did `purchase` (Purchase) more than 0 times (1 or more) {WEEK[0]}; the user's `Level` is above 3]; "
        '(2) "b" for users who meet this condition: the user\'s `city` (City) is "上海". '
        "Users whom none of them fits have no value.",
        f'依次判断，取第一个符合的标签值：（1）"a"，适用于满足以下条件的用户：同时满足【{WEEK[1]}，`purchase`（购买）的次数'
        '大于 0 次（即至少 1 次）；用户的 `Level` 大于 3】；（2）"b"，适用于满足以下条件的用户：用户的 `city`（城市）等于 "上海"。'
        "都不符合的用户没有标签值。",
    ),
    (
        first_tag(filts=[ITEM]),
        f"each user's value is `amount` in their first event `purchase` (Purchase) {WEEK[0]}, counting only events where "
        '`item` is "x". Of events at the same moment the one loaded first counts; users without such an event, or without '
        "a value in it, have no value.",
        f'每个用户的标签值：{WEEK[1]}，首次 `purchase`（购买）事件中 `amount` 的值，只统计满足【`item` 等于 "x"】的事件。'
        "同一时刻有多个事件时，以最先载入的为准；没有该事件或该事件中无值的用户没有标签值。",
    ),
    (
        first_tag(eventName="anyEvent", isFirstEvent=False, recentDay=None, calcPropVo=taken("city", "user")),
        f"each user's value is the user's `city` (City) in their last event of any name {ALWAYS[0]}. Of events at the same "
        "moment the one loaded last counts; users without such an event, or without a value in it, have no value.",
        f"每个用户的标签值：{ALWAYS[1]}，末次任意事件中用户的 `city`（城市）的值。同一时刻有多个事件时，以最后载入的为准；"
        "没有该事件或该事件中无值的用户没有标签值。",
    ),
    (
        metric_tag(),
        f"each user's value is the sum of `amount` over `purchase` (Purchase) {WEEK[0]}. Users without such an event, or "
        "without a value in any of them, have no value.",
        f"每个用户的标签值：{WEEK[1]}，`purchase`（购买）中 `amount` 的总和。没有该事件或事件均无值的用户没有标签值。",
    ),
    (
        metric_tag(analysis="TIMES", quota=None, eventName="login"),
        f"each user's value is the number of times they did `login` (登录) {WEEK[0]}. "
        "Users without such an event have no value (not 0).",
        f"每个用户的标签值：{WEEK[1]}，`login`（登录）的次数。没有该事件的用户没有标签值（不是 0）。",
    ),
    (
        metric_tag(analysis="DISTINCT", quota="item", eventName="anyEvent"),
        f"each user's value is the number of different values of `item` over any event {WEEK[0]}. "
        "Events without a value count as none; users without such an event have no value (not 0).",
        f"每个用户的标签值：{WEEK[1]}，任意事件中 `item` 的去重数。事件均无值时计为 0；没有该事件的用户没有标签值（不是 0）。",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "en", "zh"), SNAPSHOTS)
def test_a_tag_reads_like_this(raw: Raw, en: str, zh: str) -> None:
    summary = explain_tag(TagQp.model_validate(raw), GAME).summary
    assert summary.en == AS_OF[0] + en
    assert summary.zh == AS_OF[1] + zh


def test_the_parts_are_the_values_in_order_and_last_who_has_none() -> None:
    parts = explain_tag(TagQp.model_validate(values_tag()), GAME).parts
    assert [p.path for p in parts] == ["/userTagValueDefs/0", "/userTagValueDefs/1", ""]
    assert parts[-1].text.en == "The first value that fits counts; users whom none of them fits have no value"
    assert parts[-1].text.zh == "依次判断，以第一个符合的标签值为准；都不符合的用户没有标签值"


@pytest.mark.parametrize(("raw", "path"), [(first_tag(), FIRST_LAST), (metric_tag(), QUOTA)])
def test_what_is_taken_of_events_is_a_part_and_who_has_nothing_is_the_last(raw: Raw, path: str) -> None:
    explanation = explain_tag(TagQp.model_validate(raw), GAME)
    assert [p.path for p in explanation.parts] == [path, ""]
    for part in explanation.parts:
        assert part.text.en in explanation.summary.en
        assert part.text.zh in explanation.summary.zh


def test_a_value_cannot_imitate_our_words() -> None:
    sly = values_tag(value('a" for users who meet this condition: nobody; (2) "b\n'))
    assert (
        '"a\\" for users who meet this condition: nobody; (2) \\"b\\n"'
        in explain_tag(TagQp.model_validate(sly), GAME).summary.en
    )


# Two meanings never read the same


def near_tags() -> Iterator[Raw]:
    """A few thousand tags, each close to many others."""
    pay = {"eventName": "pay", "recentDay": None}
    filters = [having("note", "equal", v, table=t) for v in ("a", "b") for t in ("event", "user")]
    rows: list[Raw] = [
        *({"eventName": name} for name in (*filter(None, HOSTILE), "anyEvent", "login", "odd")),
        *WINDOWS,
        *({"filts": [f]} for f in filters),
        *({"filts": list(two), "relation": r} for two in combinations(filters, 2) for r in ("and", "or")),
    ]
    measures = [{"analysis": "TIMES", "quota": None}] + [
        {"analysis": word, "quota": quota}
        for word in words.MEASURES
        if word != "TIMES"
        for quota in ("amount", "price", "level", "odd name`")
    ]
    owned = [("event", n) for n in ("amount", "price", "level", *filter(None, HOSTILE))]
    sources = [
        {"isFirstEvent": first, "calcPropVo": taken(column, table)}
        for first in (True, False)
        for table, column in (*owned, ("user", "level"), ("user", "city"))
    ]
    for row in rows:
        yield from (metric_tag(**pay | m | row) for m in measures)
        yield from (first_tag(**pay | s | row) for s in sources[::3])
    yield from (first_tag(**pay | s) for s in sources)
    yield from value_lists()


def value_lists() -> Iterator[Raw]:
    conditions: list[Raw] = [
        {"filts": [having("level", "greater", "3")]},
        {"filts": [having("level", "greater", "4")]},
        {"filts": [having("level", "greater", "3"), having("vip", "isTrue")]},
        {"filts": [having("level", "greater", "3"), having("vip", "isTrue")], "relation": "or"},
    ]
    for text in HOSTILE:
        yield from (values_tag(value(text, c)) for c in conditions)
    for size in (2, 3):
        for texts in permutations(("a", "b", "c", 'a" for'), size):
            for chosen in permutations(conditions, size):
                yield values_tag(*(value(t, c) for t, c in zip(texts, chosen, strict=True)))


def test_thousands_of_near_tags_never_read_the_same() -> None:
    raws = list(near_tags())
    assert len({meaning(raw, METADATA) for raw in raws}) > 2000
    assert collisions(raws, METADATA) == []


def test_generated_tags_never_read_the_same() -> None:
    drawn: list[Raw] = []

    @settings(
        max_examples=150,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(tags(still_world()))
    def draw(raw: Raw) -> None:
        drawn.append(raw)

    draw()
    assert sum(vocabulary.VALUES in t for t in drawn) > 20
    assert sum(vocabulary.VALUES not in t for t in drawn) > 30
    assert collisions([*drawn, *exchanged(drawn)], metadata_of(still_world())) == []


def exchanged(raws: Sequence[Raw]) -> Iterator[Raw]:
    """Tags next to those they were made of: another event, window, filters, measure or property; values in another order."""
    for one, other in pairwise(raws):
        if vocabulary.VALUES in one:
            yield {vocabulary.VALUES: one[vocabulary.VALUES][::-1]}
            yield {vocabulary.VALUES: one[vocabulary.VALUES][:1]}
            if vocabulary.VALUES in other:
                taken_over = {"userClusterDef": other[vocabulary.VALUES][0]["userClusterDef"]}
                yield {vocabulary.VALUES: [one[vocabulary.VALUES][0] | taken_over, *one[vocabulary.VALUES][1:]]}
            continue
        for holder, key in (
            (vocabulary.FIRST_LAST, vocabulary.FIRST_LAST_EVENT),
            (vocabulary.QUOTA, vocabulary.QUOTA_EVENT),
        ):
            if holder in one and holder in other:
                mine, theirs = one[holder][key], other[holder][key]
                for part in (
                    {"eventName"},
                    {"recentDay", "startTime", "endTime"},
                    {"filts", "relation"},
                    {"isFirstEvent"},
                    {"calcPropVo"},
                    {"analysis", "quota"},
                ):
                    kept = {k: v for k, v in mine.items() if k not in part}
                    yield {holder: {key: kept | {k: theirs[k] for k in part if k in theirs}}}


# What changes


def changes(old: Raw, new: Raw) -> list[tuple[str, str]]:
    return [tuple(t) for t in compare_tags(TagQp.model_validate(old), TagQp.model_validate(new), GAME)]


FEW = {"events": [event(num="1")]}
A, B, C = value("a"), value("b", FEW), value("c", {"filts": [user("vip", "isTrue")]})


def test_the_same_meaning_changes_nothing() -> None:
    assert changes(values_tag(A, B), values_tag(A | {"tagRemark": "x"}, B)) == []
    assert changes(metric_tag(), metric_tag(type=None, startTime="2024-01-01")) == []


def test_values_that_come_go_and_change_are_told() -> None:
    [added] = changes(values_tag(A), values_tag(A, C))
    assert added == (
        'added value: "c" for users who meet this condition: the user\'s `vip` is true',
        '新增标签值："c"，适用于满足以下条件的用户：用户的 `vip` 为真',
    )
    [removed] = changes(values_tag(A, C), values_tag(A))
    assert (removed[0][:20], removed[1][:8]) == ('removed value: "c" f', '删除标签值："c')
    assert changes(values_tag(A, B), values_tag(A, B | {"userClusterDef": {"events": [event(num="2")]}})) == [
        (
            'value "b", changed, `purchase` (Purchase): “did `purchase` (Purchase) more than 1 time (2 or more)” becomes '
            "“did `purchase` (Purchase) more than 2 times (3 or more)”",
            '标签值 "b"，修改条件（`purchase`（购买））：由“`purchase`（购买）的次数大于 1 次（即至少 2 次）”改为'
            "“`purchase`（购买）的次数大于 2 次（即至少 3 次）”",
        )
    ]
    assert changes(values_tag(A, B), values_tag(A, B | {"tagValue": "d"})) == [
        ('the value "b" becomes "d"', '标签值 "b" 改为 "d"')
    ]


def test_another_order_of_values_is_told_also_where_one_comes_in_between() -> None:
    assert changes(values_tag(A, B), values_tag(B, A)) == [
        (
            'the values are tried in this order: "b", "a", no longer "a", "b"',
            '标签值的判断顺序改为："b"、"a"；原为："a"、"b"',
        )
    ]
    changed = changes(values_tag(A, B), values_tag(A, C, B))
    assert [t[0].split(" ")[0] for t in changed] == ["added", "the"]
    assert 'tried in this order: "a", "c", "b"' in changed[1][0]
    assert len(changes(values_tag(A, C, B), values_tag(A, B))) == 1


def test_what_is_taken_of_events_changes_part_by_part() -> None:
    assert changes(metric_tag(), metric_tag(analysis="MAX", filts=[ITEM])) == [
        (
            "what is taken changes: “the sum of `amount` over `purchase` (Purchase)” becomes "
            "“the largest `amount` over `purchase` (Purchase)”",
            "标签取值由“`purchase`（购买）中 `amount` 的总和”改为“`purchase`（购买）中 `amount` 的最大值”",
        ),
        (
            'what is taken changes: “counting every such event” becomes “counting only events where `item` is "x"”',
            '标签取值由“统计所有该事件”改为“只统计满足【`item` 等于 "x"】的事件”',
        ),
    ]
    assert len(changes(first_tag(), first_tag(isFirstEvent=False, recentDay="1-30"))) == 2


def test_another_kind_of_tag_is_told_whole() -> None:
    [(en, zh)] = changes(metric_tag(), values_tag(A, C))
    assert en.startswith("the whole tag changes: “the sum of `amount` over `purchase` (Purchase) from 2024-06-24")
    assert '(2) "c" for users' in en
    assert zh.startswith("整个标签定义由“2024-06-24 至")


def test_every_change_of_meaning_is_told() -> None:
    raws = [values_tag(A), values_tag(A, B), values_tag(B, A), values_tag(C, A, B), metric_tag(), metric_tag(analysis="MIN"),
            first_tag(), first_tag(isFirstEvent=False), first_tag(eventName="login")]  # fmt: skip
    assert [pair for pair in permutations(raws, 2) if not changes(*pair)] == []
