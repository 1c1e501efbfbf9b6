"""The vendor's tracking format: one JSON object a line, as its SDKs write it.

    {"#type": "track", "#account_id": "a1", "#time": "2024-05-01 10:00:00.000", "#event_name": "pay", "properties": {"amount": 6}}
    {"#type": "user_set", "#account_id": "a1", "#time": "2024-05-01 10:00:00.000", "properties": {"level": 3}}

`track` lines become events, their `properties` and other top-level keys (`#ip`, …) properties of the event. The `user_…`
lines become users (`user_changes.py`). `#time` is read with `#zone_offset` (hours, beside it or inside `properties`) where
there is one, else as local time.
"""

from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from mcp_server.engine.checking import Check, account, add_bad_rows, first_that_holds, good_rows, no_bad_rows
from mcp_server.engine.connection import rows
from mcp_server.engine.identities import assign
from mcp_server.engine.quoting import literal
from mcp_server.engine.reading import of_system_text
from mcp_server.engine.reading_json import fields, keys, spread, stage_lines
from mcp_server.engine.report import BadRows
from mcp_server.engine.staging import INSTANT, JSON, Column, Part, Staged, check_names
from mcp_server.engine.user_changes import CHANGES, apply_changes
from mcp_server.engine.values import Oddities, Values, instant_of, read_values, set_clock

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_TYPES = ("track", *CHANGES)
_HANDLED = ("#type", "#user_id", "#account_id", "#distinct_id", "#event_name", "#time", "properties")
"""Top-level keys with a meaning of their own; all others are properties of the event."""
_OFFSET = "#zone_offset"


def stage_tracking(
    connection: "DuckDBPyConnection", paths: tuple[Path, ...], zone: ZoneInfo, temp: Path
) -> tuple[Staged, Staged, BadRows, Oddities]:
    """Events and users of tracking files, the rows that cannot be loaded, and the odd times among the lines.

    Needs the temporary table `ids` of earlier loads and brings it up to date.
    """
    parts = stage_lines(connection, paths, "tracking_json", temp)
    _split(connection)
    readings = [
        of_system_text(connection, "tracking_texts", "user_id", "#user_id", "whole"),
        of_system_text(connection, "tracking_texts", "moment", "#event_time", "time"),
    ]
    keep = ("type", "account", "visitor", "name", "properties")
    values = read_values(connection, "tracking_texts", readings, "tracking_values", copy=True, keep=keep)
    no_bad_rows(connection, "event")
    no_bad_rows(connection, "user")
    add_bad_rows(connection, "event", first_that_holds(_CHECKS, values.relation))
    oddities = _rank(connection, values, zone)
    assign(connection, "lines")
    events, users = _events(connection, parts), _users(connection, parts)
    told = account(connection, Staged("tracking_json", (), parts), "event", "tracking_json")
    return events, users, told, oddities


_KNOWN_TYPES = ", ".join(literal(kind) for kind in _TYPES)
_CHECKS = (
    Check("unreadable_row", "\"$lost\" OR (properties IS NOT NULL AND json_type(properties) <> 'OBJECT')"),
    Check("unknown_type", f"type IS NULL OR type NOT IN ({_KNOWN_TYPES})", "type"),
    Check("unreadable_user_id", "w0 IS NOT NULL", "w0"),
    Check("missing_id", "v0 IS NULL AND account IS NULL AND visitor IS NULL"),
    Check("missing_event_name", "type = 'track' AND name IS NULL"),
    Check("unreadable_event_time", "w1 IS NOT NULL", "w1"),
    Check("missing_event_time", "v1 IS NULL"),
)


def _split(connection: "DuckDBPyConnection") -> None:
    """The view `tracking_texts`: the keys with a meaning, as texts; an empty id counts as missing."""
    names = [*_HANDLED, _OFFSET]
    kind, user_id, account_id, distinct_id, name, time, properties, offset = fields("object", names)
    inner = f'SELECT rowid AS "$n", json IS NULL AS "$lost", {spread("json", names)} AS object FROM tracking_json'
    connection.execute(
        f"CREATE TEMP VIEW tracking_texts AS SELECT \"$n\", \"$lost\", {kind} ->> '$' AS type, {user_id} ->> '$' AS user_id, "
        f"nullif({account_id} ->> '$', '') AS account, nullif({distinct_id} ->> '$', '') AS visitor, "
        f"nullif({name} ->> '$', '') AS name, {properties} AS properties, "
        f"{_with_offset(f'''({time} ->> '$')''', f'''({_either(offset, properties)} ->> '$')''')} AS moment FROM ({inner})"
    )


def _either(offset: str, properties: str) -> str:
    return f"""coalesce({offset}, json_extract({properties}, {literal(f'$."{_OFFSET}"')}))"""


def _with_offset(time: str, hours: str) -> str:
    """SQL: the time as text with its offset written behind it; one with an offset of its own stays as it is.

    Hours that are no number make the time unreadable, since it is not known which instant it is.
    """
    minutes = f"TRY_CAST(round(abs(TRY_CAST({hours} AS DOUBLE)) * 60) AS BIGINT)"
    clock = f"CASE WHEN length({time}) = 10 THEN {time} || ' 00:00:00' ELSE {time} END"
    sign = f"CASE WHEN TRY_CAST({hours} AS DOUBLE) < 0 THEN '-' ELSE '+' END"
    return (
        f"CASE WHEN {hours} IS NULL OR regexp_matches({time}, ':.*(Z|[+-][0-9:]+)$') THEN {time} "
        f"WHEN {minutes} IS NULL THEN {time} || '?' "
        f"ELSE {clock} || {sign} || format('{{:02d}}:{{:02d}}', {minutes} // 60, {minutes} % 60) END"
    )


def _rank(connection: "DuckDBPyConnection", values: Values, zone: ZoneInfo) -> Oddities:
    """The table `lines`: good lines with their instant and `seq`, their rank by time and then by file order."""
    good = good_rows(connection, values.relation, "event")
    asked, oddities = set_clock(connection, good, values.readings, zone)
    connection.execute(
        "CREATE TEMP TABLE lines AS SELECT n, row_number() OVER (ORDER BY moment, n) AS seq, moment, type, given, account, visitor, name, "
        f'changes FROM (SELECT "$n" AS n, {instant_of(1, values.readings[1], asked)} AS moment, type, v0 AS given, account, visitor, name, '
        f"CASE WHEN type <> 'track' THEN properties END AS changes FROM {good})"
    )
    return oddities


def _events(connection: "DuckDBPyConnection", parts: tuple[Part, ...]) -> Staged:
    """The track lines as events."""
    tracks = "(SELECT l.n, l.moment, l.name, l.account, l.visitor, o.user_id, j.json FROM lines l JOIN owners o ON o.n = l.n "
    tracks += "JOIN tracking_json j ON j.rowid = l.n WHERE l.type = 'track')"
    above = [key for key in keys(connection, "json", tracks, "n") if key not in _HANDLED]
    inside = keys(connection, _PROPERTIES, tracks, "n")
    names = list(dict.fromkeys([*above, *inside]))
    source = "the tracking files"
    own = check_names(["#user_id", "#event_name", "#event_time", "#account_id", "#distinct_id", *names], source)
    values = []
    for name in names:
        both = fields("above", [name] if name in above else []) + fields("inside", [name] if name in inside else [])
        values.append(f"coalesce({', '.join(both)})" if len(both) > 1 else both[0])
    listed = "".join(f", {value} AS c{i}" for i, value in enumerate(values, 5))
    connection.execute(
        f'CREATE TEMP TABLE tracking_events AS SELECT n AS "$n", FALSE AS "$lost", user_id AS c0, name AS c1, moment AS c2, account AS c3, '
        f"visitor AS c4{listed} FROM (SELECT *, {spread('json', above)} AS above, "
        f"{spread(_PROPERTIES, inside)} AS inside FROM {tracks})"
    )
    kinds = ["BIGINT", "VARCHAR", INSTANT, "VARCHAR", "VARCHAR"] + [JSON] * len(names)
    return Staged(
        "tracking_events", tuple(Column(*pair) for pair in zip(own, kinds, strict=True)), parts, table="tracking_events"
    )


_PROPERTIES = "json_extract(json, '$.properties')"


def _users(connection: "DuckDBPyConnection", parts: tuple[Part, ...]) -> Staged:
    """Everybody whom a line names, unless deleted since, with the properties that the changes add up to."""
    apply_changes(connection)
    names = [row[0] for row in rows(connection, "SELECT key FROM summed GROUP BY key ORDER BY min(seq), key")]
    own = check_names(["#user_id", "#account_id", "#distinct_id", *names], "the tracking files")
    listed = "".join(f", {value} AS c{i}" for i, value in enumerate(fields("object", names), 3))
    connection.execute(
        'CREATE TEMP TABLE tracking_users AS SELECT row_number() OVER (ORDER BY user_id) - 1 AS "$n", FALSE AS "$lost", user_id AS c0, account AS c1, '
        f"visitor AS c2{listed} FROM (SELECT user_id, account, visitor, {spread('object', names)} AS object FROM tracked_users "
        "LEFT JOIN user_objects USING (user_id))"
    )
    kinds = ["BIGINT", "VARCHAR", "VARCHAR"] + [JSON] * len(names)
    return Staged(
        "tracking_users", tuple(Column(*pair) for pair in zip(own, kinds, strict=True)), parts, table="tracking_users"
    )
