"""The project that every case is read against: a dozen users and their events, by hand.

Today is Wednesday 2026-07-15 in Shanghai. In it: missing values, zeros, empty texts and lists, null items, both sides of
midnight, the same row twice, events to come, an id that no user has, a user without any event, names that
both tables have, and whole numbers that a double cannot tell apart.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from mcp_server.language.metadata import Event, Metadata, Names, Property, ValueCount
from mcp_server.language.values import local, show_time
from tests.reading.tables import metadata_of
from tests.reading.worlds import Column, Crowd, Row, World, to_utc

ZONE = "Asia/Shanghai"
TODAY = date(2026, 7, 15)
STRANGER = 999
"""An id of some events that no user has."""


def at(text: str) -> datetime:
    """A local time as it is stored: the instant, in UTC."""
    return to_utc(datetime.fromisoformat(text), ZONE)


_USER_COLUMNS = (
    Column("#user_id", "whole", "BIGINT"),
    Column("city", "string", "VARCHAR"),
    Column("level", "whole", "BIGINT"),
    Column("score", "double", "DOUBLE"),
    Column("credit", "decimal", "DECIMAL(18,2)"),
    Column("vip", "bool", "BOOLEAN"),
    Column("registered", "time", "TIMESTAMP"),
    Column("tags", "list", "VARCHAR[]"),
)
_USERS: tuple[tuple[Any, ...], ...] = (
    (101, "上海", 3, 1.5, "100.00", True, "2026-07-01 10:00:00", ["sports", "music"]),
    (102, "Beijing", 5, 0.1 + 0.2, "0.10", False, "2026-07-08 00:00:00", []),
    (103, None, None, None, None, None, None, None),
    (104, "", 0, 0.0, "0.00", False, "2026-07-14 23:59:59", [None]),
    (105, "shanghai", -1, -2.5, "-5.50", True, "2026-07-15 00:00:00", ["music", "sports"]),
    (106, "上海 ", 3, 0.3, "19.99", None, "2026-07-07 23:59:59.999", ["music"]),
    (107, "100%_x", 10, 99.5, "20.00", True, "2026-06-15 12:00:00", ["a%", ""]),
    (108, "O'Hare", 1, None, "1.00", False, "2025-07-15 08:30:00", ["sports", None, "travel"]),
    (109, "Beijing", 4, 7.0, None, True, "2026-07-14 00:00:00", None),
    (110, "New\nYork", 9007199254740993, 2.0**53, "99999999.99", False, "2026-07-15 23:59:59", ["music", "music"]),
    (111, "上海市", 9007199254740992, 3.0, "3.00", True, "2026-08-01 00:00:00", ["旅行"]),
    (112, "beijing", 2, 1.0, "10.00", False, "2026-07-13 00:00:00", ["sports"]),
)

_EVENT_COLUMNS = (
    Column("#user_id", "whole", "BIGINT"),
    Column("#event_name", "string", "VARCHAR"),
    Column("#event_time", "time", "TIMESTAMP"),
    Column("amount", "decimal", "DECIMAL(18,2)"),
    Column("count", "whole", "BIGINT"),
    Column("ratio", "double", "DOUBLE"),
    Column("item", "string", "VARCHAR"),
    Column("gift", "bool", "BOOLEAN"),
    Column("due", "time", "TIMESTAMP"),
    Column("perks", "list", "VARCHAR[]"),
    Column("device", "string", "VARCHAR"),
    Column("level", "string", "VARCHAR"),
)


def _pay(
    user: int, when: str, amount: str | None, count: int | None = None, item: str | None = None, **more: Any
) -> Row:
    return _row(user, "pay", when, amount=amount and Decimal(amount), count=count, item=item, **more)


def _login(user: int, when: str, device: str | None = None, level: str | None = None) -> Row:
    return _row(user, "login", when, device=device, level=level)


def _row(user: int, name: str, when: str, **values: Any) -> Row:
    system = {"#user_id": user, "#event_name": name, "#event_time": at(when)}
    return dict.fromkeys(column.name for column in _EVENT_COLUMNS) | system | values


_EVENTS = (
    # 101 pays every day of the past week, today and at the edges of both
    _pay(101, "2026-07-07 23:59:59.999", "9.00", 1, "book", ratio=0.1),
    _pay(101, "2026-07-08 00:00:00", "10.00", 1, "book", ratio=0.1, gift=True, perks=["vip", "gift"]),
    _pay(101, "2026-07-09 08:00:00", "20.00", 2, "food", ratio=0.2, gift=False, perks=["gift", "vip"]),
    _pay(101, "2026-07-10 08:00:00", "30.00", 3, "Book", ratio=0.4, perks=[]),
    _pay(101, "2026-07-11 08:00:00", "40.00", 4, "food", ratio=0.8, due=at("2026-07-11 09:00:00")),
    _pay(101, "2026-07-14 23:59:59.999", "50.00", 5, "game", ratio=1.6, due=at("2026-07-14 23:59:59.999")),
    _pay(101, "2026-07-15 00:00:00", "60.00", 6, "game", ratio=3.2, due=at("2026-07-14 23:30:00")),
    _login(101, "2026-07-14 12:00:00", "ios", "gold"),
    _login(101, "2026-07-15 09:00:00", "android", "gold"),
    _login(101, "2026-07-15 23:59:59", "ios", "silver"),
    # 102 has the same row twice, and three values of 0.1 against one of 0.3
    _pay(102, "2026-07-14 10:00:00", "0.10", 1, "food", ratio=0.1),
    _pay(102, "2026-07-14 10:00:00", "0.10", 1, "food", ratio=0.1),
    _pay(102, "2026-07-14 11:00:00", "0.10", 2, "food", ratio=0.1, gift=True),
    _login(102, "2026-07-08 00:00:00", "ios", "gold"),
    _login(102, "2026-07-08 01:00:00", "ios", "gold"),
    _login(102, "2026-07-01 01:00:00", "web"),
    # 103 knows nothing: events without values
    _pay(103, "2026-07-13 10:00:00", None),
    _pay(103, "2026-07-13 11:00:00", None),
    _login(103, "2026-07-13 12:00:00"),
    # 104 pays nothing, which is not the same as having no amount
    _pay(104, "2026-07-14 23:59:59", "0.00", 0, "", ratio=0.0, gift=False, perks=[None], due=at("2026-07-15 23:59:59")),
    _pay(104, "2026-07-12 10:00:00", None, None, None, perks=[]),
    _login(104, "2026-07-14 23:59:59", "", ""),
    # 105 gets money back, and buys on the day of registration
    _pay(105, "2026-07-15 00:30:00", "-20.00", -1, "refund", ratio=-0.5, gift=False, due=at("2026-07-15 00:00:00")),
    _pay(105, "2026-07-15 00:45:00", "5.50", 1, "book", ratio=0.5, gift=True, due=at("2026-07-16 00:45:00")),
    _login(105, "2026-07-15 00:00:00", "web", "new"),
    _login(105, "2026-07-15 00:00:00", "web", "new"),
    # 106 has one event of each kind, a week and a bit ago
    _pay(106, "2026-07-07 12:00:00", "19.99", 1, "game", ratio=0.3, due=at("2026-07-08 12:00:00")),
    _login(106, "2026-07-07 23:59:59.999", "android", "gold"),
    _row(106, "share", "2026-07-07 23:00:00"),
    # 107 pays four times, an even number, and names like patterns
    _pay(107, "2026-07-13 01:00:00", "1.00", 10, "a%c", ratio=1.0, gift=True, perks=["a%"]),
    _pay(107, "2026-07-13 02:00:00", "2.00", 20, "a_c", ratio=2.0, gift=True, perks=["a_"]),
    _pay(107, "2026-07-13 03:00:00", "4.00", 30, "abc", ratio=4.0, gift=True, perks=["", "vip"]),
    _pay(107, "2026-07-13 04:00:00", "8.00", 40, "it's", ratio=8.0, gift=True, perks=["vip"]),
    _login(107, "2026-07-13 00:00:00", "ios", "gold"),
    _row(107, "share", "2026-07-13 05:00:00"),
    _row(107, "share", "2026-07-13 05:00:00"),
    # 108 was here long ago, and comes back in a year
    _pay(108, "2025-07-15 09:00:00", "500.00", 7, "book", ratio=0.25, due=at("2025-07-14 09:00:00")),
    _login(108, "2025-07-15 08:30:00", "ios", "new"),
    _login(108, "2025-12-31 23:59:59", "ios", "silver"),
    _pay(108, "2027-01-01 00:00:00", "7.00", 7, "book", ratio=0.25),
    # 109 only logs in, on both sides of midnight
    _login(109, "2026-07-13 23:59:59", "web", "gold"),
    _login(109, "2026-07-14 00:00:00", "ios", "gold"),
    _login(109, "2026-07-14 23:59:59", "android", "silver"),
    _login(109, "2026-07-15 00:00:00", "ios", "gold"),
    _row(109, "share", "2026-07-14 12:00:00"),
    # 110 pays large and fine amounts
    _pay(110, "2026-07-14 20:00:00", "9999999999.99", 9007199254740993, "gold\nbar", ratio=1e15, perks=["vip", "vip"]),
    _pay(110, "2026-07-14 21:00:00", "0.01", -9007199254740993, "gold bar", ratio=1e-9, due=at("2026-07-14 21:30:00")),
    _pay(110, "2026-07-14 22:00:00", None, None, "gold", ratio=None, gift=True, due=at("2026-07-13 22:00:00")),
    # 111 is all future
    _pay(111, "2026-07-16 00:00:00", "88.00", 8, "旅行", ratio=8.8, gift=True, due=at("2026-07-17 00:00:00")),
    _login(111, "2026-07-16 00:00:00", "ios", "gold"),
    _row(111, "share", "2026-08-01 00:00:00"),
    # nobody's
    _pay(STRANGER, "2026-07-14 10:00:00", "1000.00", 100, "book", ratio=1.0, gift=True, perks=["vip"]),
    _pay(STRANGER, "2026-07-14 11:00:00", "1000.00", 100, "book", ratio=1.0, gift=True, perks=["vip"]),
    _login(STRANGER, "2026-07-14 12:00:00", "ios", "gold"),
    _login(STRANGER, "2026-07-15 12:00:00", "ios", "gold"),
    _row(STRANGER, "share", "2026-07-14 12:00:00"),
)

_YESTERDAY = "2026-07-14"
_CROWDS = (
    # as of yesterday 107 was not a whale; 999 has left the user table
    Crowd("whales", None, {"": dict.fromkeys((101, 107, 110, 999)), _YESTERDAY: dict.fromkeys((101, 110))}),
    Crowd("nobody", None, {"": {}}),
    Crowd(
        "tier",
        Column("", "string", "VARCHAR"),
        {
            "": {101: "gold", 102: "silver", 104: "", 107: "gold", 110: "bronze", 999: "gold"},
            _YESTERDAY: {101: "silver", 102: "silver"},
        },
    ),
    Crowd(
        "spent",
        Column("", "decimal", "DECIMAL(38,2)"),
        {"": {101: Decimal("219.00"), 102: Decimal("0.30"), 104: Decimal("0.00"), 105: Decimal("-14.50")}},
    ),
    Crowd(
        "last_seen",
        Column("", "time", "TIMESTAMP"),
        {"": {101: at("2026-07-15 23:59:59"), 102: at("2026-07-08 01:00:00"), 109: at("2026-07-15 00:00:00")}},
    ),
)


def _user(row: tuple[Any, ...]) -> Row:
    user = {column.name: value for column, value in zip(_USER_COLUMNS, row, strict=True)}
    credit, registered = user["credit"], user["registered"]
    return user | {"credit": credit and Decimal(credit), "registered": registered and at(registered)}


WORLD = World(
    ZONE,
    TODAY,
    {"user": _USER_COLUMNS, "event": _EVENT_COLUMNS},
    ("login", "pay", "share"),
    [_user(row) for row in _USERS],
    [row | {"$row": number} for number, row in enumerate(_EVENTS)],
    _CROWDS,
)

_EVENT_NAMES = {
    "login": Names(en="Log in", zh="登录"),
    "pay": Names(en="Payment", zh="支付"),
    "share": Names(),
}
_PROPERTY_NAMES = {
    ("user", "city"): Names(en="City", zh="城市"),
    ("user", "level"): Names(en="Level", zh="等级"),
    ("user", "vip"): Names(zh="会员"),
    ("user", "registered"): Names(en="Registration time", zh="注册时间"),
    ("cluster", "whales"): Names(en="Big spenders", zh="大额付费用户"),
    ("cluster", "tier"): Names(en="Tier", zh="会员等级"),
    ("event", "amount"): Names(en="Amount", zh="金额"),
    ("event", "item"): Names(en="Item", zh="商品"),
    ("event", "due"): Names(en="Due time", zh="到期时间"),
    ("event", "level"): Names(en="Level at log-in", zh="登录时等级"),
}


def _event(name: str) -> Event:
    rows = [row for row in _EVENTS if row["#event_name"] == name]
    times = sorted(row["#event_time"] for row in rows)
    first, last = (show_time(local(moment, ZoneInfo(ZONE)).replace(microsecond=0)) for moment in (times[0], times[-1]))
    return Event(name=name, names=_EVENT_NAMES[name], count=len(rows), first=first, last=last)


def _known(found: Property) -> Property:
    """With its names, the events that carry it, and, of texts, the values there are."""
    names = _PROPERTY_NAMES.get((found.table, found.name), Names())
    if found.table == "cluster":
        return found.model_copy(update={"names": names})
    rows = WORLD.users if found.table == "user" else WORLD.events
    values = [row[found.name] for row in rows if row[found.name] is not None]
    carried = {row["#event_name"] for row in rows if row[found.name] is not None} if found.table == "event" else set()
    texts = sorted(set(values)) if found.type == "string" else []
    return found.model_copy(
        update={
            "names": names,
            "events": tuple(sorted(carried)),
            "distinct": len(texts),
            "top": tuple(ValueCount(text, values.count(text)) for text in texts),
        }
    )


OWN = "new_crowd"
"""The name of the cluster that definitions are read for."""

_UNUSABLE = (
    Property(table="cluster", name="fresh", type="cluster", ready=False),
    Property(table="cluster", name="circle", type="cluster", uses=(OWN,)),
)
"""A cluster that was never computed, and one that rests on the one that definitions are for."""


def _metadata() -> Metadata:
    plain = metadata_of(WORLD)
    return plain.model_copy(
        update={
            "users": len(WORLD.users),
            "rows": len(WORLD.events),
            "events": tuple(_event(name) for name in WORLD.names),
            "properties": (*(_known(found) for found in plain.properties), *_UNUSABLE),
        }
    )


METADATA = _metadata()
