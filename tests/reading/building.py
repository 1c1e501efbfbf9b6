"""Short ways to write rows and definitions for examples by hand, and what both readings make of them."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from tests.reading.agreement import agreed
from tests.reading.tables import fill
from tests.reading.tag_agreement import agreed_values
from tests.reading.worlds import Column, Crowd, World

COLUMNS = {
    "event": [
        Column("#user_id", "whole", "BIGINT"),
        Column("#event_name", "string", "VARCHAR"),
        Column("#event_time", "time", "TIMESTAMP"),
        Column("amount", "double", "DOUBLE"),
        Column("price", "decimal", "DECIMAL(18,4)"),
        Column("count", "whole", "BIGINT"),
        Column("item", "string", "VARCHAR"),
        Column("level", "string", "VARCHAR"),
        Column("due", "time", "TIMESTAMP"),
    ],
    "user": [
        Column("#user_id", "whole", "BIGINT"),
        Column("level", "whole", "BIGINT"),
        Column("name", "string", "VARCHAR"),
        Column("seen", "time", "TIMESTAMP"),
        Column("tags", "list", "VARCHAR[]"),
        Column("vip", "bool", "BOOLEAN"),
    ],
}
EVENT_NAMES = ("pay", "Pay", "login")
TODAY = date(2026, 7, 15)
SHANGHAI = "Asia/Shanghai"


def user(number: int = 1, **values: Any) -> dict[str, Any]:
    return dict.fromkeys(c.name for c in COLUMNS["user"]) | {"#user_id": number} | values


def event(name: str = "pay", at: str = "2026-07-14 12:00:00", number: int = 1, **values: Any) -> dict[str, Any]:
    """An event at a local time of Shanghai, which is eight hours ahead all year."""
    moment = datetime.fromisoformat(at) - timedelta(hours=8)
    system = {"#user_id": number, "#event_name": name, "#event_time": moment, "$row": 0}
    return dict.fromkeys(c.name for c in COLUMNS["event"]) | system | values


def times(comparator: str = "greater", num: str = "0", name: str = "pay", **more: Any) -> dict[str, Any]:
    return {"eventName": name, "comparator": comparator, "num": num, "taPropQuota": {"analysis": "TIMES"}} | more


def measured(analysis: str, quota: str, comparator: str, num: str, **more: Any) -> dict[str, Any]:
    return times(comparator, num, **more) | {"taPropQuota": {"analysis": analysis, "quota": quota}}


def condition(name: str, comparator: str, *ftv: str, table: str = "user", **more: Any) -> dict[str, Any]:
    return {"tableType": table, "columnName": name, "comparator": comparator, "ftv": list(ftv)} | more


def group(relation: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"filterType": "COMPOUND", "relation": relation, "filts": list(parts)}


def chosen(
    definition: dict[str, Any],
    events: Sequence[dict[str, Any]] = (),
    users: Sequence[dict[str, Any]] | None = None,
    zone: str = SHANGHAI,
    today: date = TODAY,
    crowds: Sequence[Crowd] = (),
    folder: Path | None = None,
) -> set[int]:
    """The users that both readings select; clusters and tags need a folder."""
    world = World(zone, today, COLUMNS, EVENT_NAMES, users or [user()], events, crowds)
    fill(_database(), world, folder)
    return agreed(_database(), world, definition, folder)


def given(
    tag: dict[str, Any],
    folder: Path,
    events: Sequence[dict[str, Any]] = (),
    users: Sequence[dict[str, Any]] | None = None,
) -> dict[int, Any]:
    """The values that both readings give, numbers of exact columns as fractions."""
    world = World(SHANGHAI, TODAY, COLUMNS, EVENT_NAMES, users or [user()], events)
    fill(_database(), world, folder)
    return agreed_values(_database(), folder, world, tag)


@cache
def _database() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


def does(condition: dict[str, Any], *events: dict[str, Any]) -> bool:
    """Whether user 1 with these events meets one event condition."""
    return chosen({"events": [condition]}, events) == {1}


def has(value: Any, name: str, comparator: str, *ftv: str) -> bool:
    """Whether a user with this value passes one filter."""
    return chosen({"filts": [condition(name, comparator, *ftv)]}, users=[user(**{name: value})]) == {1}
