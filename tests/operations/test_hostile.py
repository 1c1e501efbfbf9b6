"""Whatever is sent to a real tool, the answer is a valid result or an error that says what to do: never a bug."""

import json
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from jsonschema import Draft202012Validator

from mcp_server.app import App, build
from mcp_server.front.mcp.handler import Handler
from mcp_server.front.mcp.server import FenqunServer, serving
from mcp_server.front.mcp.tools import tool_document
from mcp_server.operations.arguments import shown
from mcp_server.operations.operation import KnownAnswer
from mcp_server.operations.registry import OPERATIONS
from mcp_server.settings import Settings
from tests import small
from tests.answers import error_data

TIERS = {"userTagValueDefs": [{"tagValue": "buyer", "userClusterDef": small.BUYERS}]}
NAMES = [o.name for o in OPERATIONS]
TASK = "the task"
"""Stands for the id of a crowd analysis task of `buyers`: ids are never given twice."""

VALID: dict[str, dict[str, Any]] = {
    "describe_data": {},
    "validate_definition": {"qp": small.BUYERS},
    "preview_definition": {"qp": small.BUYERS, "properties": ["city"], "include_sql": True},
    "restore_cluster": {"cluster": "buyers", "dry_run": True},
    "create_cluster": {"cluster_name": "buyers", "display_name": "买家", "cluster_type": "cluster_by_static_condition", "qp": small.BUYERS},
    "get_cluster": {"cluster": "buyers"},
    "list_clusters": {},
    "update_cluster": {"cluster": "buyers", "remarks": "x"},
    "delete_cluster": {"cluster": "ranks", "dry_run": True},
    "create_tag": {"cluster_name": "tiers", "display_name": "等级", "cluster_type": "tag_by_static_condition", "tag_qp": TIERS},
    "update_tag": {"cluster": "ranks", "remarks": "x"},
    "import_ids": {"display_name": "名单", "main_column_name": "city", "ids": ["上海", "北京"], "cluster_name": "listed"},
    "replace_imported_ids": {"cluster": "listed", "ids": ["上海"]},
    "refresh_cluster": {"cluster": "buyers"},
    "get_refresh_progress": {"cluster": "buyers"},
    "export_users": {"cluster": "buyers", "properties": ["level", "city"]},
    "create_crowd_analysis": {"crowd_id": "buyers", "start_time": "2026-07-01 00:00:00", "end_time": "2026-07-31 23:59:59"},
    "get_crowd_analysis": {"task_id": TASK},
    "list_crowd_analyses": {"crowd_id": "buyers"},
    "update_crowd_analysis": {"task_id": TASK, "end_time": "2026-08-31"},
    "reload_crowd_analysis": {"task_id": TASK, "dry_run": True},
    "delete_crowd_analysis": {"task_id": TASK, "dry_run": True},
    "create_call_task": {
        "task_name": "spring", "ids": ["13800000000"], "start_time": "2030-01-01 09:00:00", "end_time": "2030-01-02 12:00:00",
    },
    "list_call_tasks": {},
    "get_call_task": {"task_open_id": "spring"},
    "update_call_task": {"task_open_id": "spring", "concurrency": 2},
    "look_at_file": {"files": ["orders.csv"], "project_id": "9"},
    "load_file": {"files": ["orders.csv"], "answers": ["user=buyer"], "project_id": "9", "dry_run": True},
    "restore_data": {"project_id": "9", "dry_run": True},
}  # fmt: skip
"""Arguments that each tool accepts, once the clusters `buyers` and `listed`, the tags `tiers` and `ranks` and tasks exist."""


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


TEXTS = [
    "\x00", "a\x00b", "\ud800", "'; DROP TABLE users; --", '"', "\\", "../../etc/passwd", "/etc/passwd", "%s%n{0}{x}$1", "*/ --\n",
    "\u202e右", "😀" * 50, "x" * 300_000, "9" * 400, "-1", "0", "1e999", "NaN", "null", "[" * 5000, '{"a":' * 3000, "  ", "\n", "𝟙", "²",
    "१", "9223372036854775808", "buyers\n", "BUYERS", " buyers ",
]  # fmt: skip
OTHERS: list[Any] = [
    None, True, False, 0, -1, 1.5, 1e308, float("nan"), float("inf"), 10**5000, -(2**63) - 1, [], {}, [None], [[]], ["\x00"], ["x" * 50_000],
    ["'"] * 60, {"a": 1}, {"": None}, {"\ud800": "\x00"}, {str(n): n for n in range(3000)}, deep(5000),
]  # fmt: skip
DEFINITIONS: list[Any] = [
    {"events": None}, {"events": deep(3000)}, {"events": [small.BUYERS["events"][0] | {"num": "1e999999999"}]},
    {"events": [small.BUYERS["events"][0] | {"eventName": "'; --\x00"}]}, {"events": small.BUYERS["events"] * 40},
    {"events": [small.BUYERS["events"][0] | {"recentDay": "1-99999999999"}]},
    {"events": [small.BUYERS["events"][0] | {"startTime": "0000-00-00", "endTime": "9999-12-31 23:59:60"}]},
    {"events": [small.BUYERS["events"][0] | {"startTime": "9999-12-31", "endTime": "9999-12-31"}]},
    {"events": [small.BUYERS["events"][0] | {"startTime": "0001-01-01"}]},
    {"filts": [{"tableType": "user", "columnName": "city", "comparator": "equal", "ftv": ["\x00", "\ud800", "'", "x" * 5000]}]},
    {"filts": [{"tableType": "user", "columnName": "city", "comparator": "include", "ftv": ["%", "_", "\\", "'\"\x00"]}]},
    {"filts": [{"tableType": "user", "columnName": "city", "comparator": "regexMatch", "ftv": ["(((((a*)*)*)*)*)$("]}]},
    {"filts": [{"tableType": "user", "columnName": "city", "comparator": "regexMatch", "ftv": ["(a{1,1000}){1,1000}"]}]},
    {"filts": [{"tableType": "user", "columnName": "level", "comparator": "range", "ftv": ["-1e400", "1e400"]}]},
    {"filts": [{"tableType": "user", "columnName": "level", "comparator": "equal", "ftv": ["9" * 1500]}]},
    {"filts": [{"tableType": "cluster", "columnName": "buyers", "comparator": "belongToCluster"}]},
    {"filts": {"filts": {"filts": {}}}}, {"filts": [{"filterType": "COMPOUND", "filts": deep(100)}]}, {"\ud800": 1}, json.dumps(small.BUYERS), [small.BUYERS],
]  # fmt: skip


def succeeded(server: FenqunServer, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    result = anyio.run(server.call_tool, tool, arguments)
    assert not result.is_error, result
    return result.structured_content or {}


def served(app: App, monkeypatch: pytest.MonkeyPatch | None = None) -> FenqunServer:
    """The server, with `buyers`, `listed`, `tiers`, `ranks` and a task there (some hostile values of `dry_run` are plain false)."""
    made = serving(Handler(OPERATIONS, replace(app.deps, ask=KnownAnswer())))
    catalog = app.deps.segments._catalog  # type: ignore[attr-defined]
    named = [(tool, VALID[tool]) for tool in ("create_cluster", "import_ids", "create_tag")]
    for tool, arguments in [*named, ("create_tag", VALID["create_tag"] | {"cluster_name": "ranks"})]:
        if not catalog.find_name("1", arguments["cluster_name"]):
            succeeded(made, tool, arguments)
    touched = {"cluster": "buyers", "remarks": secrets.token_hex(4)}  # so that there is a change to undo
    succeeded(made, "update_cluster", touched)
    if not catalog.database.rows("SELECT 1 FROM call_task"):
        succeeded(made, "create_call_task", VALID["create_call_task"])
    task = succeeded(made, "create_crowd_analysis", VALID["create_crowd_analysis"])["result"]["task_id"]
    if monkeypatch:
        for tool in [tool for tool, arguments in VALID.items() if arguments.get("task_id") == TASK]:
            monkeypatch.setitem(VALID, tool, VALID[tool] | {"task_id": task})
    return made


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with everything that `served` makes; no test works in it."""
    root = small.make(tmp_path_factory.mktemp("prepared") / "workspace")
    for name, times in (("older.csv", 2), ("orders.csv", 3)):  # a project of its own, with data to go back to
        rows = [f"u{n},pay,2026-07-0{n} 10:00:00" for n in range(1, times + 1)]
        (root / "imports" / name).write_text("\n".join(["buyer,event_name,time", *rows, ""]), encoding="utf-8")
    for app in opened(root):
        server = served(app)
        for name in ("older.csv", "orders.csv"):
            succeeded(server, "load_file", VALID["load_file"] | {"files": [name], "dry_run": False})
    return root


def opened(root: Path) -> Iterator[App]:
    made = build(Settings(root))
    yield made
    made.close()


@pytest.fixture(scope="module")
def app(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """What the hostile calls work in, one after the other."""
    yield from opened(shutil.copytree(prepared, tmp_path_factory.mktemp("hostile") / "workspace"))


@pytest.fixture
def server(app: App, monkeypatch: pytest.MonkeyPatch) -> FenqunServer:
    return served(app, monkeypatch)


@pytest.fixture
def untouched(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FenqunServer]:
    """A server on a workspace of this test's own."""
    for app in opened(shutil.copytree(prepared, tmp_path / "workspace")):
        yield served(app, monkeypatch)


def answer(server: FenqunServer, tool: str, arguments: dict[str, Any]) -> tuple[bool, dict[str, Any]]:
    """Whether a call failed, and its structured content; both forms of the answer can be sent, and no bug shows."""
    result = anyio.run(server.call_tool, tool, arguments)
    wire = result.model_dump_json(by_alias=True).encode()
    data = error_data(result) if result.is_error else (result.structured_content or {})
    assert data.get("code") != "internal_error", (tool, shown(arguments))
    assert data.get("code") != "query_failed", (tool, shown(arguments), data)
    assert b"Traceback" not in wire
    assert len(wire) < 200_000
    if not result.is_error:
        Draft202012Validator(tool_document(OPERATIONS[NAMES.index(tool)])["outputSchema"]).validate(data)
    return result.is_error, data


@pytest.mark.parametrize("tool", NAMES)
def test_valid_arguments_are_answered_in_valid_form(untouched: FenqunServer, tool: str) -> None:
    failed, data = answer(untouched, tool, VALID[tool])
    assert not failed, data


def _definitions(name: str) -> list[Any]:
    """Hostile definitions for the parameters that take one: clusters, and tags around them."""
    if name == "tag_qp":
        values = [{"userTagValueDefs": [{"tagValue": "'\x00", "userClusterDef": d}]} for d in DEFINITIONS]
        event = {"eventName": "'; --\x00", "isFirstEvent": 1, "calcPropVo": {"property": {"columnName": "\ud800"}}}
        return [*values, {"userTagConFirstLastEventDef": {"userTagConFirstLastEvent": event}}, *DEFINITIONS]
    return DEFINITIONS if name == "qp" else []


def ask_hostilely(server: FenqunServer, tool: str, share: int) -> None:
    """Every hostile definition, and of the other values every one in `share`, for each parameter other ones.

    All parameters are read in the same way, so a value that harms is found wherever it comes.
    """
    names = list(OPERATIONS[NAMES.index(tool)].params.model_fields)
    refused = 0
    for place, name in enumerate(names, NAMES.index(tool)):
        for value in [*[*TEXTS, *OTHERS][place % share :: share], *_definitions(name)]:
            failed, _ = answer(server, tool, VALID[tool] | {name: value})
            refused += failed
    assert refused > 10 * len(names) // share


@pytest.mark.parametrize("tool", NAMES)
def test_hostile_arguments_are_answered(server: FenqunServer, tool: str) -> None:
    ask_hostilely(server, tool, 3)


@pytest.mark.slow
@pytest.mark.parametrize("tool", NAMES)
def test_all_hostile_arguments_are_answered(server: FenqunServer, tool: str) -> None:
    ask_hostilely(server, tool, 1)


@pytest.mark.parametrize("tool", NAMES)
def test_unknown_and_missing_arguments_are_answered(server: FenqunServer, tool: str) -> None:
    for name in ("nope", "\x00", "\ud800", "x" * 100_000, "", "__class__", "self", "params"):
        failed, data = answer(server, tool, VALID[tool] | {name: 1})
        assert failed
        assert data["problems"][0]["code"] == "argument_unknown"
    for name in VALID[tool]:
        answer(server, tool, {key: value for key, value in VALID[tool].items() if key != name})


def test_no_hostile_name_left_the_workspace(server: FenqunServer, app: App) -> None:
    for file in ("csv", "parquet"):
        failed, data = answer(server, "export_users", {"cluster": "buyers", "format": file})
        assert not failed
        assert Path(data["path"]).parent == app.settings.workspace / "exports"
