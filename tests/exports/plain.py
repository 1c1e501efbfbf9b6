"""A plain reading of the exports, driven by their `expected.toml`, with the standard library (and DuckDB for Parquet).

It shares nothing with the product: it decides nothing, it does what the expected mapping says, so that counts and sums
of the corpus are known before the product reads it.
"""

import csv
import gzip
import io
import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

HERE = Path(__file__).parent
SOURCES = HERE / "sources"
NOT_DATA = {"README.md", "expected.toml"}

Row = dict[str, Any]


@dataclass
class Event:
    """One event of the expected result."""

    user: str
    name: str
    time: datetime
    properties: Row


@dataclass
class Section:
    """What one section of the mapping gives."""

    columns: list[str] = field(default_factory=list)
    rows: int = 0
    loaded: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    users: dict[str, Row] = field(default_factory=dict)


@dataclass
class Reading:
    """The whole export, read."""

    expected: dict[str, Any]
    sections: list[Section]
    events: list[Event]
    users: dict[str, Row]


def exports() -> list[Path]:
    return sorted(file.parent for file in HERE.glob("*/expected.toml"))


def expected(export: Path) -> dict[str, Any]:
    return tomllib.loads((export / "expected.toml").read_text(encoding="utf-8"))


def data_files(export: Path, pattern: str) -> list[Path]:
    """The files that a section's pattern names; a pattern that ends in / is a folder."""
    if pattern.endswith("/"):
        return sorted(file for file in (export / pattern).rglob("*") if file.is_file())
    names = [file for file in export.iterdir() if file.is_file() and file.name not in NOT_DATA]
    return sorted((file for file in names if fnmatch(file.name, pattern)), key=_numerically)


def _numerically(file: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", file.name)]


# Rows as the files hold them.


def rows_of(export: Path, section: Row) -> Iterator[Row]:
    readers = {"csv": _csv, "json": _json, "json lines": _json_lines, "spreadsheet": _sheet, "parquet": _parquet}
    for file in data_files(export, section["files"]):
        if file.name.startswith("_"):  # _SUCCESS and its like
            continue
        yield from readers[section["format"]](file, section)


def _text(file: Path, section: Row) -> str:
    raw = file.read_bytes()
    if file.suffix == ".gz":
        raw = gzip.decompress(raw)
    return raw.decode(section["encoding"]).removeprefix("\ufeff")


def _csv(file: Path, section: Row) -> Iterator[Row]:
    text = _text(file, section)
    begin = max(section["header"] - 1, 0)
    lines = io.StringIO(text, newline="").readlines()[begin:]
    until = section.get("until")
    if until is not None:
        lines = lines[: next(number for number, line in enumerate(lines) if line.startswith(until))]
    escape = section.get("escape")
    quoting = csv.QUOTE_NONE if escape else csv.QUOTE_MINIMAL
    table = csv.reader(io.StringIO("".join(lines), newline=""), delimiter=section["separator"], quoting=quoting)
    names = section["names"] if section["header"] == 0 else [name.strip() for name in next(table)]
    for cells in table:
        if not cells:
            continue
        assert len(cells) == len(names), f"{file.name}: {len(cells)} fields instead of {len(names)}: {cells}"
        yield {name: _cell(cell, section) for name, cell in zip(names, cells, strict=True) if name}


def _cell(cell: str, section: Row) -> str | None:
    value = cell.strip()
    if section.get("escape"):
        value = re.sub(r"\\(.)", lambda match: {"n": "\n", "t": "\t", "0": "\0"}.get(match[1], match[1]), value)
    if match := re.fullmatch(r'="?([^"]*)"?', value):
        value = match[1]
    for mark in section.get("marks", []):
        value = value.removeprefix(mark)
    return None if value == "" or value in section.get("missing", []) else value


def _json(file: Path, section: Row) -> Iterator[Row]:
    records = json.loads(_text(file, section), parse_float=Decimal)
    for step in filter(None, section.get("records", "").split(".")):
        records = records[step]
    yield from (_flat(record, section) for record in records)


def _json_lines(file: Path, section: Row) -> Iterator[Row]:
    for line in _text(file, section).splitlines():
        if line.strip():
            yield _flat(json.loads(line, parse_float=Decimal), section)


def _flat(record: Row, section: Row, prefix: str = "") -> Row:
    flat: Row = {}
    for key, value in record.items():
        name = prefix + key
        if isinstance(value, dict) and len(value) == 1 and next(iter(value)).startswith("$"):
            flat[name] = next(iter(value.values()))  # extended JSON: {"$oid": …}
        elif isinstance(value, dict):
            flat |= _flat(value, section, f"{name}.")
        elif kind_of(section, name) == "pairs":
            flat |= {f"{name}.{pair['key']}": _only(pair["value"]) for pair in value}
        else:
            flat[name] = None if value == "" else value
    return flat


def _only(values: Row) -> Any:
    """The one value of a typed pair: {"string_value": null, "int_value": "5"} is 5."""
    kind, value = next((kind, value) for kind, value in values.items() if value is not None)
    if kind == "int_value":
        return int(value)
    return Decimal(str(value)) if kind.endswith(("double_value", "float_value")) else value


def _sheet(file: Path, section: Row) -> Iterator[Row]:
    """The rows of a spreadsheet's source, which `make.py` writes into it and a test compares with it."""
    source = SOURCES / file.parent.name / file.name / f"{section['sheet']}.csv"
    plain = {**section, "format": "csv", "encoding": "utf-8", "separator": ","}
    yield from _csv(source, plain)


def _parquet(file: Path, section: Row) -> Iterator[Row]:
    import duckdb

    relation = duckdb.connect().sql(f"SELECT * FROM read_parquet('{file}', hive_partitioning = true)")
    for cells in relation.fetchall():
        record = {name: _parquet_value(cell) for name, cell in zip(relation.columns, cells, strict=True)}
        yield _flat(record, section)


def _parquet_value(cell: Any) -> Any:
    return cell if cell is None or isinstance(cell, int | float | Decimal | bool | list | dict | bytes) else str(cell)


# Values.


def kind_of(section: Row, column: str) -> str:
    wanted = section.get("columns", {}).get(column, "")
    return str(wanted["type"] if isinstance(wanted, dict) else wanted)


def _read_of(section: Row, column: str) -> str:
    wanted = section.get("columns", {}).get(column, "")
    return str(wanted.get("read", "")) if isinstance(wanted, dict) else ""


def value(raw: Any, kind: str, read: str = "", zone: ZoneInfo | None = None, decimal: str = ".") -> Any:
    """Return a raw value as the type of its column; a value that does not fit raises."""
    if raw is None or (read in _EPOCHS and str(raw) == "0"):
        return None
    if kind == "number":
        return _number(raw, read, decimal)
    if kind == "time":
        return time(str(raw), read, zone or ZoneInfo("UTC"))
    if kind == "bool":
        words = {"true": True, "t": True, "yes": True, "y": True, "是": True}
        words |= {"false": False, "f": False, "no": False, "n": False, "否": False}
        return raw if isinstance(raw, bool) else words[str(raw).lower()]
    if kind == "list":
        return _list(raw, read)
    assert kind in ("text", "leave out"), kind
    return raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False, default=str)


def _number(raw: Any, read: str, decimal: str) -> Decimal:
    assert not isinstance(raw, bool)
    text = re.sub(r"[\s\u00a0]|[¥￥$€£]|元|CNY|USD|EUR", "", str(raw))
    if decimal == ",":
        text = text.replace(".", "").replace(",", ".")
    if read.startswith("unit "):
        text = text.removesuffix(read.removeprefix("unit "))
    if read == "percent":
        return Decimal(text.removesuffix("%").replace(",", "")) / 100
    assert re.fullmatch(r"-?(\d+|\d{1,3}(,\d{3})+)(\.\d+)?([eE]-?\d+)?", text), f"no number: {raw!r}"
    return Decimal(text.replace(",", ""))


def _list(raw: Any, read: str) -> list[str]:
    if isinstance(raw, list):
        return [item if isinstance(item, str) else json.dumps(item) for item in raw]
    if read == "json":
        return _list(json.loads(raw), "")
    if read == "braces":
        return [item.replace('"', "") for item in re.findall(r'"[^"]*"|[^,{}]+', raw)]
    return [item.strip().strip('"') for item in raw.split(read)]


_OFFSET = r"\s*(?P<zone>Z|UTC|[+-]\d{2}(?::?\d{2})?|)"
_CLOCK = r"(?:[ T]+(?P<h>\d{1,2}):(?P<mi>\d{2})(?::(?P<s>\d{2})(?:\.(?P<f>\d{1,9}))?)?\s*(?P<half>[AP]M)?)?"
_DATES = {
    "": r"(?P<y>\d{4})(?:[-/年](?P<m>\d{1,2})[-/月](?P<d>\d{1,2})日?|(?P<m2>\d{2})(?P<d2>\d{2}))",
    "day-month-year": r"(?P<d>\d{1,2})[-/.](?P<m>\d{1,2})[-/.](?P<y>\d{4})",
    "month-day-year": r"(?P<m>\d{1,2})[-/.](?P<d>\d{1,2})[-/.](?P<y>\d{4})",
    "month name": r"(?P<name>[A-Z][a-z]{2}) (?P<d>\d{1,2}), (?P<y>\d{4}),?",
}
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_EPOCHS = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000}


def time(text: str, read: str, zone: ZoneInfo) -> datetime:
    if read in _EPOCHS:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(text) * 1_000_000 // _EPOCHS[read])
    match = re.fullmatch(_DATES[read] + _CLOCK + _OFFSET, text)
    assert match, f"no time: {text!r} ({read})"
    got = match.groupdict()
    month = _MONTHS.index(got["name"]) + 1 if got.get("name") else int(got.get("m") or got["m2"])
    day = int(got.get("d") or got["d2"])
    hour = int(got["h"] or 0)
    if got["half"]:
        hour = hour % 12 + (12 if got["half"] == "PM" else 0)
    fraction = int((got["f"] or "0").ljust(6, "0")[:6])
    naive = datetime(int(got["y"]), month, day, hour, int(got["mi"] or 0), int(got["s"] or 0), fraction)
    return naive.replace(tzinfo=_zone(got["zone"], zone))


def _zone(text: str, zone: ZoneInfo) -> Any:
    if text == "":
        return zone
    return UTC if text in ("Z", "UTC") else datetime.strptime(text.ljust(3, "0").ljust(5, "0"), "%z").tzinfo


# What the expected mapping makes of them.


def read(export: Path) -> Reading:
    wanted = expected(export)
    zone = ZoneInfo(wanted["time_zone"])
    sections = [read_section(export, part, zone) for part in wanted["files"]]
    events = [event for section in sections for event in section.events]
    users: dict[str, Row] = {}
    if not any(section["role"] in ("users", "log") for section in wanted["files"]):
        users = {event.user: {} for event in events}
    for section in sections:
        for user, properties in section.users.items():
            users.setdefault(user, {}).update(properties)
    return Reading(wanted, sections, events, users)


def read_section(export: Path, section: Row, zone: ZoneInfo) -> Section:
    if section["role"] == "log":
        return _log(export, section, zone)
    out = Section()
    raw = list(rows_of(export, section))
    for row in raw:
        out.columns += [column for column in row if column not in out.columns]
    rows = [row for row in raw if _meant(row, section)]
    out.rows = len(rows)
    accounts = _accounts(rows, section)
    orders: dict[str, Event] = {}
    for row in rows:
        user = _user(row, section, accounts)
        if user is None:
            _leave(out, "no user")
        elif section["role"] == "users":
            _add_user(out, user, _properties(row, section, zone), section)
        else:
            _add_events(out, user, row, section, zone, orders)
    return out


def _meant(row: Row, section: Row) -> bool:
    for column, wanted in section.get("only", {}).items():
        choices = wanted if isinstance(wanted, list) else [wanted]
        if row.get(column) not in choices:
            return False
    return True


def _leave(out: Section, why: str) -> None:
    out.left_out[why] = out.left_out.get(why, 0) + 1


def _accounts(rows: list[Row], section: Row) -> dict[str, str]:
    """The account of each device: the first that it is seen with, by time."""
    if "device" not in section or section["role"] == "users":
        return {}
    pairs = [row for row in rows if row.get(section["user"]) and row.get(section["device"])]
    column = section["time"]
    kept: dict[str, str] = {}
    for row in sorted(pairs, key=lambda row: time(str(row[column]), _read_of(section, column), ZoneInfo("UTC"))):
        kept.setdefault(str(row[section["device"]]), str(row[section["user"]]))
    return kept


def _user(row: Row, section: Row, accounts: dict[str, str]) -> str | None:
    user = row.get(section["user"])
    if user is not None:
        return str(user)
    device = row.get(section.get("device", ""))
    return None if device is None else accounts.get(str(device), f"device {device}")


def _properties(row: Row, section: Row, zone: ZoneInfo) -> Row:
    local = ZoneInfo(section["time_zone"]) if "time_zone" in section else zone
    kept = {}
    for column, raw in row.items():
        kind = kind_of(section, column)
        if raw is not None and kind not in ("leave out", "pairs", ""):
            kept[_name(section, column)] = value(
                raw, kind, _read_of(section, column), local, section.get("decimal", ".")
            )
    return kept


def _name(section: Row, column: str) -> str:
    wanted = section["columns"].get(column)
    return str(wanted.get("name", column)) if isinstance(wanted, dict) else column


def _add_user(out: Section, user: str, properties: Row, section: Row) -> None:
    if user in out.users and section.get("keep") != "last":
        _leave(out, "user given twice")
        return
    out.loaded += 1
    out.users.setdefault(user, {}).update(properties)


def _add_events(out: Section, user: str, row: Row, section: Row, zone: ZoneInfo, orders: dict[str, Event]) -> None:
    properties = _properties(row, section, zone)
    made = [
        Event(user, str(name), moment, dict(properties))
        for name, moment in _moments(row, section, zone)
        if name is not None
    ]
    order = row.get(section.get("once_per", ""))
    if order in orders:  # a further row of an order: what the order lacks, and an event of its own if it is wanted
        known = orders[order].properties
        known |= {name: held for name, held in properties.items() if name not in known}
        made = [Event(user, "", orders[order].time, properties)]
    elif order is not None:
        orders[order] = made[0]
        out.events += made
    if "each_row" in section:
        made = [Event(user, section["each_row"], event.time, properties) for event in made]
    elif order is not None:
        made = []
    if not made and order is None:
        _leave(out, "no event name" if "event" in section and row.get(section["event"]) is None else "no time")
        return
    out.loaded += 1
    out.events += made
    for name in section.get("user_columns", []):
        if properties.get(name) is not None:
            out.users.setdefault(user, {})[name] = properties[name]


def _moments(row: Row, section: Row, zone: ZoneInfo) -> Iterator[tuple[str | None, datetime]]:
    """The events of a row: their names and times."""
    local = ZoneInfo(section["time_zone"]) if "time_zone" in section else zone
    named = section.get("times") or {row.get(section.get("event", ""), section.get("event_name")): section["time"]}
    for name, columns in named.items():
        parts = [columns] if isinstance(columns, str) else columns
        if all(row.get(column) is not None for column in parts):
            text = " ".join(str(row[column]) for column in parts)
            yield name, time(text, _read_of(section, parts[0]), local)


# The tracking format of ThinkingData.


def _log(export: Path, section: Row, zone: ZoneInfo) -> Section:
    out = Section()
    lines = []
    for file in data_files(export, section["files"]):
        text = file.read_text(encoding="utf-8")
        lines += [json.loads(line, parse_float=Decimal) for line in text.splitlines()]
    out.rows = len(lines)
    instants = [time(line["#time"], "", zone) for line in lines]
    lines = [lines[number] for number in sorted(range(len(lines)), key=lambda number: instants[number])]
    accounts: dict[str, str] = {}
    for line in lines:
        if "#account_id" in line and "#distinct_id" in line:
            accounts.setdefault(line["#distinct_id"], line["#account_id"])
    uuids: set[str] = set()
    firsts: set[tuple[str, str]] = set()
    updatable: dict[tuple[str, str], Event] = {}
    for line in lines:
        user = line.get("#account_id") or accounts.get(line["#distinct_id"], f"device {line['#distinct_id']}")
        out.users.setdefault(user, {})
        if line.get("#uuid") in uuids:
            _leave(out, "the same #uuid again")
            continue
        uuids |= {line["#uuid"]} if "#uuid" in line else set()
        first = (line.get("#event_name", ""), line.get("#first_check_id", ""))
        if first[1] and first in firsts:
            _leave(out, "the same #first_check_id again")
            continue
        firsts |= {first} if first[1] else set()
        out.loaded += 1
        _log_line(out, line, user, updatable, zone)
    return out


def _log_line(out: Section, line: Row, user: str, updatable: dict[tuple[str, str], Event], zone: ZoneInfo) -> None:
    kind, properties = line["#type"], _log_properties(line["properties"])
    out.columns += [name for name in properties if name not in out.columns]
    if kind == "track":
        out.events.append(Event(user, line["#event_name"], time(line["#time"], "", zone), properties))
    elif kind in ("track_update", "track_overwrite"):
        key = (line["#event_name"], line["#event_id"])
        if key not in updatable:
            updatable[key] = Event(user, line["#event_name"], time(line["#time"], "", zone), {})
            out.events.append(updatable[key])
        updatable[key].properties = (updatable[key].properties if kind == "track_update" else {}) | properties
    else:
        out.users[user] = _changed(kind, out.users[user], properties)


def _changed(kind: str, held: Row, more: Row) -> Row:
    """A user's properties after a line about them."""
    if kind == "user_unset":
        return {name: kept for name, kept in held.items() if name not in more}
    if kind == "user_setOnce":
        return more | held
    if kind == "user_add":
        more = {name: held.get(name, 0) + new for name, new in more.items()}
    elif kind == "user_append":
        more = {name: [*held.get(name, []), *new] for name, new in more.items()}
    else:
        assert kind == "user_set", kind
    return held | more


def _log_properties(properties: Row, prefix: str = "") -> Row:
    flat: Row = {}
    for key, item in properties.items():
        name = prefix + key
        if isinstance(item, dict):
            flat |= _log_properties(item, f"{name}.")
        elif isinstance(item, list) and item and isinstance(item[0], dict):
            for each in item:
                for inner, inner_value in each.items():
                    flat.setdefault(f"{name}.{inner}", []).append(str(inner_value))
        elif item is not None:
            flat[name] = item
    return flat


# A small evaluator of definitions, enough for the clusters of the corpus.


def size(reading: Reading, qp: Row) -> int:
    chosen = set(reading.users)
    for condition in qp.get("events", []):
        chosen &= {user for user in reading.users if _happens(reading.events, user, condition)}
    for condition in qp.get("filts", []):
        chosen &= {
            user for user in reading.users if _holds(reading.users[user].get(condition["columnName"]), condition)
        }
    return len(chosen)


def _happens(events: Iterable[Event], user: str, condition: Row) -> bool:
    own = [event for event in events if event.user == user and event.name == condition["eventName"]]
    for wanted in condition.get("filts", []):
        own = [event for event in own if _holds(event.properties.get(wanted["columnName"]), wanted)]
    quota = condition["taPropQuota"]
    if quota["analysis"] == "TIMES":
        measure = Decimal(len(own))
    else:
        assert quota["analysis"] == "SUM"
        values = [event.properties.get(quota["quota"]) for event in own]
        numbers = [Decimal(number) for number in values if number is not None]
        if not numbers:
            return False
        measure = sum(numbers, Decimal(0))
    return _compared(measure, condition["comparator"], Decimal(condition["num"]))


def _holds(held: Any, condition: Row) -> bool:
    word, ftv = condition["comparator"], condition["ftv"]
    if word in ("isNull", "notNull"):
        return bool((held is None) == (word == "isNull"))
    if held is None:
        return False
    if word in ("isTrue", "isFalse"):
        return bool(held is (word == "isTrue"))
    if word == "arrayIncludeItem":
        return any(item in held for item in ftv)
    if word == "include":
        return any(part in held for part in ftv)
    if isinstance(held, int | Decimal):
        return any(_compared(Decimal(held), word, Decimal(number)) for number in ftv)
    assert isinstance(held, str), held
    assert word == "equal", word
    return held in ftv


def _compared(measure: Decimal, word: str, number: Decimal) -> bool:
    return {"greater": measure > number, "less": measure < number, "equal": measure == number}[word]
