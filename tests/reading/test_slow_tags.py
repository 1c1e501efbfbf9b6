"""Both readings of qp.md against examples worked out by hand: clusters and tags as conditions, values of tags (section 5)."""

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.reading.building import chosen, condition, event, given, group, times, user
from tests.reading.worlds import Column, Crowd

PEOPLE = [user(n) for n in (1, 2, 3)]
VIP = Crowd("vip", None, {"": dict.fromkeys((1, 77)), "2026-07-14": dict.fromkeys((2, 3))})
GRADE = Crowd("grade", Column("grade", "string", "VARCHAR"), {"": {1: "a", 2: "", 77: "a"}, "2026-07-14": {3: "a"}})
SPENT = Crowd("spent", Column("spent", "decimal", "DECIMAL(38,2)"), {"": {1: Decimal("0.10"), 2: Decimal(5)}})
SEEN = Crowd("seen", Column("seen", "time", "TIMESTAMP"), {"": {2: datetime(2026, 7, 14, 15, 59)}})


def known(name: str, word: str, *ftv: str, **more: str) -> dict[str, Any]:
    return condition(name, word, *ftv, table="cluster", **more)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (known("vip", "belongToCluster"), {1}),
        (known("vip", "notBelongToCluster"), {2, 3}),
        (known("vip", "belongToCluster", specifiedClusterDate="2026-07-14"), {2, 3}),
        (known("vip", "notBelongToCluster", specifiedClusterDate="2026-07-14"), {1}),
        (known("grade", "equal", "a", "x"), {1}),
        (known("grade", "notEqual", "a"), {2}),  # the third has no value
        (known("grade", "isNull"), {3}),
        (known("grade", "notNull"), {1, 2}),  # the empty text is a value
        (known("grade", "isNull", specifiedClusterDate="2026-07-14"), {1, 2}),
        (known("spent", "equal", "1e-1"), {1}),
        (known("spent", "notEqual", "0.100000000000000006"), {1, 2}),
        (known("seen", "range", "2026-07-14", "2026-07-14"), {2}),
        (known("seen", "relativeCurrentBetween", "1", "1"), {2}),
    ],
)
def test_clusters_and_tags_are_conditions_on_users(wanted: dict[str, Any], expected: set[int], tmp_path: Path) -> None:
    crowds = (VIP, GRADE, SPENT, SEEN)
    assert chosen({"filts": [wanted]}, users=PEOPLE, crowds=crowds, folder=tmp_path) == expected


def test_clusters_stand_in_groups_and_beside_events(tmp_path: Path) -> None:
    either = group("or", known("vip", "belongToCluster"), group("and", known("grade", "notNull")))
    definition = {"events": [times()], "filts": [either]}
    rows = [event(number=n) for n in (2, 3)]
    assert chosen(definition, rows, PEOPLE, crowds=(VIP, GRADE), folder=tmp_path) == {2}
    both = {
        "filts": [known("vip", "belongToCluster", specifiedClusterDate=day) for day in ("2026-07-14", "2026-07-13")]
    }
    older = Crowd("vip", None, VIP.versions | {"2026-07-13": {3: None}})
    assert chosen(both, users=PEOPLE, crowds=(older,), folder=tmp_path) == {3}


# --- values (section 5) --------------------------------------------------------------------------


def taken(name: str, *, first: bool, table: str = "event", **more: Any) -> dict[str, Any]:
    calc = {"isCalc": False, "property": {"columnName": name, "tableType": table}}
    inner = {"eventName": "pay", "isFirstEvent": first, "calcPropVo": calc} | more
    return {"userTagConFirstLastEventDef": {"userTagConFirstLastEvent": inner}}


def metric(analysis: str, quota: str = "", **more: Any) -> dict[str, Any]:
    inner = {"type": "normal", "eventName": "pay", "analysis": analysis} | ({"quota": quota} if quota else {}) | more
    return {"userTagConQuotaDef": {"userTagConQuotaEvent": inner}}


def test_the_first_value_that_matches_wins(tmp_path: Path) -> None:
    values = [
        {"tagValue": "often", "userClusterDef": {"events": [times("greater", "1")]}},
        {"tagValue": "", "userClusterDef": {"events": [times("greater", "0")]}},
        {"tagValue": "two", "userClusterDef": {"filts": [condition("#user_id", "equal", "2", "3")]}},
    ]
    rows = [event(number=n) for n in (1, 1, 2, 77)]
    assert given({"userTagValueDefs": values}, tmp_path, rows, [*PEOPLE, user(4)]) == {1: "often", 2: "", 3: "two"}


def test_of_equal_times_the_first_loaded_is_first_and_the_last_loaded_last(tmp_path: Path) -> None:
    rows = [event(item=item) | {"$row": row} for row, item in ((3, "c"), (1, "a"), (2, "b"))]
    assert given(taken("item", first=True), tmp_path, rows) == {1: "a"}
    assert given(taken("item", first=False), tmp_path, rows) == {1: "c"}
    earlier = event(at="2026-07-13", item="earlier") | {"$row": 9}
    assert given(taken("item", first=True), tmp_path, [*rows, earlier]) == {1: "earlier"}
    assert given(taken("item", first=True, recentDay="1-1"), tmp_path, [*rows, earlier]) == {1: "a"}


def test_a_missing_value_in_that_event_is_no_value(tmp_path: Path) -> None:
    rows = [event(at="2026-07-13", item=None), event(item="b")]
    assert given(taken("item", first=True), tmp_path, rows) == {}
    present = condition("item", "notNull", table="event")
    assert given(taken("item", first=True, filts=[present]), tmp_path, rows) == {1: "b"}


def test_a_taken_value_keeps_its_type(tmp_path: Path) -> None:
    rows = [event(count=2**53 + 1, price=Decimal("0.1"), amount=0.1, due=datetime(2026, 7, 1))]
    assert given(taken("count", first=True), tmp_path, rows) == {1: 2**53 + 1}
    assert given(taken("price", first=True), tmp_path, rows) == {1: Fraction(1, 10)}
    assert given(taken("amount", first=True), tmp_path, rows) == {1: 0.1}
    assert given(taken("due", first=True), tmp_path, rows) == {1: datetime(2026, 7, 1)}
    assert given(taken("#event_time", first=True), tmp_path, rows) == {1: rows[0]["#event_time"]}
    assert given(taken("vip", first=True, table="user"), tmp_path, rows, [user(vip=False)]) == {1: False}


def test_a_metric_has_every_user_with_a_matching_row_and_nobody_else(tmp_path: Path) -> None:
    rows = [event(number=n, count=c) for n, c in ((1, 3), (1, 4), (2, None), (77, 1))]
    assert given(metric("TIMES"), tmp_path, rows, PEOPLE) == {1: 2, 2: 1}
    assert given(metric("DISTINCT", "count"), tmp_path, rows, PEOPLE) == {1: 2, 2: 0}
    assert given(metric("SUM", "count"), tmp_path, rows, PEOPLE) == {1: 7}
    assert given(metric("MEDIAN", "count"), tmp_path, rows, PEOPLE) == {1: Fraction(7, 2)}
    assert given(metric("TIMES", recentDay="0-1"), tmp_path, rows, PEOPLE) == {}


def test_metrics_of_exact_columns_are_exact_and_of_doubles_rounded(tmp_path: Path) -> None:
    moment = timedelta(seconds=1)
    rows = [
        event(at=str(datetime(2026, 7, 14) + n * moment), count=2**63 - 1, price=Decimal("0.1"), amount=x)
        for n, x in enumerate((0.1, 0.2, 1 / 3))
    ]
    assert given(metric("SUM", "count"), tmp_path, rows) == {1: 3 * (2**63 - 1)}
    assert given(metric("SUM", "price"), tmp_path, rows) == {1: Fraction(3, 10)}
    assert given(metric("SUM", "amount"), tmp_path, rows[:2]) == {1: 0.3}
    assert given(metric("MAX", "amount"), tmp_path, rows) == {1: 1 / 3}
    assert given(metric("MEDIAN", "price"), tmp_path, [*rows, event(price=Decimal("0.1001"))][2:]) == {
        1: Fraction(10005, 100000)
    }
    assert given(metric("AVG", "price"), tmp_path, [event(price=Decimal(n)) for n in (1, 0, 0)]) == {1: 0.333333333}
