"""Short ways to write rows, definitions and their selection by the second reading, for examples by hand."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from tests.reading import slow

SCHEMA: slow.Schema = {
    "event": {
        "#user_id": "whole",
        "#event_name": "string",
        "#event_time": "time",
        "amount": "double",
        "price": "decimal",
        "count": "whole",
        "item": "string",
        "level": "string",
        "won": "bool",
        "due": "time",
    },
    "user": {"#user_id": "whole", "level": "whole", "name": "string", "seen": "time", "tags": "list", "vip": "bool"},
}
TODAY = date(2026, 7, 15)
SHANGHAI = "Asia/Shanghai"


def user(number: int = 1, **values: Any) -> dict[str, Any]:
    return dict.fromkeys(SCHEMA["user"]) | {"#user_id": number} | values


def event(name: str = "pay", at: str = "2026-07-14 12:00:00", number: int = 1, **values: Any) -> dict[str, Any]:
    """An event at a local time of Shanghai, which is eight hours ahead all year."""
    moment = datetime.fromisoformat(at) - timedelta(hours=8)
    system = {"#user_id": number, "#event_name": name, "#event_time": moment, "$row": 0}
    return dict.fromkeys(SCHEMA["event"]) | system | values


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
) -> set[int]:
    return slow.select(definition, users or [user()], events, SCHEMA, zone, today)


def does(condition: dict[str, Any], *events: dict[str, Any]) -> bool:
    """Whether user 1 with these events meets one event condition."""
    return chosen({"events": [condition]}, events) == {1}


def has(value: Any, name: str, comparator: str, *ftv: str) -> bool:
    """Whether a user with this value passes one filter."""
    return chosen({"filts": [condition(name, comparator, *ftv)]}, users=[user(**{name: value})]) == {1}
