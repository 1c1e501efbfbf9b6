"""Sentences as a marketing person reads them, written by hand in both languages."""

import re
from datetime import date
from typing import Any

import pytest

from mcp_server.language import vocabulary as words
from mcp_server.language.explain import Explanation, explain_qp
from mcp_server.language.metadata import Event, Metadata, Names, Property
from mcp_server.language.model import Qp

METADATA = Metadata(
    project_id="1",
    today=date(1998, 7, 1),
    events=(
        Event(name="purchase", names=Names(en="Purchase", zh="购买")),
        Event(name="login", names=Names(zh="登录")),
        Event(name="refund"),
    ),
    properties=(
        Property(table="event", name="amount", type="number", names=Names(en="Amount", zh="金额")),
        Property(table="event", name="item", type="string"),
        Property(table="event", name="gift", type="bool", names=Names(en="As a gift", zh="是否礼品")),
        Property(table="event", name="due", type="time"),
        Property(table="user", name="level", type="number", names=Names(en="Level", zh="等级")),
        Property(table="user", name="city", type="string", names=Names(en="City", zh="城市")),
        Property(table="user", name="born", type="time", names=Names(en="Date of birth", zh="生日")),
        Property(table="user", name="vip", type="bool"),
        Property(table="user", name="tags", type="list", names=Names(en="Tags", zh="标签")),
    ),
)
WEEK_EN = "from 1998-06-24 to 1998-06-30 (the past 7 days, without today)"
WEEK_ZH = "1998-06-24 至 1998-06-30（过去 7 天，不含今天）"
EVER_EN, EVER_ZH = "at any time (future events included)", "任何时间（含未来的事件）"


def event(comparator: str = "greater", num: str = "4", name: str = "purchase", **more: Any) -> dict[str, Any]:
    return {"eventName": name, "comparator": comparator, "num": num, "taPropQuota": {"analysis": "TIMES"}} | more


def measured(analysis: str, quota: str, comparator: str, num: str, **more: Any) -> dict[str, Any]:
    return event(comparator, num, **more) | {"taPropQuota": {"analysis": analysis, "quota": quota}}


def having(name: str, comparator: str, *ftv: str, table: str = "user", **more: Any) -> dict[str, Any]:
    return {"tableType": table, "columnName": name, "comparator": comparator, "ftv": list(ftv)} | more


def group(relation: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"filterType": "COMPOUND", "relation": relation, "filts": list(parts)}


def said(metadata: Metadata = METADATA, **definition: Any) -> Explanation:
    return explain_qp(Qp.model_validate(definition), metadata)


def once(condition: dict[str, Any], metadata: Metadata = METADATA) -> tuple[str, str]:
    """What is said of one condition, in both languages."""
    side = "events" if "eventName" in condition else "filts"
    (part,) = said(metadata, **{side: [condition]}).parts
    return part.text.en, part.text.zh


EVENTS: list[tuple[dict[str, Any], str, str]] = [
    (
        event(recentDay="1-7"),
        f"did `purchase` (Purchase) more than 4 times (5 or more) {WEEK_EN}",
        f"{WEEK_ZH}，`purchase`（购买）的次数大于 4 次（即至少 5 次）",
    ),
    (
        event("less", "1", recentDay="0-7"),
        "never did `purchase` (Purchase) from 1998-06-25 to 1998-07-01 (the past 7 days, with today)",
        "1998-06-25 至 1998-07-01（过去 7 天，含今天），从未触发 `purchase`（购买）事件",
    ),
    (
        event("less", "3", recentDay="1-1"),
        "did `purchase` (Purchase) fewer than 3 times (at most 2; includes users who never did it) on 1998-06-30 (yesterday)",
        "1998-06-30（昨天），`purchase`（购买）的次数小于 3 次（即至多 2 次，含从未做过的用户）",
    ),
    (
        event("equal", "1", name="login", recentDay="0-1"),
        "did `login` (登录) exactly 1 time on 1998-07-01 (today)",
        "1998-07-01（今天），`login`（登录）的次数等于 1 次",
    ),
    (
        event("notEqual", "3", name="refund", recentDay="8-14"),
        "did `refund` a number of times other than 3 (includes users who never did it) "
        "from 1998-06-17 to 1998-06-23 (8 to 14 days ago)",
        "1998-06-17 至 1998-06-23（8 至 14 天前），`refund` 的次数不等于 3 次（含从未做过的用户）",
    ),
    (
        event("range", "2,5", name="anyEvent", startTime="1998-01-01", endTime="1998-01-31"),
        "did any event from 2 to 5 times (both included), from 1998-01-01 to 1998-01-31 "
        "(fixed dates, the whole last day included)",
        "1998-01-01 至 1998-01-31（固定日期，含最后一天全天），任意事件的次数为 2 至 5 次（含两端）",
    ),
    (
        event("equal", "0", name="anyEvent", startTime="1998-01-01 08:00:00"),
        "never did any event from 1998-01-01 08:00:00 on (fixed date, no end: future events included)",
        "1998-01-01 08:00:00 起（固定日期，不限结束时间，含未来的事件），从未触发任何事件",
    ),
    (
        event("range", "5,9000000000000000", endTime="1998-01-31 12:00:00"),
        "did `purchase` (Purchase) at least 5 times up to 1998-01-31 12:00:00 "
        "(fixed date, to the second, the last second included, no start)",
        "截至 1998-01-31 12:00:00（固定日期，精确到秒，含最后一秒，不限开始时间），`purchase`（购买）的次数至少为 5 次",
    ),
    (
        event("greater", "2.5"),
        f"did `purchase` (Purchase) more than 2.5 times (3 or more) {EVER_EN}",
        f"{EVER_ZH}，`purchase`（购买）的次数大于 2.5 次（即至少 3 次）",
    ),
    (
        event("equal", "2.5"),
        f"did `purchase` (Purchase) exactly 2.5 times (no user can meet this) {EVER_EN}",
        f"{EVER_ZH}，`purchase`（购买）的次数等于 2.5 次（没有用户能满足）",
    ),
    (
        event("equal", "-1"),
        f"did `purchase` (Purchase) exactly -1 times (no user can meet this) {EVER_EN}",
        f"{EVER_ZH}，`purchase`（购买）的次数等于 -1 次（没有用户能满足）",
    ),
    (
        event("range", "-1,2.5"),
        f"did `purchase` (Purchase) from -1 to 2.5 times (both included; at most 2; includes users who never did it) {EVER_EN}",
        f"{EVER_ZH}，`purchase`（购买）的次数为 -1 至 2.5 次（含两端，即至多 2 次，含从未做过的用户）",
    ),
    (
        event("range", "-5,-2"),
        f"did `purchase` (Purchase) from -5 to -2 times (both included; no user can meet this) {EVER_EN}",
        f"{EVER_ZH}，`purchase`（购买）的次数为 -5 至 -2 次（含两端，没有用户能满足）",
    ),
    (
        event("greater", "-5"),
        f"did `purchase` (Purchase) more than -5 times (0 or more; includes users who never did it) {EVER_EN}",
        f"{EVER_ZH}，`purchase`（购买）的次数大于 -5 次（即至少 0 次，含从未做过的用户）",
    ),
    (
        event("range", "1.5,9000000000000000"),
        f"did `purchase` (Purchase) at least 1.5 times (2 or more) {EVER_EN}",
        f"{EVER_ZH}，`purchase`（购买）的次数至少为 1.5 次（即至少 2 次）",
    ),
    (
        event("range", "-9000000000000000,2.5"),
        f"did `purchase` (Purchase) at most 2.5 times (at most 2; includes users who never did it) {EVER_EN}",
        f"{EVER_ZH}，`purchase`（购买）的次数至多为 2.5 次（即至多 2 次，含从未做过的用户）",
    ),
    (
        event("notEqual", "0"),
        f"did `purchase` (Purchase) a number of times other than 0 (1 or more) {EVER_EN}",
        f"{EVER_ZH}，`purchase`（购买）的次数不等于 0 次（即至少 1 次）",
    ),
    (
        measured("DISTINCT", "item", "range", "1.5,3"),
        "the number of different values of `item` over `purchase` (Purchase) is from 1.5 to 3 "
        f"(both included; that is 2 to 3) {EVER_EN}",
        f"{EVER_ZH}，`purchase`（购买）中 `item` 的去重数为 1.5 至 3（含两端，即 2 至 3）",
    ),
    (
        measured("SUM", "amount", "greater", "100.50", startTime="1998-01-01", endTime="1998-01-01"),
        "the sum of `amount` (Amount) over `purchase` (Purchase) is more than 100.50 on 1998-01-01 (fixed date, the whole day)",
        "1998-01-01（固定日期，全天），`purchase`（购买）中 `amount`（金额）的总和大于 100.50",
    ),
    *(
        (
            measured(analysis, "amount", "notEqual", "0"),
            f"the {word_en} `amount` (Amount) over `purchase` (Purchase) is not 0 "
            f"(users without such an event or without a value are not included) {EVER_EN}",
            f"{EVER_ZH}，`purchase`（购买）中 `amount`（金额）的{word_zh}不等于 0（不含没有该事件或没有值的用户）",
        )
        for analysis, word_en, word_zh in (
            ("MIN", "smallest", "最小值"),
            ("MAX", "largest", "最大值"),
            ("AVG", "average of", "平均值"),
        )
    ),
    (
        measured("SUM", "amount", "range", "0.1,1", recentDay="1-7"),
        f"the sum of `amount` (Amount) over `purchase` (Purchase) is from 0.1 to 1 (both included), {WEEK_EN}",
        f"{WEEK_ZH}，`purchase`（购买）中 `amount`（金额）的总和为 0.1 至 1（含两端）",
    ),
    (
        measured("AVG", "amount", "less", "20", endTime="1998-01-31"),
        "the average of `amount` (Amount) over `purchase` (Purchase) is less than 20 "
        "(users without such an event or without a value are not included) "
        "up to 1998-01-31 (fixed date, the whole last day included, no start)",
        "截至 1998-01-31（固定日期，含最后一天全天，不限开始时间），"
        "`purchase`（购买）中 `amount`（金额）的平均值小于 20（不含没有该事件或没有值的用户）",
    ),
    (
        measured("DISTINCT", "item", "less", "3", recentDay="2-2"),
        "the number of different values of `item` over `purchase` (Purchase) is less than 3 "
        "(at most 2; events without a value count as none; users without such an event are not included) "
        "on 1998-06-29 (2 days ago)",
        "1998-06-29（2 天前），`purchase`（购买）中 `item` 的去重数小于 3"
        "（即至多 2，事件均无值时计为 0，不含没有该事件的用户）",
    ),
    (
        event(filts=[having("item", "equal", "CD", table="event")], recentDay="1-7"),
        f'did `purchase` (Purchase) more than 4 times (5 or more) {WEEK_EN}, counting only events where `item` is "CD"',
        f'{WEEK_ZH}，`purchase`（购买）的次数大于 4 次（即至少 5 次），只统计满足【`item` 等于 "CD"】的事件',
    ),
    (
        event(
            "less",
            "1",
            relation="or",
            filts=[having("gift", "isFalse", table="event"), having("level", "greater", "3")],
        ),
        f"never did `purchase` (Purchase) {EVER_EN}, counting only events that meet any of "
        "[`gift` (As a gift) is false (a missing value does not match); the user's `level` (Level) is above 3]",
        f"{EVER_ZH}，从未触发 `purchase`（购买）事件，只统计满足任一"
        "【`gift`（是否礼品）为假（无值不算满足）；用户的 `level`（等级）大于 3】的事件",
    ),
    (
        event(filts=[having("born", "relativeEventBefore", "1", timeUnit="day")], recentDay="1-7"),
        f"did `purchase` (Purchase) more than 4 times (5 or more) {WEEK_EN}, counting only events where "
        "the user's `born` (Date of birth) is at most 1 day of 24 hours before the event",
        f"{WEEK_ZH}，`purchase`（购买）的次数大于 4 次（即至少 5 次），"
        "只统计满足【用户的 `born`（生日）在事件发生前 1 天（每天按 24 小时计）以内】的事件",
    ),
]

FILTERS: list[tuple[dict[str, Any], str, str]] = [
    (having("level", "greater", "3"), "the user's `level` (Level) is above 3", "用户的 `level`（等级）大于 3"),
    (
        having("level", "range", "3", "9000000000000000"),
        "the user's `level` (Level) is at least 3",
        "用户的 `level`（等级）至少为 3",
    ),
    (
        having("level", "range", "1", "3"),
        "the user's `level` (Level) is from 1 to 3 (both included)",
        "用户的 `level`（等级）为 1 至 3（含两端）",
    ),
    (
        having("city", "notEqual", "北京", 'a" or "b'),
        'the user\'s `city` (City) is none of "北京", "a\\" or \\"b" (a missing value does not match)',
        '用户的 `city`（城市）不等于 "北京"、"a\\" or \\"b" 中的任何一个（无值不算满足）',
    ),
    (
        having("city", "include", "海"),
        'the user\'s `city` (City) contains "海"',
        '用户的 `city`（城市）包含 "海"',
    ),
    (
        having("city", "notRegexMatch", "^上"),
        'the user\'s `city` (City) does not match the pattern "^上" (case-sensitive; a missing value does not match)',
        '用户的 `city`（城市）不匹配正则 "^上"（区分大小写，无值不算满足）',
    ),
    (having("vip", "notNull"), "the user's `vip` has a value", "用户的 `vip` 有值"),
    (
        having("born", "range", "1970-01-01", "1970-01-02"),
        "the user's `born` (Date of birth) is from 1970-01-01 00:00:00 to the end of 1970-01-02 (both included)",
        "用户的 `born`（生日）为 1970-01-01 00:00:00 至 1970-01-02 当天结束（含两端）",
    ),
    (
        having("born", "range", "1970-01-01", "9999-12-31 23:59:59"),
        "the user's `born` (Date of birth) is at or after 1970-01-01 00:00:00",
        "用户的 `born`（生日）不早于 1970-01-01 00:00:00",
    ),
    (
        having("born", "relativeCurrentBetween", "0", "7"),
        "the user's `born` (Date of birth) falls within 1998-06-25 to 1998-07-01 (the past 7 days, with today)",
        "用户的 `born`（生日）在 1998-06-25 至 1998-07-01（过去 7 天，含今天）之内",
    ),
    (
        having("born", "relativeCurrentBefore", "7"),
        "the user's `born` (Date of birth) is before 1998-06-24 00:00:00 (the start of the day 7 days ago)",
        "用户的 `born`（生日）早于 1998-06-24 00:00:00（7 天前当日零点）",
    ),
    (
        having("tags", "arrayNotIncludeItem", "new", "vip"),
        'the user\'s `tags` (Tags) has none of the items "new", "vip" (a missing value does not match)',
        '用户的 `tags`（标签）不含元素 "new"、"vip" 中的任何一个（无值不算满足）',
    ),
    (
        having("tags", "arrayItemPos", "2", "vip"),
        'the user\'s `tags` (Tags) has the item "vip" at position 2',
        '用户的 `tags`（标签）第 2 个元素为 "vip"',
    ),
    (
        group("or", having("level", "less", "3"), group("and", having("vip", "isTrue"), having("city", "isNull"))),
        "any of [the user's `level` (Level) is below 3; all of [the user's `vip` is true; the user's `city` (City) has no value]]",
        "满足任一【用户的 `level`（等级）小于 3；同时满足【用户的 `vip` 为真；用户的 `city`（城市）无值】】",
    ),
]


@pytest.mark.parametrize(("condition", "english", "chinese"), EVENTS + FILTERS)
def test_a_condition_reads_as_written_by_hand(condition: dict[str, Any], english: str, chinese: str) -> None:
    assert once(condition) == (english, chinese)


def test_one_condition_is_the_whole_summary() -> None:
    explanation = said(events=[event(recentDay="1-7")])

    assert explanation.summary == (
        "As of 1998-07-01, Asia/Shanghai: users who meet this condition: "
        f"did `purchase` (Purchase) more than 4 times (5 or more) {WEEK_EN}.",
        f"以 1998-07-01（Asia/Shanghai）为准，满足以下条件的用户：{WEEK_ZH}，`purchase`（购买）的次数大于 4 次（即至少 5 次）。",
    )
    assert [p.path for p in explanation.parts] == ["/events/0"]


def test_conditions_are_numbered_and_the_sides_bracketed() -> None:
    explanation = said(
        events=[event("greater", "0", name="refund", recentDay="1-7"), event("less", "1", recentDay="1-7")],
        event_relation="or",
        filts=[having("level", "greater", "3"), having("vip", "isTrue")],
    )

    assert explanation.summary == (
        "As of 1998-07-01, Asia/Shanghai: users who meet all of: "
        f"any of [(1) did `refund` more than 0 times (1 or more) {WEEK_EN}; (2) never did `purchase` (Purchase) {WEEK_EN}]; "
        "(3) the user's `level` (Level) is above 3; (4) the user's `vip` is true.",
        "以 1998-07-01（Asia/Shanghai）为准，同时满足以下条件的用户："
        f"满足任一【（1）{WEEK_ZH}，`refund` 的次数大于 0 次（即至少 1 次）；（2）{WEEK_ZH}，从未触发 `purchase`（购买）事件】；"
        "（3）用户的 `level`（等级）大于 3；（4）用户的 `vip` 为真。",
    )
    assert [p.path for p in explanation.parts] == ["/events/0", "/events/1", "/filts/0", "/filts/1", ""]
    assert explanation.parts[-1].text == (
        "users must meet all of: any of [(1); (2)]; (3); (4)",
        "须同时满足：满足任一【（1）；（2）】；（3）；（4）",
    )


def test_sides_joined_by_or_read_as_any_of() -> None:
    explanation = said(
        events=[event()],
        filts=[having("level", "greater", "3"), having("vip", "isTrue")],
        event_user_relation="or",
    )

    assert explanation.parts[-1].text == (
        "users must meet any of: (1); all of [(2); (3)]",
        "须满足任一：（1）；同时满足【（2）；（3）】",
    )
    assert "满足以下任一条件的用户：（1）" in explanation.summary.zh


def test_a_relation_that_joins_nothing_changes_no_word() -> None:
    assert said(filts=[having("vip", "isTrue")], relation="or") == said(filts=[having("vip", "isTrue")])


def test_every_value_is_shown_up_to_twenty() -> None:
    english, chinese = once(having("city", "equal", *(f"c{i}" for i in range(20))))

    assert all(f'"c{i}"' in text for i in range(20) for text in (english, chinese))


def test_of_more_values_ten_the_count_and_a_hash_are_shown() -> None:
    values = [f"c{i}" for i in range(25)]
    english, chinese = once(having("city", "equal", *values))
    changed, _ = once(having("city", "equal", *values[:-1], "other"))

    assert re.search(r'"c9", … \(25 values in all, list [0-9a-f]{12}\)$', english)
    assert re.search(r'"c9"……（共 25 个值，列表指纹 [0-9a-f]{12}）中的任一个$', chinese)
    assert "c10" not in english
    assert changed != english


def test_a_property_is_named_in_its_declared_spelling() -> None:
    assert once(having("LEVEL", "greater", "3")) == once(having("level", "greater", "3"))


def test_a_date_with_and_without_its_midnight_reads_the_same() -> None:
    assert once(having("born", "equal", "1970-01-01")) == once(having("born", "equal", "1970-01-01 00:00:00"))


def test_what_cannot_be_seen_is_escaped() -> None:
    english, _ = once(having("city", "equal", "a\u200bb", "e\u0301", "\u202eabc", "x\ny"))

    assert english.endswith(r'is one of "a\u200bb", "e\u0301", "\u202eabc", "x\ny"')


def test_a_name_cannot_close_its_backticks() -> None:
    hostile = "purchase` (Purchase) more than 9 times"

    assert once(event(name=hostile))[0].startswith(r"did `purchase\` (Purchase) more than 9 times` more than 4 times")


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("word", [row.word for row in words.COMPARATORS.values() if not row.of_cluster])
def test_every_word_reads_well_in_both_languages(word: str, count: int) -> None:
    row = words.COMPARATORS[word]
    name = {"string": "item", "number": "amount", "bool": "gift", "time": "due", "list": "items"}[min(row.types)]
    values = ["1", "2"][: min(max(count, row.values[0]), row.values[1])]
    unit = {"timeUnit": "hour"} if row.in_event else {}
    english, chinese = once(event(filts=[having(name, word, *values, table="event", **unit)]))

    assert not re.search(r"[{}]|  |[（），；：。【】一-龥]", english)
    ours = re.sub(r"`[^`]*`|\"[^\"]*\"|[0-9:]+", "", chinese)
    assert not re.search(r"[{}(),;:\[\]]|）[ ]|[a-z]", ours)


@pytest.mark.parametrize(
    "definition",
    [
        {"events": [event(recentDay="0-0")]},
        {"events": [event(recentDay="99999-99999")]},
        {"events": [event(startTime="2024-02-31")]},
        {"events": [event("greater", "1e999999999999")]},
        {"events": [event("range", "5,2")]},
        {"events": [event(name="no such event"), measured("SUM", "no such property", "less", "0")]},
        {"filts": [having("born", "relativeCurrentBefore", "99999999999")]},
        {"filts": [having("born", "relativeCurrentBetween", "x", "")]},
        {"filts": [having("born", "range", "yesterday", "")]},
        {"filts": [having("level", "greater", "٣"), having("tags", "arrayItemPos", "first", "")]},
    ],
)
def test_a_definition_that_was_not_checked_is_explained_too(definition: dict[str, Any]) -> None:
    assert said(**definition).summary.en


def test_a_cluster_without_a_display_name_stands_close_to_what_follows() -> None:
    condition = having("nobody", "belongToCluster", table="cluster")
    explained = said(filts=[condition, having("nobody", "notBelongToCluster", table="cluster")])
    assert explained.parts[0].text.zh == "属于分群 `nobody`"
    assert " ；" not in explained.summary.zh
    assert " 。" not in explained.summary.zh
