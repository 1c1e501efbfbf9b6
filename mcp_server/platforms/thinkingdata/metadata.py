"""What a project on ThinkingData holds: its events, properties and clusters, and values where SQL may be run.

The vendor documents no shape for the two calls (te-api.md section 9), so they are read leniently: the first list of objects
that is there, and in each the first key that is known for a name, a display name, a type. What no key tells is absent.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import anyio

from mcp_server.errors import VendorError, VendorRejected
from mcp_server.language.metadata import Event, Metadata, Names, Property, Table, ValueCount, ValueType
from mcp_server.language.model import TAG
from mcp_server.platforms.thinkingdata import client, queries
from mcp_server.platforms.thinkingdata.client import RemoteCluster, ThinkingDataApi
from mcp_server.platforms.thinkingdata.listing import Listing
from mcp_server.platforms.vendor import text_of, unreadable

MINUTES = 5.0
"""How long events, properties and values are kept."""
VALUE_SECONDS = 20.0
"""The longest that values are waited for; without them everything else works."""
MOST_PROPERTIES = 20
"""Text properties of a table whose values are counted."""
MOST_MORE = 200
"""Characters that are kept of a field that has no other place."""

TYPES: Mapping[str, ValueType] = {
    **dict.fromkeys(("string", "varchar", "char", "text", "str"), "string"),
    **dict.fromkeys(
        ("number", "numeric", "int", "integer", "bigint", "long", "double", "float", "decimal", "smallint", "tinyint"),
        "number",
    ),
    **dict.fromkeys(("bool", "boolean"), "bool"),
    **dict.fromkeys(("time", "datetime", "date", "timestamp"), "time"),
    **dict.fromkeys(("list", "array", "array(varchar)"), "list"),
}
"""The vendor's types by any of their names. Objects and lists of objects are no type of a condition."""

_NAMES = ("eventName", "columnName", "propName", "propertyName", "name", "event_name", "column_name", "prop_name")
_DISPLAYS = ("displayName", "eventDesc", "columnDesc", "propDesc", "propertyDesc", "desc", "display_name")
_REMARKS = ("remark", "remarks", "comment", "description")
_KINDS = ("selectType", "columnType", "propType", "propertyType", "dataType", "type", "column_type", "prop_type")
_PLACED = frozenset((*_NAMES, *_DISPLAYS, *_REMARKS, *_KINDS, "tableType"))
"""Fields that have a place of their own in our answers, or tell nothing that is not known."""
_SYSTEM: Mapping[Table, Mapping[str, ValueType]] = {
    "event": {"#user_id": "number", "#event_name": "string", "#event_time": "time"},
    "user": {"#user_id": "number"},
}
"""Every project has them, whether the calls list them or not."""
_UNCOUNTED = re.compile(r"ta@|#vp@|#(?:ip|uuid|.*_id)$", re.IGNORECASE)
"""Names of properties that the platform computes, or whose values are nearly all different."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What stays for some minutes."""

    at: float
    users: int | None
    events: tuple[Event, ...]
    properties: tuple[Property, ...]


class MetadataReader:
    """The metadata of one deployment's projects."""

    def __init__(self, api: ThinkingDataApi, listing: Listing, *, zone: str, clock: Callable[[], datetime]) -> None:
        self._api = api
        self._listing = listing
        self._zone = zone
        self._clock = clock
        self._seen: dict[str, _Known] = {}

    async def of(self, project_id: str) -> Metadata:
        """Everything that a definition may name in a project."""
        known = self._seen.get(project_id)
        if known is None or anyio.current_time() - known.at > MINUTES * 60:
            known = self._seen[project_id] = await self._asked(project_id)
        clusters = tuple(map(_cluster, await self._listing.all(project_id)))
        today = self._clock().astimezone(ZoneInfo(self._zone)).date()
        return Metadata(
            project_id=project_id,
            zone=self._zone,
            today=today,
            users=known.users,
            rows=None,
            events=known.events,
            properties=(*known.properties, *clusters),
        )

    async def _asked(self, project_id: str) -> _Known:
        events = tuple(_events(_rows(await self._api.events(project_id))))
        properties: list[Property] = []
        for table in _SYSTEM:
            told = list(_properties(_rows(await self._api.properties(project_id, table)), table))
            properties += _with_system(told, table, events)
        users, values = await self._counted(project_id, properties)
        return _Known(anyio.current_time(), users, events, tuple(_with_values(p, values) for p in properties))

    async def _counted(self, project_id: str, properties: Sequence[Property]) -> tuple[int | None, "_Values"]:
        """The number of users, and the values of texts; None of them where the account may not run SQL or it takes long."""
        asked = [p for table in _SYSTEM for p in _counted(properties, table)]
        today = self._clock().astimezone(ZoneInfo(self._zone)).date()
        values = _Values()
        with anyio.move_on_after(VALUE_SECONDS):
            try:
                values.take(await self._value_rows(project_id, asked, today))
            except (VendorError, ValueError, TypeError):
                return None, _Values()
        users = values.pop(("user", ""), [])
        return (users[0].rows if users else None), values

    async def _value_rows(self, project_id: str, asked: Sequence[Property], today: date) -> list[list[Any]]:
        try:
            return await self._api.rows(queries.value_counts(project_id, asked, today))
        except VendorRejected:  # perhaps of one property that stands in no table
            return await self._api.rows(queries.value_counts(project_id, (), today))


class _Values(dict[tuple[str, str], list[ValueCount]]):
    """Values by table and property, most frequent first."""

    def take(self, rows: Sequence[list[Any]]) -> None:
        for table, name, value, n in rows:
            self.setdefault((str(table), str(name)), []).append(ValueCount(str(value), int(n)))


def _counted(properties: Sequence[Property], table: str) -> list[Property]:
    """Those of a table whose values are worth counting: texts that are no ids, stand in the table, and are not known yet."""
    texts = (p for p in properties if p.table == table and p.type == "string" and not p.top)
    return [p for p in texts if not _UNCOUNTED.match(p.name)][:MOST_PROPERTIES]


def _with_values(found: Property, values: _Values) -> Property:
    """With the most frequent values. Of events only some days were looked at, so there may always be others."""
    counts = values.get((found.table, found.name), [])
    top = tuple(counts[: queries.MOST_VALUES])
    more = found.table == "event" or len(counts) > len(top)
    return found.model_copy(update={"top": top, "distinct": len(top) + more}) if top else found


def _rows(data: object) -> list[Mapping[str, Any]]:
    """The objects of an answer, wherever its list stands. VendorUnreadable where there is none."""
    if isinstance(data, Mapping):
        lists = [part for part in data.values() if isinstance(part, Sequence) and not isinstance(part, str)]
        data = lists[0] if lists else None
    if not isinstance(data, Sequence) or isinstance(data, str):
        raise unreadable(client.NAME)
    return [row for row in data if isinstance(row, Mapping)]


def _first(row: Mapping[str, Any], keys: Sequence[str]) -> str:
    return next((text_of(row[key]).strip() for key in keys if text_of(row.get(key)).strip()), "")


def _names(row: Mapping[str, Any], name: str) -> Names:
    """The vendor gives names in one language; they serve as both."""
    display, remark = _first(row, _DISPLAYS), _first(row, _REMARKS)
    display = "" if display == name else display
    return Names(en=display, zh=display, remark_en=remark, remark_zh=remark)


def _more(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The fields that have no other place: kept, since nobody knows what a deployment tells there."""
    told = {str(key): value for key, value in row.items() if key not in _PLACED and value not in (None, "", [], {})}
    texts = {k: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for k, v in told.items()}
    return tuple((key, text[:MOST_MORE]) for key, text in texts.items())


def _events(rows: Sequence[Mapping[str, Any]]) -> Iterator[Event]:
    seen = set()
    for row in rows:
        name = _first(row, _NAMES)
        if name and name not in seen:
            seen.add(name)
            yield Event(name=name, names=_names(row, name), more=_more(row))


def _properties(rows: Sequence[Mapping[str, Any]], table: Table) -> Iterator[Property]:
    for row in rows:
        name = _first(row, _NAMES[1:])
        kind = next((TYPES[k] for key in _KINDS if (k := text_of(row.get(key)).strip().casefold()) in TYPES), None)
        if name and kind is not None:
            scale = 0 if name == "#user_id" else None
            yield Property(table=table, name=name, type=kind, scale=scale, names=_names(row, name), more=_more(row))


def _with_system(told: Sequence[Property], table: Table, events: Sequence[Event]) -> list[Property]:
    """With the properties that every project has. The values of `#event_name` are the names of the events."""
    by_name = {p.name.casefold(): p for p in told}
    for name, kind in _SYSTEM[table].items():
        by_name.setdefault(name, Property(table=table, name=name, type=kind, scale=0 if kind == "number" else None))
    if table == "event" and events:
        names = tuple(ValueCount(event.name, 0) for event in events)
        found = by_name["#event_name"]
        by_name["#event_name"] = found.model_copy(update={"top": names, "distinct": len(names)})
    return list(by_name.values())


def _cluster(row: RemoteCluster) -> Property:
    kind = TYPES.get(row.value_type.casefold(), "string") if row.catalog == TAG else "cluster"
    names = Names(en=row.display_name, zh=row.display_name)
    return Property(
        table="cluster", name=row.name, type=kind, names=names, ready=row.progress == 100 or bool(row.users_num)
    )
