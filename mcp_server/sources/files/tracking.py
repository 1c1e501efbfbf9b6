"""The vendor's tracking format: one JSON object a line, as its SDKs write it.

    {"#type": "track", "#account_id": "a1", "#time": "2024-05-01 10:00:00.000", "#event_name": "pay", "properties": {"amount": 6}}
    {"#type": "user_set", "#account_id": "a1", "#time": "2024-05-01 10:00:00.000", "properties": {"level": 3}}

`track` lines become events, their `properties` and other top-level keys (`#ip`, …) properties of the event. The
`user_…` lines become users. `#time` is read with `#zone_offset` (hours, beside it or inside `properties`) where there
is one, else as local time.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from mcp_server.engines.dialect import literal
from mcp_server.engines.duckdb.connection import one
from mcp_server.sources.base import INSTANT, SourceColumn, Staged
from mcp_server.sources.columns import ColumnReader
from mcp_server.sources.files.opening import FilePlace
from mcp_server.sources.files.tables import FileTable, last_of_doubled, spread, stage_lines
from mcp_server.sources.forms import ISO, WHOLE
from mcp_server.sources.mapping import FileSection
from mcp_server.sources.readings import property_reading
from mcp_server.sources.report import BadRows
from mcp_server.sources.rows import (
    Check,
    Oddities,
    SourceValues,
    account,
    add_bad_rows,
    first_that_holds,
    good_rows,
    instant_of,
    no_bad_rows,
    read_values,
    set_clock,
)
from mcp_server.text import Text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


# Who is who: the `#user_id` of accounts and visitors
#
# * A line that has `#user_id` is that user's.
# * Else `#account_id` decides; else `#distinct_id`, by the first account that it is seen with anywhere in the data, or
#   by itself where there is none.
# * An account or visitor takes the `#user_id` that some line gives it; else the one it had in an earlier load; an
#   account that is new takes over the one its visitor had, where no other account has that; else the next free number.
#
# First and earlier are by event time, then by file order, so one set of files always gives the same ids.

_COLUMNS = "kind VARCHAR, value VARCHAR, user_id BIGINT"
_HIGHEST_COUNTED = 2**62
"""Numbers above this are ignored when the next free one is looked for, so that counting on cannot overflow."""


def earlier_ids(connection: "DuckDBPyConnection", previous: Path | None) -> None:
    """Make the temporary table `ids`: those that the previous generation gave, or none."""
    if previous is None:
        connection.execute(f"CREATE TEMP TABLE ids ({_COLUMNS})")
        return
    connection.execute(f"ATTACH {literal(str(previous))} AS previous (READ_ONLY)")
    connection.execute("CREATE TEMP TABLE ids AS SELECT kind, value, user_id FROM previous.ids")
    connection.execute("DETACH previous")


def assign(connection: "DuckDBPyConnection", lines: str) -> None:
    """Give every line of `lines` its user, in the temporary table `owners(n, user_id)`, and bring `ids` up to date.

    `lines` has `n`, `seq` (rank by time), `given` (`#user_id` or NULL), `account` and `visitor` (NULL where missing).
    """
    connection.execute(
        "CREATE TEMP TABLE bound AS SELECT visitor, arg_min(account, seq) AS account, min(seq) AS seq "
        f"FROM {lines} WHERE visitor IS NOT NULL AND account IS NOT NULL GROUP BY visitor"
    )
    connection.execute(
        "CREATE TEMP TABLE keyed AS SELECT n, l.seq, given, visitor, coalesce(l.account, b.account) AS account, "
        "CASE WHEN coalesce(l.account, b.account) IS NOT NULL THEN 'account' WHEN visitor IS NOT NULL THEN 'distinct' END AS kind, "
        f"coalesce(l.account, b.account, visitor) AS value FROM {lines} l LEFT JOIN bound b USING (visitor)"
    )
    _resolve(connection)
    connection.execute(
        "CREATE TEMP TABLE owners AS SELECT n, coalesce(given, r.user_id) AS user_id FROM keyed k "
        "LEFT JOIN resolved r ON r.kind = k.kind AND r.value = k.value"
    )
    _remember(connection)


def _resolve(connection: "DuckDBPyConnection") -> None:
    """Make the temporary table `resolved(kind, value, user_id)`: every account and every visitor without one."""
    connection.execute(
        # Ids that a visitor had before it was seen with an account, and that no other account has.
        "CREATE TEMP TABLE inherited AS SELECT account, user_id FROM ("
        "  SELECT b.account, i.user_id, row_number() OVER (PARTITION BY b.account ORDER BY b.seq) AS turn_of_account,"
        "         row_number() OVER (PARTITION BY i.user_id ORDER BY b.seq) AS turn_of_id"
        "  FROM bound b JOIN ids i ON i.kind = 'distinct' AND i.value = b.visitor"
        "  WHERE i.user_id NOT IN (SELECT user_id FROM ids WHERE kind = 'account')"
        ") WHERE turn_of_account = 1 AND turn_of_id = 1"
    )
    connection.execute(
        "CREATE TEMP TABLE resolved AS SELECT k.kind, k.value, k.seq, coalesce(k.given, i.user_id, h.user_id) AS user_id FROM ("
        "  SELECT kind, value, min(seq) AS seq, arg_min(given, seq) FILTER (given IS NOT NULL) AS given"
        "  FROM keyed WHERE kind IS NOT NULL GROUP BY kind, value"
        ") k LEFT JOIN ids i ON i.kind = k.kind AND i.value = k.value"
        " LEFT JOIN inherited h ON k.kind = 'account' AND h.account = k.value"
    )
    highest = one(
        connection,
        "SELECT coalesce(max(user_id), 0) FROM (SELECT given AS user_id FROM keyed UNION ALL SELECT user_id FROM ids) "
        f"WHERE user_id BETWEEN 0 AND {_HIGHEST_COUNTED}",
    )[0]
    connection.execute(
        f"UPDATE resolved SET user_id = {highest} + turn FROM "
        "(SELECT kind, value, row_number() OVER (ORDER BY seq, kind, value) AS turn FROM resolved WHERE user_id IS NULL) free "
        "WHERE resolved.kind = free.kind AND resolved.value = free.value"
    )


def _remember(connection: "DuckDBPyConnection") -> None:
    """Bring `ids` up to date: ids of this load replace those that an earlier one gave the same account or visitor."""
    connection.execute(
        "CREATE TEMP TABLE given_ids AS SELECT kind, value, user_id FROM resolved UNION ALL "
        "SELECT 'distinct', b.visitor, r.user_id FROM bound b JOIN resolved r ON r.kind = 'account' AND r.value = b.account"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE ids AS SELECT kind, value, user_id FROM given_ids UNION ALL "
        "SELECT kind, value, user_id FROM ids ANTI JOIN given_ids USING (kind, value)"
    )


# The user lines, added up to one set of properties for each user
#
# Changes count in the order of `#time`, ties in file order:
#
# * `user_set` sets, `user_unset` removes, `user_setOnce` sets where there is no value yet.
# * `user_add` adds a number to the value (where there is none, it is the number itself).
# * `user_append` puts items at the end of a list, `user_uniq_append` only those that it does not hold yet.
# * `user_del` removes the user with all earlier changes; a later line of the same user makes a new one.
#
# A null is no value and changes nothing (to remove a value there is `user_unset`). A change that does not fit the
# value, such as adding to a text, is a bad row.
#
# All of it is set-based: for each user and property only what follows the last `user_set` or `user_unset` matters,
# and of that only the first value, the sum of what was added, or the items in order. No row passes through Python.

CHANGES = ("user_set", "user_setOnce", "user_add", "user_unset", "user_append", "user_uniq_append", "user_del")
_NOT_PROPERTIES = "('#user_id', '#account_id', '#distinct_id', '#zone_offset')"
_APPENDS = "('user_append', 'user_uniq_append')"
_NUMBER = r"'-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?'"
_WHOLE = "'-?[0-9]{1,18}'"
"""Whole numbers whose sums cannot overflow 128 bits."""


def apply_changes(connection: "DuckDBPyConnection") -> None:
    """Make `tracked_users(user_id, account, visitor)` and `user_objects(user_id, object)`, and note the bad changes.

    Needs the tables `lines`, `keyed` and `owners`. Of a line with several properties only the change that does not fit
    is left out.
    """
    _take_apart(connection)
    _refuse(
        connection,
        f"type = 'user_add' AND NOT regexp_full_match(value, {_NUMBER}) OR type IN {_APPENDS} AND value[1] <> '['",
    )
    # What a property begins with: what was set last, or the first change that gave it a value.
    connection.execute(
        "CREATE TEMP TABLE begun AS SELECT user_id, key, min(seq) AS seq, arg_min(value, seq) AS value FROM changes "
        "WHERE type <> 'user_unset' GROUP BY user_id, key"
    )
    fit = f"CASE WHEN c.type = 'user_add' THEN regexp_full_match(b.value, {_NUMBER}) WHEN c.type IN {_APPENDS} THEN b.value[1] = '[' END"
    _refuse(
        connection,
        f"(n, key) IN (SELECT (c.n, c.key) FROM changes c JOIN begun b USING (user_id, key) WHERE NOT {fit})",
    )
    connection.execute("CREATE TEMP TABLE summed (user_id BIGINT, key VARCHAR, seq BIGINT, value JSON)")
    _add_up(connection)
    _collect(connection)
    connection.execute(
        "INSERT INTO summed SELECT user_id, key, seq, value FROM begun ANTI JOIN summed USING (user_id, key)"
    )
    connection.execute(
        "CREATE TEMP TABLE user_objects AS SELECT user_id, json_group_object(key, value) AS object FROM summed GROUP BY user_id"
    )
    connection.execute(
        "CREATE TEMP TABLE tracked_users AS SELECT o.user_id, arg_min(k.account, k.seq) AS account, arg_min(k.visitor, k.seq) AS visitor "
        "FROM keyed k JOIN owners o USING (n) LEFT JOIN deleted d ON d.user_id = o.user_id "
        "GROUP BY o.user_id HAVING max(k.seq) > coalesce(max(d.seq), 0)"
    )


def _take_apart(connection: "DuckDBPyConnection") -> None:
    """Make the table `changes(n, seq, user_id, type, key, value)`: single changes that no later one has made void."""
    connection.execute(
        "CREATE TEMP TABLE deleted AS SELECT user_id, max(seq) AS seq FROM lines JOIN owners USING (n) WHERE type = 'user_del' GROUP BY user_id"
    )
    connection.execute(
        "CREATE TEMP TABLE changes AS WITH apart AS ("
        "  SELECT l.n, l.seq, o.user_id, l.type, e.key, CAST(e.value AS VARCHAR) AS value"
        "  FROM lines l JOIN owners o USING (n) LEFT JOIN deleted d ON d.user_id = o.user_id, json_each(l.changes) e"
        "  WHERE l.type NOT IN ('track', 'user_del') AND l.seq > coalesce(d.seq, 0)"
        f"  AND e.key NOT IN {_NOT_PROPERTIES} AND (l.type = 'user_unset' OR CAST(e.value AS VARCHAR) <> 'null')"
        "), last AS ("
        "  SELECT user_id, key, max(seq) AS seq FROM apart WHERE type IN ('user_set', 'user_unset') GROUP BY user_id, key"
        ") SELECT a.* FROM apart a LEFT JOIN last USING (user_id, key) WHERE a.seq >= coalesce(last.seq, 0)"
    )


def _refuse(connection: "DuckDBPyConnection", condition: str) -> None:
    """Note the changes for which the condition holds as bad, and drop them."""
    shown = "first(key || ': ' || value ORDER BY key)"
    add_bad_rows(
        connection, "event", f"SELECT n, 'unreadable_change', {shown} FROM changes WHERE {condition} GROUP BY n"
    )
    connection.execute(f"DELETE FROM changes WHERE {condition}")


def _add_up(connection: "DuckDBPyConnection") -> None:
    """Sum the values that numbers were added to. Whole numbers stay exact; others are added as doubles, with compensation."""
    connection.execute(
        "INSERT INTO summed SELECT user_id, key, any_value(b.seq), "
        f"CASE WHEN bool_and(regexp_full_match(c.value, {_WHOLE})) THEN CAST(sum(TRY_CAST(c.value AS HUGEINT)) AS VARCHAR) "
        "ELSE CAST(fsum(TRY_CAST(c.value AS DOUBLE)) AS VARCHAR) END "
        "FROM changes c JOIN begun b USING (user_id, key) WHERE c.type = 'user_add' OR c.seq = b.seq "
        "GROUP BY user_id, key HAVING bool_or(c.type = 'user_add')"
    )


def _collect(connection: "DuckDBPyConnection") -> None:
    """Join the lists that items were appended to: all in order, of a `user_uniq_append` those that had not come before."""
    connection.execute(
        "INSERT INTO summed WITH items AS ("
        "  SELECT c.user_id, c.key, c.seq, c.type, e.value AS item, CAST(e.key AS BIGINT) AS place,"
        "  row_number() OVER (PARTITION BY c.user_id, c.key, CAST(e.value AS VARCHAR) ORDER BY c.seq, CAST(e.key AS BIGINT)) AS turn"
        f"  FROM changes c JOIN begun b ON b.user_id = c.user_id AND b.key = c.key, json_each(c.value) e"
        f"  WHERE c.value[1] = '[' AND (c.type IN {_APPENDS} OR c.seq = b.seq)"
        "), lists AS ("
        "  SELECT user_id, key, '[' || string_agg(CAST(item AS VARCHAR), ',' ORDER BY seq, place) || ']' AS value"
        "  FROM items WHERE type <> 'user_uniq_append' OR turn = 1 GROUP BY user_id, key"
        ") SELECT b.user_id, b.key, b.seq, coalesce(l.value, '[]') FROM begun b LEFT JOIN lists l USING (user_id, key) "
        f"WHERE (b.user_id, b.key) IN (SELECT (user_id, key) FROM changes WHERE type IN {_APPENDS})"
    )


# Lines into events and users

_TYPES = ("track", "track_update", "track_overwrite", *CHANGES)
_HANDLED = ("#type", "#user_id", "#account_id", "#distinct_id", "#event_name", "#time", "properties")
"""Top-level keys with a meaning of their own; all others are properties of the event."""
_OFFSET = "#zone_offset"


@dataclass(frozen=True, slots=True)
class Tracked:
    """What the lines add up to."""

    events: SourceValues
    users: SourceValues
    bad: BadRows
    oddities: Oddities
    notes: tuple[Text, ...]


def stage_tracking(connection: "DuckDBPyConnection", places: Sequence[FilePlace], zone: ZoneInfo) -> Tracked:
    """Events and users of tracking files, the rows that cannot be loaded, and the odd times among the lines.

    Needs the temporary table `ids` of earlier loads and brings it up to date.
    """
    parts, _ = stage_lines(connection, places, "tracking_json")
    notes = [
        Text(f"{n:,} lines give a key twice; the last value counts", f"{n:,} 行重复给出同一键，以最后的值为准")
        for n in (_doubled(connection),)
        if n
    ]
    _split(connection)
    readings = [
        WHOLE.reading("user_id", "#user_id", system=True),
        ISO.reading("moment", "#event_time", offsets=True, system=True),
    ]
    keep = ("type", "account", "visitor", "name", "properties", "uuid", "first_check", "event_id")
    values = read_values(connection, "tracking_texts", readings, "tracking_values", copy=True, keep=keep)
    no_bad_rows(connection, "event")
    no_bad_rows(connection, "user")
    add_bad_rows(connection, "event", first_that_holds(_CHECKS, values.relation))
    oddities = _rank(connection, values, zone)
    notes += _repeated(connection)
    assign(connection, "lines")
    notes += _fold_updates(connection)
    events, users = _events(connection), _users(connection)
    bad = account(connection, Staged("tracking_json", (), parts), "event", "tracking_json")
    return Tracked(events, users, bad, oddities, tuple(notes))


def _doubled(connection: "DuckDBPyConnection") -> int:
    return last_of_doubled(connection, "tracking_json") + last_of_doubled(
        connection, "tracking_json", "json_extract(json, '$.properties')"
    )


_KNOWN_TYPES = ", ".join(literal(kind) for kind in _TYPES)
_CHECKS = (
    Check("unreadable_row", "\"$lost\" OR (properties IS NOT NULL AND json_type(properties) <> 'OBJECT')"),
    Check("unknown_type", f"type IS NULL OR type NOT IN ({_KNOWN_TYPES})", "type"),
    Check("unreadable_user_id", "w0 IS NOT NULL", "w0"),
    Check("missing_id", "v0 IS NULL AND account IS NULL AND visitor IS NULL"),
    Check("missing_event_name", "starts_with(type, 'track') AND name IS NULL"),
    Check("missing_event_id", "type IN ('track_update', 'track_overwrite') AND event_id IS NULL"),
    Check("unreadable_event_time", "w1 IS NOT NULL", "w1"),
    Check("missing_event_time", "v1 IS NULL"),
)


def _split(connection: "DuckDBPyConnection") -> None:
    """The view `tracking_texts`: the keys with a meaning, as texts; an empty id counts as missing."""
    names = [*_HANDLED, _OFFSET, "#uuid", "#first_check_id", "#event_id"]
    shape = json.dumps(dict.fromkeys(names, "JSON"))
    kind, user_id, account_id, distinct_id, name, time, properties, offset, uuid, first, event_id = (
        f"struct_extract(object, {literal(each)})" for each in names
    )
    inner = f'SELECT rowid AS "$n", json IS NULL AS "$lost", json_transform(json, {literal(shape)}) AS object FROM tracking_json'
    connection.execute(
        f"CREATE TEMP VIEW tracking_texts AS SELECT \"$n\", \"$lost\", {kind} ->> '$' AS type, {user_id} ->> '$' AS user_id, "
        f"nullif({account_id} ->> '$', '') AS account, nullif({distinct_id} ->> '$', '') AS visitor, "
        f"nullif({name} ->> '$', '') AS name, {properties} AS properties, nullif({uuid} ->> '$', '') AS uuid, "
        f"nullif({first} ->> '$', '') AS first_check, nullif({event_id} ->> '$', '') AS event_id, "
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


def _rank(connection: "DuckDBPyConnection", values: SourceValues, zone: ZoneInfo) -> Oddities:
    """The table `lines`: good lines with their instant and `seq`, their rank by time and then by file order."""
    good = good_rows(connection, values.relation, "event")
    asked, oddities = set_clock(connection, good, values.readings, zone)
    connection.execute(
        "CREATE TEMP TABLE lines AS SELECT n, row_number() OVER (ORDER BY moment, n) AS seq, moment, type, given, account, visitor, name, "
        f'uuid, first_check, event_id, changes FROM (SELECT "$n" AS n, {instant_of(1, values.readings[1], asked)} AS moment, type, v0 AS given, '
        f"account, visitor, name, uuid, first_check, event_id, CASE WHEN type <> 'track' THEN properties END AS changes FROM {good})"
    )
    return oddities


def _repeated(connection: "DuckDBPyConnection") -> list[Text]:
    """Drop lines that were sent again: of one `#uuid`, and of one `#first_check_id` of an event, the first in file order counts."""
    notes: list[Text] = []
    for what, key in (("#uuid", "uuid"), ("#first_check_id", "name, first_check")):
        column = key.rsplit(", ", 1)[-1]
        only = " AND type = 'track'" if column == "first_check" else ""
        again = f"SELECT n FROM (SELECT n, row_number() OVER (PARTITION BY {key} ORDER BY n) AS turn FROM lines WHERE {column} IS NOT NULL{only}) WHERE turn > 1"
        count = int(connection.execute(f"DELETE FROM lines WHERE n IN ({again})").fetchall()[0][0])
        if count:
            notes.append(
                Text(
                    f"Lines with the same {what} again, of which the first counts: {count:,}.",
                    f"{what} 重复出现的行（只计第一行）：{count:,} 行。",
                )
            )
    return notes


_UPDATES = "('track_update', 'track_overwrite')"


def _fold_updates(connection: "DuckDBPyConnection") -> list[Text]:
    """Fold the lines of events that can change into one event for each name and `#event_id`, at the first of their times.

    An update sets the properties that it has; an overwrite starts anew.
    """
    count = int(one(connection, f"SELECT count(*) FROM lines WHERE type IN {_UPDATES}")[0])
    if not count:
        return []
    connection.execute(
        f"CREATE TEMP TABLE updates AS SELECT name, event_id, arg_min(n, seq) AS n, coalesce(max(CASE WHEN type = 'track_overwrite' THEN seq END), 0) AS since "
        f"FROM lines WHERE type IN {_UPDATES} GROUP BY name, event_id"
    )
    connection.execute(
        "CREATE TEMP TABLE folded AS SELECT n, json_group_object(key, value) AS object FROM ("
        "SELECT u.n, e.key, arg_max(e.value, l.seq) AS value FROM lines l JOIN updates u ON u.name = l.name AND u.event_id = l.event_id, json_each(coalesce(l.changes, '{}')) e "
        f"WHERE l.type IN {_UPDATES} AND l.seq >= u.since AND json_type(e.value) <> 'NULL' GROUP BY u.n, e.key) GROUP BY n"
    )
    connection.execute(
        "UPDATE tracking_json SET json = json_merge_patch(json_merge_patch(json, '{\"properties\": null}'), json_object('properties', coalesce(f.object, '{}'))) "
        "FROM updates u LEFT JOIN folded f USING (n) WHERE tracking_json.rowid = u.n"
    )
    connection.execute(f"DELETE FROM lines WHERE type IN {_UPDATES} AND n NOT IN (SELECT n FROM updates)")
    connection.execute(f"UPDATE lines SET type = 'track' WHERE type IN {_UPDATES}")
    events = int(one(connection, "SELECT count(*) FROM updates")[0])
    return [
        Text(
            f"{count:,} updates of events became {events:,} events.", f"{count:,} 条事件更新合并为 {events:,} 个事件。"
        )
    ]


_SYSTEM_KINDS = (
    ("#user_id", "BIGINT"),
    ("#event_name", "VARCHAR"),
    ("#event_time", INSTANT),
    ("#account_id", "VARCHAR"),
    ("#distinct_id", "VARCHAR"),
)


def _values(
    connection: "DuckDBPyConnection", lines: str, name: str, head: Sequence[tuple[str, str, str]]
) -> SourceValues:
    """The system columns of `head` (name, kind, SQL) and all keys of the objects of a table of lines, read."""
    from mcp_server.sources.survey import survey

    first = ", ".join(['n AS "$n"', 'FALSE AS "$lost"', *(f"{sql} AS s{i}" for i, (_, _, sql) in enumerate(head))])
    columns, _ = spread(connection, lines, f"{name}_spread", first, "the tracking files", groups=True)
    system = {label.casefold() for label, _, _ in head}
    kept = [column for column in columns if column.name.casefold() not in system]
    table = FileTable(f"{name}_spread", tuple(kept), (), int(one(connection, f"SELECT count(*) FROM {lines}")[0]))
    reader = ColumnReader(connection, table.relation, "the tracking files")
    readings = [reader.column(f"s{i}", SourceColumn(label, kind)) for i, (label, kind, _) in enumerate(head)]
    notes: list[tuple[str, Text]] = []
    for fact in survey(connection, table, {}, section=_AS_WRITTEN).facts:
        if not fact.values and not fact.column.void:
            continue
        readings.append(property_reading(connection, table, fact, fact.name, "the tracking files"))
        notes += [(fact.name, note) for note in fact.notes]
    return read_values(connection, table.relation, readings, f"{name}_values", copy=True, notes=notes)


_AS_WRITTEN = FileSection(files="", format="tracking log", role="log")
"""Nothing is taken off the values of the vendor's own format."""


def _events(connection: "DuckDBPyConnection") -> SourceValues:
    """The track lines as events. Keys beside `properties` count before those inside."""
    without = json.dumps(dict.fromkeys(_HANDLED))
    above = f"json_merge_patch(j.json, {literal(without)})"
    both = (
        f"json_merge_patch(json_merge_patch({above}, coalesce(json_extract(j.json, '$.properties'), '{{}}')), {above})"
    )
    connection.execute(
        f"CREATE TEMP TABLE event_lines AS SELECT l.n, l.moment, l.name, l.account, l.visitor, o.user_id, CAST({both} AS JSON) AS json "
        "FROM lines l JOIN owners o ON o.n = l.n JOIN tracking_json j ON j.rowid = l.n WHERE l.type = 'track' ORDER BY l.n"
    )
    sql = ("user_id", "name", "moment", "account", "visitor")
    return _values(
        connection,
        "event_lines",
        "event",
        [(name, kind, each) for (name, kind), each in zip(_SYSTEM_KINDS, sql, strict=True)],
    )


def _users(connection: "DuckDBPyConnection") -> SourceValues:
    """Everybody whom a line names, unless deleted since, with the properties that the changes add up to."""
    apply_changes(connection)
    connection.execute(
        "CREATE TEMP TABLE user_lines AS SELECT row_number() OVER (ORDER BY user_id) - 1 AS n, user_id, account, visitor, CAST(coalesce(object, '{}') AS JSON) AS json "
        "FROM tracked_users LEFT JOIN user_objects USING (user_id) ORDER BY user_id"
    )
    kinds = [(name, kind) for name, kind in _SYSTEM_KINDS if not name.startswith("#event")]
    return _values(
        connection,
        "user_lines",
        "user",
        [(name, kind, each) for (name, kind), each in zip(kinds, ("user_id", "account", "visitor"), strict=True)],
    )
