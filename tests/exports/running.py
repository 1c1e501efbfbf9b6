"""Look at an export, answer its questions as expected.toml says, load it, and compare everything with what is expected."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import anyio
import duckdb

from mcp_server.app import build
from mcp_server.consent.invoke import find, invoke
from mcp_server.engines.duckdb.connection import connect
from mcp_server.operations.registry import OPERATIONS
from mcp_server.platforms.local.loading import load
from mcp_server.settings import read_settings
from mcp_server.sources.loading import Sources
from mcp_server.sources.look import Look
from mcp_server.sources.mapping import FileMapping, FileSection, LoadQuestion, parse_mapping, write_mapping
from mcp_server.sources.survey import Proposal, Source
from tests.exports import plain

_KEYS = ("format", "encoding", "separator", "header", "until", "records", "only", "time_zone", "user", "device")
_KEYS += ("event", "event_name", "time", "times", "once_per", "each_row", "user_columns", "keep", "others")


@dataclass
class Run:
    """What came of one export; `wrong` is empty where everything is as expected."""

    export: str
    wrong: list[str] = field(default_factory=list)
    asked: dict[str, LoadQuestion] = field(default_factory=dict)
    mapping: FileMapping | None = None


def run(export: Path, workspace: Path) -> Run:
    """The whole way: look, answer, mapping, load, clusters."""
    wanted = plain.expected(export)
    out = Run(export.name)
    answers = {question["key"]: question["answer"] for question in wanted.get("questions", [])}
    given = {q["key"]: q["answer"] for q in wanted.get("questions", []) if q["ask"] == "own"}
    with closing(connect(workspace / "look")) as connection:
        look = Look(connection, workspace / "opened")
        for _ in range(8):
            proposal = look.propose(_sources(export, wanted), wanted["time_zone"], given)
            new = [question for question in proposal.questions if question.key not in given]
            out.asked |= {question.key: question for question in new}
            given |= {question.key: answers.get(question.key, question.default) for question in new}
            if not new:
                break
    out.wrong += _questions(wanted, out)
    out.wrong += _sections(export, wanted, proposal)
    out.mapping = parse_mapping(write_mapping(proposal.mapping, [seen.comments for seen in proposal.seen]), "mapping")
    if out.mapping != proposal.mapping:
        out.wrong.append("the mapping changes when it is written and read")
    out.wrong += _loaded(export, wanted, out.mapping, workspace)
    return out


def _sources(export: Path, wanted: plain.Row) -> list[Source]:
    folders = [section["files"] for section in wanted["files"] if section["files"].endswith("/")]
    files = {str(file) for section in wanted["files"] for file in plain.data_files(export, section["files"])}
    return [Source(str(export / name)) for name in folders] or [Source(name) for name in sorted(files)]


def _questions(wanted: plain.Row, out: Run) -> Iterator[str]:
    listed = {question["key"]: question for question in wanted.get("questions", [])}
    for key, question in out.asked.items():
        if key not in listed:
            yield f"a question too many: {key} (default {question.default})"
    for key, question in listed.items():
        if question["ask"] == "must" and (key not in out.asked or not out.asked[key].must):
            yield f"not asked, though both readings fit: {key}"


def _sections(export: Path, wanted: plain.Row, proposal: Proposal) -> Iterator[str]:
    if len(proposal.seen) != len(wanted["files"]):
        yield f"{len(proposal.seen)} sections instead of {len(wanted['files'])}"
    for part in wanted["files"]:
        files = {file for file in plain.data_files(export, part["files"]) if not file.name.startswith("_")}
        found = [
            seen
            for seen in proposal.seen
            if {place.path for place in seen.places} == files
            and seen.section.role == part["role"]
            and seen.section.sheet == part.get("sheet", "")
        ]
        if not found:
            yield f"no section of {part['role']} for {part['files']}"
            continue
        yield from _section(part, found[0].section)
        if part["role"] != "log":
            held = {fact.name: fact.values for fact in found[0].survey.facts}
            yield from _columns(part, found[0].section, held)


def _section(part: plain.Row, section: FileSection) -> Iterator[str]:
    for key in _KEYS:
        got = getattr(section, key)
        got = list(got) if isinstance(got, tuple) else got
        if key == "header" and "header" not in part:
            continue
        if (part.get(key) or "") != (got or ""):
            yield f"{section.files}: {key} is {got!r} instead of {part.get(key)!r}"


def _columns(part: plain.Row, section: FileSection, held: dict[str, int]) -> Iterator[str]:
    either = part["expect"].get("either", [])
    for name, rule in part["columns"].items():
        want = {"type": rule} if isinstance(rule, str) else {k: v for k, v in rule.items() if k != "name"}
        got = section.columns.get(name)
        if got is None:
            if want["type"] not in ("leave out", "pairs"):
                yield f"{section.files}: no column {name}"
            continue
        shown = {"type": got.type} | ({"read": got.read} if got.read else {})
        empty = not held.get(name) or want["type"] == "pairs"
        if shown != want and name not in either and not empty:
            yield f"{section.files}: {name} is {shown} instead of {want}"
    if part.get("others") == "leave out" and set(section.columns) != set(part["columns"]):
        yield f"{section.files}: columns {sorted(section.columns)} instead of {sorted(part['columns'])}"


def _loaded(export: Path, wanted: plain.Row, mapping: FileMapping, workspace: Path) -> Iterator[str]:
    """Load by the mapping alone, and check users, events, times, sums and clusters."""
    report = load(
        workspace, "1", sources=Sources(mapping=mapping, base=export), on_progress=lambda _percent, _text: None
    )
    checks = wanted["checks"]
    (file,) = (workspace / "data").glob("*.duckdb")
    with closing(duckdb.connect(str(file), read_only=True)) as database:
        counts = dict(database.execute('SELECT "#event_name", count(*) FROM events GROUP BY 1').fetchall())
        if (report.users, counts) != (checks["users"], checks.get("events", {})):
            yield f"{report.users} users, events {counts} instead of {checks['users']}, {checks.get('events', {})}"
        yield from _times(database, wanted)
        for check in checks.get("sums", []):
            name = check["property"].replace('"', '""')
            value = database.execute(f'SELECT sum("{name}") FROM events WHERE "#event_name" = ?', [check["event"]])
            total = value.fetchall()[0][0]
            if total is None or round(Decimal(str(total)), 6) != Decimal(check["sum"]):
                yield f"the sum of {check['property']} is {total} instead of {check['sum']}"
    if checks.get("clusters"):
        yield from _clusters(checks["clusters"], workspace)


def _times(database: duckdb.DuckDBPyConnection, wanted: plain.Row) -> Iterator[str]:
    expected = [(s["expect"]["first"], s["expect"]["last"]) for s in wanted["files"] if "first" in s["expect"]]
    if expected:
        ends = database.execute('SELECT min("#event_time"), max("#event_time") FROM events').fetchall()[0]
        zone = ZoneInfo(wanted["time_zone"])
        shown = tuple(f"{moment.replace(tzinfo=UTC).astimezone(zone):%Y-%m-%d %H:%M:%S}" for moment in ends)
        if shown != (min(first for first, _ in expected), max(last for _, last in expected)):
            yield f"times {shown} instead of {expected}"


def _clusters(checks: list[dict[str, Any]], workspace: Path) -> Iterator[str]:
    app = build(read_settings({}, {"workspace": str(workspace)}))
    try:
        for check in checks:
            arguments = {"qp": json.loads(check["qp"])}
            result: Any = anyio.run(invoke, find(OPERATIONS, "preview_definition"), arguments, app.deps)
            if result.users_num != check["size"]:
                yield f"{check['says']}: {result.users_num} instead of {check['size']}"
    finally:
        app.close()
