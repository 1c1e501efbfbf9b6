"""The corpus of exports is whole and true: every file can be read as its `expected.toml` says, and the counts are so.

These tests are about the corpus, not about the product: `plain.py` reads the files without any of its code.
"""

import gzip
import json
import re
import struct
import xml.etree.ElementTree as ElementTree
import zipfile
from collections import Counter
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jsonschema
import pytest

from tests.exports import make, plain

EXPORTS = plain.exports()
NAMES = [export.name for export in EXPORTS]

TEXT = {"type": "string", "minLength": 1}
TEXTS = {"type": "array", "items": TEXT, "minItems": 1}
TYPES = ["text", "number", "bool", "time", "list", "pairs", "leave out"]
COLUMN = {
    "oneOf": [
        {"enum": TYPES},
        {
            "type": "object",
            "properties": {"type": {"enum": TYPES}, "read": TEXT, "name": TEXT},
            "required": ["type"],
            "additionalProperties": False,
        },
    ]
}
MOMENT = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$"}
COUNTS = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}}
SECTION = {
    "type": "object",
    "properties": {
        "files": TEXT,
        "format": {"enum": ["csv", "json", "json lines", "spreadsheet", "parquet", "tracking log"]},
        "encoding": {"enum": ["utf-8", "utf-16", "gb18030", "cp1252"]},
        "separator": TEXT,
        "escape": TEXT,
        "decimal": TEXT,
        "sheet": TEXT,
        "header": {"type": "integer", "minimum": 0},
        "names": TEXTS,
        "until": TEXT,
        "records": TEXT,
        "marks": TEXTS,
        "missing": TEXTS,
        "time_zone": TEXT,
        "role": {"enum": ["events", "users", "log"]},
        "only": {"type": "object", "additionalProperties": TEXT},
        "user": TEXT,
        "device": TEXT,
        "event": TEXT,
        "event_name": TEXT,
        "time": {"oneOf": [TEXT, TEXTS]},
        "times": {"type": "object", "additionalProperties": TEXT, "minProperties": 2},
        "once_per": TEXT,
        "each_row": TEXT,
        "keep": {"enum": ["last"]},
        "user_columns": TEXTS,
        "others": {"enum": ["leave out"]},
        "columns": {"type": "object", "additionalProperties": COLUMN, "minProperties": 1},
        "expect": {
            "type": "object",
            "properties": {
                "rows": {"type": "integer", "minimum": 5, "maximum": 120},
                "loaded": {"type": "integer", "minimum": 5},
                "left_out": COUNTS,
                "either": TEXTS,
                "first": MOMENT,
                "last": MOMENT,
            },
            "required": ["rows", "loaded"],
            "additionalProperties": False,
        },
    },
    "required": ["files", "format", "role", "columns", "expect"],
    "additionalProperties": False,
    "allOf": [
        {"if": {"properties": {"role": {"const": "events"}}}, "then": {"required": ["user"]}},
        {"if": {"properties": {"role": {"const": "users"}}}, "then": {"required": ["user"]}},
        {"if": {"properties": {"format": {"const": "csv"}}}, "then": {"required": ["encoding", "separator", "header"]}},
        {"if": {"properties": {"format": {"const": "spreadsheet"}}}, "then": {"required": ["sheet", "header"]}},
        {
            "if": {"properties": {"role": {"const": "events"}}},
            "then": {
                "oneOf": [
                    {"required": ["event", "time"]},
                    {"required": ["event_name", "time"]},
                    {"required": ["times"]},
                ]
            },
        },
    ],
}
SCHEMA = {
    "type": "object",
    "properties": {
        "product": TEXT,
        "time_zone": TEXT,
        "files": {"type": "array", "items": SECTION, "minItems": 1},
        "questions": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "key": TEXT,
                    "answer": {},
                    "choices": TEXTS,
                    "ask": {"enum": ["must", "may", "own"]},
                    "why": TEXT,
                },
                "required": ["key", "answer", "ask", "why"],
                "additionalProperties": False,
            },
        },
        "checks": {
            "type": "object",
            "properties": {
                "users": {"type": "integer", "minimum": 1},
                "events": COUNTS,
                "sums": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"event": TEXT, "property": TEXT, "sum": TEXT},
                        "required": ["event", "property", "sum"],
                        "additionalProperties": False,
                    },
                },
                "clusters": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"says": TEXT, "qp": TEXT, "size": {"type": "integer"}},
                        "required": ["says", "qp", "size"],
                        "additionalProperties": False,
                    },
                },
            },
            "required": ["users"],
            "additionalProperties": False,
        },
    },
    "required": ["product", "time_zone", "files", "checks"],
    "additionalProperties": False,
}


@cache
def reading(export: Path) -> plain.Reading:
    return plain.read(export)


def each_export(test: Any) -> Any:
    return pytest.mark.parametrize("export", EXPORTS, ids=NAMES)(test)


def test_there_are_enough_exports() -> None:
    assert len(EXPORTS) >= 28


@each_export
def test_expected_is_complete(export: Path) -> None:
    wanted = plain.expected(export)
    jsonschema.validate(wanted, SCHEMA)
    checks = wanted["checks"]
    count = 1 + bool(checks.get("events")) + len(checks.get("sums", [])) + len(checks.get("clusters", []))
    assert count >= 3
    assert {"events"} & {s["role"] for s in wanted["files"]} <= ({"events"} if "events" in checks else set())


@each_export
def test_readme_says_who_writes_it_and_how_that_is_known(export: Path) -> None:
    text = (export / "README.md").read_text(encoding="utf-8")
    for part in ("Written by:", "Form:", "Source:"):
        assert f"\n{part}" in text


@each_export
def test_every_file_belongs_to_a_section(export: Path) -> None:
    taken = set()
    for section in plain.expected(export)["files"]:
        files = plain.data_files(export, section["files"])
        assert files
        taken |= set(files)
    there = {file for file in export.rglob("*") if file.is_file() and file.name not in plain.NOT_DATA}
    assert there == taken


@each_export
def test_columns_are_those_of_the_files(export: Path) -> None:
    for section, found in zip(plain.expected(export)["files"], reading(export).sections, strict=True):
        kinds = {name: plain.kind_of(section, name) for name in section["columns"]}
        unseen = {name for name, kind in kinds.items() if kind not in ("pairs", "leave out")} - set(found.columns)
        assert not unseen
        assert section.get("others") == "leave out" or set(found.columns) <= set(kinds)
        assert set(section["expect"].get("either", [])) <= set(kinds)
        named = [section.get(key) for key in ("user", "device", "event", "once_per")]
        named += [section["time"]] if isinstance(section.get("time"), str) else section.get("time", [])
        named += [*section.get("times", {}).values(), *section.get("user_columns", [])]
        assert {name for name in named if name is not None} <= set(kinds)


@each_export
def test_every_left_out_column_has_a_reason(export: Path) -> None:
    """A column is left out because it holds nothing, or because a question says so, or as binary."""
    wanted = plain.expected(export)
    said = {
        name
        for question in wanted.get("questions", [])
        if question["key"] == "leave_out"
        for name in question["answer"]
    }
    for section in wanted["files"]:
        if section["role"] == "log":
            continue
        rows = list(plain.rows_of(export, section))
        for name in section["columns"]:
            if plain.kind_of(section, name) == "leave out" and name not in said:
                values = {repr(row.get(name)) for row in rows if row.get(name) is not None}
                assert not values or all(value.startswith("b'") for value in values), name


@each_export
def test_rows_add_up(export: Path) -> None:
    for section, found in zip(plain.expected(export)["files"], reading(export).sections, strict=True):
        expect = section["expect"]
        assert (found.rows, found.loaded, found.left_out) == (
            expect["rows"],
            expect["loaded"],
            expect.get("left_out", {}),
        )
        assert found.rows == found.loaded + sum(found.left_out.values())


@each_export
def test_first_and_last_time(export: Path) -> None:
    wanted = plain.expected(export)
    for section, found in zip(wanted["files"], reading(export).sections, strict=True):
        assert ("first" in section["expect"]) == bool(found.events)
        if found.events:
            local = [event.time.astimezone(ZoneInfo(wanted["time_zone"])) for event in found.events]
            shown = [f"{moment:%Y-%m-%d %H:%M:%S}" for moment in (min(local), max(local))]
            assert shown == [section["expect"]["first"], section["expect"]["last"]]


@each_export
def test_counts_and_sums(export: Path) -> None:
    found = reading(export)
    checks = found.expected["checks"]
    assert len(found.users) == checks["users"]
    assert Counter(event.name for event in found.events) == checks.get("events", {})
    for check in checks.get("sums", []):
        values = [event.properties.get(check["property"]) for event in found.events if event.name == check["event"]]
        assert sum((Decimal(str(value)) for value in values if value is not None), Decimal(0)) == Decimal(check["sum"])


DEFINITION = json.loads((plain.HERE.parents[1] / "tool_schemas" / "qp.json").read_text(encoding="utf-8"))


@each_export
def test_clusters(export: Path) -> None:
    found = reading(export)
    for check in found.expected["checks"].get("clusters", []):
        jsonschema.validate(json.loads(check["qp"]), DEFINITION)
        assert plain.size(found, json.loads(check["qp"])) == check["size"], check["says"]


@each_export
def test_answers_are_what_the_mapping_says(export: Path) -> None:
    """An answer, put at its key, gives the mapping: so the mapping can be built from the questions."""
    wanted = plain.expected(export)
    for question in wanted.get("questions", []):
        key, answer = question["key"], question["answer"]
        if "choices" in question and isinstance(answer, str):
            assert answer in question["choices"]
        held = [_at(section, key) for section in wanted["files"]]
        if key == "leave_out":
            assert all(plain.kind_of(section, name) == "leave out" for section in wanted["files"] for name in answer)
        elif isinstance(answer, list) and isinstance(answer[0], dict):
            assert [
                {name: section[name] for name in each} for section, each in zip(wanted["files"], answer, strict=True)
            ] == answer
        elif isinstance(answer, dict) and set(answer) == {section["files"] for section in wanted["files"]}:
            assert {section["files"]: section[key] for section in wanted["files"]} == answer
        else:
            assert answer in held


def _at(section: plain.Row, key: str) -> Any:
    """The value at a dotted key; the name of a column may hold dots itself."""
    if not key.startswith("columns."):
        return section.get(key)
    rest = key.removeprefix("columns.")
    columns = section["columns"]
    if rest in columns:
        return columns[rest]
    name, _, part = rest.rpartition(".")
    column = columns.get(name)
    return column.get(part) if isinstance(column, dict) else {"type": column}.get(part)


# The plain reading is no rubber stamp.


def test_another_order_of_day_and_month_gives_other_times() -> None:
    export = plain.HERE / "paypal-activity"
    section = plain.expected(export)["files"][0]
    section["columns"]["Date"]["read"] = "day-month-year"
    events = plain.read_section(export, section, ZoneInfo("America/Los_Angeles")).events
    assert f"{min(event.time for event in events):%Y-%m-%d}" != section["expect"]["first"][:10]


def test_a_wrong_type_is_noticed() -> None:
    export = plain.HERE / "paypal-activity"
    section = plain.expected(export)["files"][0]
    section["columns"]["Currency"] = "number"
    with pytest.raises(AssertionError, match="no number"):
        plain.read_section(export, section, ZoneInfo("America/Los_Angeles"))


def test_a_wrong_encoding_is_noticed() -> None:
    export = plain.HERE / "taobao-orders"
    section = plain.expected(export)["files"][0] | {"encoding": "utf-8"}
    with pytest.raises(UnicodeDecodeError):
        list(plain.rows_of(export, section))


# The binary files hold what their sources say.


BINARY = [folder for export in sorted(plain.SOURCES.iterdir()) for folder in sorted(export.iterdir())]
WORKBOOKS = [folder for folder in BINARY if folder.suffix in (".xlsx", ".xls", ".ods")]


@pytest.mark.parametrize("folder", [f for f in BINARY if f.suffix == ".gz"], ids=lambda f: f.parent.name)
def test_gzipped_files_are_their_sources(folder: Path) -> None:
    (source,) = folder.iterdir()
    assert gzip.decompress(_target(folder).read_bytes()) == source.read_bytes()


@pytest.mark.parametrize("folder", WORKBOOKS, ids=lambda f: f.parent.name)
def test_workbooks_hold_the_cells_of_their_sources(folder: Path) -> None:
    read = {".xlsx": _xlsx, ".ods": _ods, ".xls": _xls}[folder.suffix]
    sheets = read(_target(folder))
    for source in make.sheets(folder):
        cells = {(row, column): value for row, column, value, _ in make.cells(source)}
        held = sheets(source.stem)
        if callable(held):
            assert all(held(value) for value in cells.values())
        else:
            assert held == {at: _plain_cell(value) for at, value in cells.items()}


def _target(folder: Path) -> Path:
    return plain.HERE / folder.parent.name / folder.name


def _plain_cell(value: Any) -> Any:
    """A cell's value as a workbook keeps it: times are days since 1899-12-30."""
    if isinstance(value, datetime):
        return round((value - datetime(1899, 12, 30)).total_seconds() / 86400, 6)
    if isinstance(value, date):
        return float((value - date(1899, 12, 30)).days)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def _xml(book: zipfile.ZipFile, name: str) -> ElementTree.Element:
    return ElementTree.fromstring(book.read(name))  # noqa: S314 - files of this folder


def _xlsx(target: Path) -> Any:
    book = zipfile.ZipFile(target)
    names = [sheet.get("name") for sheet in _xml(book, "xl/workbook.xml").iter(f"{MAIN}sheet")]

    def sheet(name: str) -> dict[tuple[int, int], Any]:
        held = {}
        for cell in _xml(book, f"xl/worksheets/sheet{names.index(name) + 1}.xml").iter(f"{MAIN}c"):
            found = re.fullmatch("([A-Z])([0-9]+)", cell.get("r", ""))
            assert found
            at = int(found[2]) - 1, ord(found[1]) - ord("A")
            kind, text = cell.get("t"), cell.findtext(f"{MAIN}v")
            if kind == "inlineStr":
                held[at] = "".join(part.text or "" for part in cell.iter(f"{MAIN}t"))
            elif text is not None:
                held[at] = {"b": text == "1", "e": text}.get(str(kind)) or round(float(text), 6)
        return held

    return sheet


def _ods(target: Path) -> Any:
    tree = _xml(zipfile.ZipFile(target), "content.xml")
    office, table, text = (
        f"{{urn:oasis:names:tc:opendocument:xmlns:{name}:1.0}}" for name in ("office", "table", "text")
    )

    def value(cell: ElementTree.Element) -> Any:
        kind = cell.get(f"{office}value-type")
        if kind == "date":
            return _plain_cell(datetime.fromisoformat(cell.get(f"{office}date-value", "")))
        if kind == "time":
            return ":".join(re.findall(r"\d+", cell.get(f"{office}time-value", "")))
        if kind == "boolean":
            return cell.get(f"{office}boolean-value") == "true"
        if kind in ("float", "currency"):
            return float(cell.get(f"{office}value", ""))
        return "".join(cell.find(f"{text}p").itertext())  # type: ignore[union-attr]

    def sheet(name: str) -> dict[tuple[int, int], Any]:
        (found,) = (sheet for sheet in tree.iter(f"{table}table") if sheet.get(f"{table}name") == name)
        return {
            (row, column): value(cell)
            for row, line in enumerate(found.iter(f"{table}table-row"))
            for column, cell in enumerate(line.iter(f"{table}table-cell"))
            if cell.get(f"{office}value-type")
        }

    return sheet


def _xls(target: Path) -> Any:
    """BIFF without a library: every value occurs in the bytes in one of the forms that it may have."""
    raw = target.read_bytes()

    def occurs(value: Any) -> bool:
        if isinstance(value, str):
            forms = [value.encode("utf-16-le")] + ([value.encode("latin-1")] if value.isascii() else [])
        else:
            number = _plain_cell(value)
            forms = [struct.pack("<d", number)]
            for factor, flag in ((1, 2), (100, 3)):  # RK: a whole number, or one in hundredths
                whole = round(number * factor)
                if abs(whole - number * factor) < 1e-6 and abs(whole) < 2**29:
                    forms.append(struct.pack("<i", whole << 2 | flag))
            forms.append(struct.pack("<d", number)[4:])  # RK: the upper half of a double
        return any(form in raw for form in forms)

    return lambda name: occurs if name.encode("utf-16-le") in raw else None
