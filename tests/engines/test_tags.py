"""Tags on the real engine: which value a user gets, exactly, and who gets none."""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from mcp_server.engines.dialect import DUCKDB, Tables
from mcp_server.engines.sql import tag_sql
from mcp_server.language.metadata import Event, Metadata, Property
from mcp_server.language.model import TagQp
from mcp_server.plan.compile import compile_tag

BIG = 2**53
WORLD = Metadata(
    project_id="1",
    today=date(2024, 7, 1),
    events=(Event(name="buy"), Event(name="login")),
    properties=(
        Property(table="event", name="n", type="number", scale=0),
        Property(table="event", name="price", type="number", scale=2),
        Property(table="event", name="x", type="number"),
        Property(table="event", name="item", type="string"),
        Property(table="event", name="at", type="time"),
        Property(table="event", name="ok", type="bool"),
        Property(table="user", name="city", type="string"),
        Property(table="cluster", name="vip", type="cluster"),
    ),
)
TABLES = f"""
CREATE TABLE users AS SELECT * FROM (VALUES (1::BIGINT, 'a'), (2, NULL), (3, 'c'), (4, 'd')) t("#user_id", city);
CREATE TABLE vip AS SELECT 3::BIGINT AS user_id;
CREATE TABLE events AS SELECT * FROM (VALUES
  (10::BIGINT, 1::BIGINT, 'buy', TIMESTAMP '2024-06-01', {BIG}::BIGINT, 0.10::DECIMAL(9, 2), 0.1::DOUBLE, 'first', TIMESTAMP '2024-01-01', true),
  (11, 1, 'buy', TIMESTAMP '2024-06-01', {BIG + 1}, 0.25, 0.2, 'tied', TIMESTAMP '2024-01-02', false),
  (12, 2, 'buy', TIMESTAMP '2024-06-02', 7, 1.00, 1, 'x', NULL, true),
  (13, 2, 'buy', TIMESTAMP '2024-06-03', NULL, NULL, NULL, NULL, NULL, NULL),
  (14, 3, 'login', TIMESTAMP '2024-06-03', NULL, NULL, NULL, NULL, NULL, NULL),
  (15, 99, 'buy', TIMESTAMP '2024-06-03', 1, 1, 1, 'stranger', NULL, NULL),
) t("$row", "#user_id", "#event_name", "#event_time", n, price, x, item, "at", ok);
"""


@pytest.fixture
def given() -> Callable[..., dict[int, Any]]:
    """The value of every user that a tag reaches; each user once."""
    db = duckdb.connect()
    db.execute(TABLES)

    def run(tag: dict[str, Any], *, complete: bool = False) -> dict[int, Any]:
        plan = compile_tag(TagQp.model_validate(tag), WORLD)
        rows = db.execute(tag_sql(plan, DUCKDB, Tables(users_complete=complete))).fetchall()
        assert len({user for user, _ in rows}) == len(rows)
        assert all(value is not None for _, value in rows)
        return dict(rows)

    return run


def taken(column: str, *, first: bool, table: str = "event", **more: object) -> dict[str, Any]:
    event = {
        "eventName": "buy",
        "isFirstEvent": first,
        "calcPropVo": {"isCalc": False, "property": {"columnName": column, "tableType": table}},
        **more,
    }
    return {"userTagConFirstLastEventDef": {"userTagConFirstLastEvent": event}}


def measured(analysis: str, quota: str = "", **more: object) -> dict[str, Any]:
    event = {"type": "normal", "eventName": "buy", "analysis": analysis, **({"quota": quota} if quota else {}), **more}
    return {"userTagConQuotaDef": {"userTagConQuotaEvent": event}}


def valued(*values: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {"userTagValueDefs": [{"tagValue": text, "userClusterDef": qp} for text, qp in values]}


def did(comparator: str, num: str, event: str = "buy") -> dict[str, Any]:
    return {
        "events": [{"eventName": event, "comparator": comparator, "num": num, "taPropQuota": {"analysis": "TIMES"}}]
    }


CITY = {"filts": [{"tableType": "user", "columnName": "city", "comparator": "notNull", "ftv": []}]}
VIP = {"filts": [{"tableType": "cluster", "columnName": "vip", "comparator": "belongToCluster", "ftv": []}]}


# values


def test_the_first_value_that_matches_wins(given) -> None:
    twice = did("greater", "1")
    assert given(valued(("two", twice), ("city", CITY))) == {1: "two", 2: "two", 3: "city", 4: "city"}
    assert given(valued(("city", CITY), ("two", twice))) == {1: "city", 2: "two", 3: "city", 4: "city"}


def test_whom_no_value_matches_has_none(given) -> None:
    assert given(valued(("login", did("greater", "0", "login")))) == {3: "login"}


def test_never_did_reaches_every_user_of_the_user_table_and_no_other(given) -> None:
    assert given(valued(("did", did("greater", "0")), ("never", did("less", "1")))) == {
        1: "did", 2: "did", 3: "never", 4: "never"
    }  # fmt: skip


def test_a_cluster_is_a_condition_of_a_value(given) -> None:
    assert given(valued(("vip", VIP), ("other", CITY))) == {1: "other", 3: "vip", 4: "other"}


def test_values_of_more_conditions_than_one_mask_holds_are_told_apart(given) -> None:
    never = {"filts": [{"tableType": "user", "columnName": "city", "comparator": "equal", "ftv": ["nowhere"]}]}
    many = [(str(i), never) for i in range(70)]
    assert given(valued(*many, ("city", CITY), ("two", did("greater", "1")))) == {
        1: "city", 2: "two", 3: "city", 4: "city"
    }  # fmt: skip


@pytest.mark.parametrize("text", ["a'b", "", "  ", "a\x00b", "x' END AS value --", "用户😀", "a\nb"])
def test_a_hostile_value_is_only_a_value(given, text: str) -> None:
    tag = TagQp.model_validate(valued(("x", CITY)))
    renamed = tag.model_copy(update={"values": (tag.values[0].model_copy(update={"tag_value": text}),)})
    assert given(
        renamed.model_dump(exclude_unset=True, by_alias=True) if text.strip() else valued((text or " ", CITY))
    )[1] == (text if text.strip() else text or " ")


# first and last


def test_of_equal_times_the_row_loaded_first_is_first_and_the_one_loaded_last_is_last(given) -> None:
    assert given(taken("item", first=True)) == {1: "first", 2: "x"}
    assert given(taken("item", first=False)) == {1: "tied"}


def test_a_missing_value_in_the_row_is_no_value_though_other_rows_have_one(given) -> None:
    assert 2 not in given(taken("n", first=False))


def test_a_taken_value_keeps_its_type(given) -> None:
    assert given(taken("n", first=False)) == {1: BIG + 1}
    assert given(taken("price", first=True)) == {1: Decimal("0.10"), 2: Decimal("1.00")}
    assert given(taken("at", first=True)) == {1: datetime(2024, 1, 1)}
    assert given(taken("ok", first=False)) == {1: False}


def test_a_property_of_the_user_can_be_taken(given) -> None:
    assert given(taken("city", first=True, table="user")) == {1: "a"}
    assert given(taken("city", first=True, table="user"), complete=True) == {1: "a"}


def test_the_window_and_the_filters_decide_which_rows_count(given) -> None:
    filts = [{"tableType": "event", "columnName": "item", "comparator": "notNull", "ftv": []}]
    assert given(taken("item", first=False, filts=filts)) == {1: "tied", 2: "x"}
    assert given(taken("item", first=True, startTime="2024-06-02 00:00:00")) == {2: "x"}


# measures


@pytest.mark.parametrize("complete", [False, True])
def test_only_users_of_the_user_table_get_a_value_unless_all_are_known(given, complete: bool) -> None:
    assert (99 in given(measured("TIMES"), complete=complete)) is complete


@pytest.mark.parametrize(
    ("analysis", "quota", "values"),
    [
        ("TIMES", "", {1: 2, 2: 2}),
        ("DISTINCT", "item", {1: 2, 2: 1}),
        ("SUM", "n", {1: Decimal(2 * BIG + 1), 2: Decimal(7)}),
        ("SUM", "price", {1: Decimal("0.35"), 2: Decimal("1.00")}),
        ("SUM", "x", {1: 0.3, 2: 1.0}),
        ("MAX", "n", {1: BIG + 1, 2: 7}),
        ("MIN", "price", {1: Decimal("0.10"), 2: Decimal("1.00")}),
        ("AVG", "price", {1: 0.175, 2: 1.0}),
        ("AVG", "x", {1: 0.15, 2: 1.0}),
        ("MEDIAN", "n", {1: Decimal(2 * BIG + 1) / 2, 2: Decimal(7)}),
        ("MEDIAN", "price", {1: Decimal("0.175"), 2: Decimal("1.000")}),
        ("MEDIAN", "x", {1: 0.15, 2: 1.0}),
    ],
)
def test_a_measure_is_exact(given, analysis: str, quota: str, values: dict[int, Any]) -> None:
    found = given(measured(analysis, quota))
    assert found == values
    assert {type(v) for v in found.values()} == {type(v) for v in values.values()}


def test_rows_without_any_value_count_but_have_no_sum(given) -> None:
    late = {"startTime": "2024-06-03 00:00:00"}
    assert given(measured("TIMES", **late)) == {2: 1}
    assert given(measured("DISTINCT", "n", **late)) == {2: 0}
    for analysis in ("SUM", "AVG", "MAX", "MIN", "MEDIAN"):
        assert given(measured(analysis, "n", **late)) == {}
