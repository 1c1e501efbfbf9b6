"""A small project that the tests of the language read definitions against."""

from datetime import date

from mcp_server.language.metadata import Event, Metadata, Names, Property, ValueCount

GAME = Metadata(
    project_id="1",
    today=date(2024, 7, 1),
    users=1000,
    rows=5000,
    events=(
        Event(
            name="purchase",
            names=Names(en="Purchase", zh="购买"),
            count=3000,
            users=600,
            first="2024-01-01 00:00:00",
            last="2024-06-30 23:59:59",
        ),
        Event(
            name="login", names=Names(zh="登录"), count=2000, first="2024-01-01 08:00:00", last="2024-06-30 20:00:00"
        ),
    ),
    properties=(
        Property(table="event", name="amount", type="number", scale=2, events=("purchase",)),
        Property(table="event", name="item", type="string", events=("purchase",)),
        Property(table="event", name="#os", type="string", events=("login", "purchase")),
        Property(
            table="user",
            name="city",
            type="string",
            distinct=2,
            null_share=0.25,
            top=(ValueCount("上海", 500), ValueCount("Beijing", 250)),
            names=Names(en="City", zh="城市"),
        ),
        Property(table="user", name="Level", type="number", scale=0),
        Property(table="user", name="score", type="number"),
        Property(table="user", name="vip", type="bool"),
        Property(table="user", name="registered", type="time"),
        Property(table="user", name="tags", type="list"),
    ),
)
"""Today is Monday 2024-07-01 in Asia/Shanghai."""


def event(**keys: object) -> dict[str, object]:
    """A legal event condition, with some keys replaced; a key set to None is left out."""
    base: dict[str, object] = {
        "eventName": "purchase",
        "comparator": "greater",
        "num": "4",
        "recentDay": "1-7",
        "taPropQuota": {"analysis": "TIMES"},
    }
    return {k: v for k, v in {**base, **keys}.items() if v is not None}


def user(column: str, comparator: str, *ftv: object) -> dict[str, object]:
    """A filter on a user property."""
    return {"tableType": "user", "columnName": column, "comparator": comparator, "ftv": list(ftv)}
