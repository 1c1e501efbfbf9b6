"""What a project on ThinkingData holds: its events, properties and clusters, and values where SQL may be run.

The vendor documents no shape of the two answers (te-api.md section 9), so they are read leniently: the first list of
objects that is there, and in each the first known key of a name, a display name, a type. What has no known key is absent.
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
"""The longest wait for values; without them everything else works."""
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
"""Fields that have a place of their own in our answers, or are known anyway."""
_SYSTEM: Mapping[Table, Mapping[str, ValueType]] = {
    "event": {"#user_id": "number", "#event_name": "string", "#event_time": "time"},
    "user": {"#user_id": "number"},
}
"""Every project has them, whether they are listed or not."""
_UNCOUNTED = re.compile(r"ta@|#vp@|#(?:ip|uuid|.*_id)$", re.IGNORECASE)
"""Names of properties that the platform computes, or whose values are nearly all different."""


_Values = dict[tuple[str, str], list[ValueCount]]
"""Values by table and property, most frequent first."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is kept for some minutes."""

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
        """Return everything that a definition may name in a project."""
        known = self._seen.get(project_id)
        if known is None or anyio.current_time() - known.at > MINUTES * 60:
            known = self._seen[project_id] = await self._read(project_id)
        clusters = tuple(map(_cluster, await self._listing.all(project_id)))
        return Metadata(
            project_id=project_id,
            zone=self._zone,
            today=self._today(),
            users=known.users,
            rows=None,
            events=known.events,
            properties=(*known.properties, *clusters),
        )

    def _today(self) -> date:
        return self._clock().astimezone(ZoneInfo(self._zone)).date()

    async def _read(self, project_id: str) -> _Known:
        events = tuple(_events(_rows(await self._api.events(project_id))))
        properties: list[Property] = []
        for table in _SYSTEM:
            listed = list(_properties(_rows(await self._api.properties(project_id, table)), table))
            properties += _with_system(listed, table, events)
        users, values = await self._counted(project_id, properties)
        return _Known(anyio.current_time(), users, events, tuple(_with_values(p, values) for p in properties))

    async def _counted(self, project_id: str, properties: Sequence[Property]) -> tuple[int | None, _Values]:
        """The number of users, and the values of texts; None of them where the account may not run SQL or it takes long."""
        worth = [p for table in _SYSTEM for p in _worth_counting(properties, table)]
        values: _Values = {}
        with anyio.move_on_after(VALUE_SECONDS):
            try:
                for table, name, value, n in await self._value_rows(project_id, worth):
                    values.setdefault((str(table), str(name)), []).append(ValueCount(str(value), int(n)))
            except (VendorError, ValueError, TypeError):
                return None, {}
        users = values.pop(("user", ""), [])
        return (users[0].rows if users else None), values

    async def _value_rows(self, project_id: str, properties: Sequence[Property]) -> list[list[Any]]:
        try:
            return await self._api.rows(queries.value_counts(project_id, properties, self._today()))
        except VendorRejected:  # perhaps because of one property that is in no table
            return await self._api.rows(queries.value_counts(project_id, (), self._today()))


def _worth_counting(properties: Sequence[Property], table: str) -> list[Property]:
    """Those of a table whose values are worth counting: texts that are no ids, are in the table, and not known yet."""
    texts = (p for p in properties if p.table == table and p.type == "string" and not p.top)
    return [p for p in texts if not _UNCOUNTED.match(p.name)][:MOST_PROPERTIES]


def _with_values(known: Property, values: _Values) -> Property:
    """A property with its most frequent values. Of events only some days were read, so there may always be others."""
    counts = values.get((known.table, known.name), [])
    top = tuple(counts[: queries.MOST_VALUES])
    more = known.table == "event" or len(counts) > len(top)
    return known.model_copy(update={"top": top, "distinct": len(top) + more}) if top else known


def _rows(data: object) -> list[Mapping[str, Any]]:
    """The objects of an answer, whatever the key of its list. VendorUnreadable where there is none."""
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
    """The fields that have no other place: kept, as what a deployment returns there is not known."""
    more = {str(key): value for key, value in row.items() if key not in _PLACED and value not in (None, "", [], {})}
    texts = {k: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for k, v in more.items()}
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


def _with_system(listed: Sequence[Property], table: Table, events: Sequence[Event]) -> list[Property]:
    """Add the properties that every project has. The values of `#event_name` are the names of the events."""
    by_name = {p.name.casefold(): p for p in listed}
    for name, kind in _SYSTEM[table].items():
        by_name.setdefault(name, Property(table=table, name=name, type=kind, scale=0 if kind == "number" else None))
    if table == "event" and events:
        names = tuple(ValueCount(event.name, 0) for event in events)
        update = {"top": names, "distinct": len(names)}
        by_name["#event_name"] = by_name["#event_name"].model_copy(update=update)
    return list(by_name.values())


def _cluster(row: RemoteCluster) -> Property:
    kind = TYPES.get(row.value_type.casefold(), "string") if row.catalog == TAG else "cluster"
    names = Names(en=row.display_name, zh=row.display_name)
    return Property(
        table="cluster", name=row.name, type=kind, names=names, ready=row.progress == 100 or bool(row.users_num)
    )
