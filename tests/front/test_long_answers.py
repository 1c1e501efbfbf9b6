"""No answer is longer than about 5,000 tokens: a page becomes shorter, anything else says what it leaves out and where it is."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from jsonschema import Draft202012Validator
from mcp_types import CallToolResult

from mcp_server.app import App, build
from mcp_server.consent.invoke import find
from mcp_server.front.mcp.handler import Handler
from mcp_server.front.mcp.server import serving
from mcp_server.language.metadata import Event, Names, Property, ValueCount
from mcp_server.operations.arguments import output_schema
from mcp_server.operations.registry import OPERATIONS
from mcp_server.operations.results import LONGEST, tokens
from mcp_server.settings import Settings
from mcp_server.text import Language
from tests import small
from tests.house import test_budget
from tests.house.source import ROOT
from tests.operations.desk import Watch

NAMES = Names(
    en="A display name that is quite long, as some are", zh="一个相当长的显示名称，有些就是这样", remark_zh="备注" * 30
)
VALUES = tuple(ValueCount(f"值 {n} " + "很长" * 30, 5) for n in range(20))
MANY = {"filts": [{"tableType": "user", "columnName": "city", "comparator": "equal", "ftv": [f"a{n:04x}z" for n in range(900)]}]}  # fmt: skip


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A project with hundreds of long names, and a cluster of nine hundred values."""
    made = build(Settings(workspace=small.make(tmp_path_factory.mktemp("long")), threads=2))
    catalog = made.handed._catalog
    data = catalog.generation("1")
    metadata = data.metadata
    events = tuple(Event(name=f"event_{n:03}", names=NAMES, count=1, users=1, first="2026-07-01 12:00:00", last="2026-07-03 12:00:00") for n in range(60))  # fmt: skip
    texts = tuple(Property(table="user", name=f"text_{n:03}", type="string", names=NAMES, distinct=20, top=VALUES) for n in range(60))  # fmt: skip
    wide = metadata.model_copy(update={"events": metadata.events + events, "properties": metadata.properties + texts})
    catalog.publish_generation(wide, data.parts, {"unknown_user_rows": 0})
    wish = {"cluster_name": "many", "display_name": "Many", "cluster_type": "cluster_by_static_condition", "qp": MANY}
    assert not called(made, "create_cluster", wish).is_error
    yield made
    made.close()


def called(app: App, tool: str, arguments: dict[str, Any], language: Language = "en") -> CallToolResult:
    """The answer, which is short in both forms and fits the tool's output schema."""
    server = serving(Handler(OPERATIONS, replace(app.deps, language=language)))
    result = anyio.run(server.call_tool, tool, arguments)
    assert isinstance(result, CallToolResult)
    assert result.structured_content is not None
    Draft202012Validator(output_schema(find(OPERATIONS, tool))).validate(result.structured_content)
    for form in (words(result), result.structured_content):
        assert test_budget.tokens(form) <= LONGEST
    return result


def words(result: CallToolResult) -> str:
    return "".join(block.text for block in result.content if block.type == "text")


@pytest.mark.parametrize(("search", "language"), [("", "en"), ("text", "zh")])
def test_pages_that_would_be_too_long_are_shorter_and_join_without_a_gap(
    app: App, search: str, language: Language
) -> None:
    seen: list[str] = []
    for _ in range(60):
        wish = {"search": search, "limit": 100, "offset": len(seen)}
        page = dict(called(app, "describe_data", wish, language).structured_content or {})
        seen += [row["event"] for row in page.get("events", ())] + [row["property"] for row in page.get("properties", ())]  # fmt: skip
        if "left_out" not in page:
            break
        assert f"offset {len(seen)}" in page["next"]
        assert page["left_out"] == page["total"] - len(seen)
    assert len(seen) == len(set(seen)) == page["total"] >= 60


def test_a_page_that_fits_is_as_long_as_it_was_asked_for(app: App) -> None:
    page = called(app, "describe_data", {"limit": 10}).structured_content or {}
    assert len(page["events"]) + len(page.get("properties", ())) == 10


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_does_not_fit_is_said_and_stands_in_a_file(app: App, language: Language) -> None:
    result = called(app, "get_cluster", {"cluster": "many"}, language)
    data = result.structured_content or {}
    assert "definition" not in data
    assert data["cluster"]["cluster_name"] == "many"
    assert data["explanation"], "what a person reads stays as long as it fits"
    said = {"en": "one answer would be too long: definition.", "zh": "内容过长，此处已省略或截短：definition。"}
    assert said[language] in data["next"]
    assert [block.type for block in result.content] == ["text"]
    (path,) = [Path(word.rstrip(".。")) for word in data["next"].replace("文件 ", "file ").split() if "answer_" in word]
    assert path.stat().st_mode & 0o777 == 0o600
    whole = json.loads(path.read_text(encoding="utf-8"))
    assert whole["definition"]["filts"][0]["ftv"] == MANY["filts"][0]["ftv"]
    server = serving(Handler(OPERATIONS, app.deps))
    (read,) = anyio.run(server.read_resource, f"fenqun://exports/{path.name}")
    assert (json.loads(read.content), read.mime_type) == (whole, "application/json")


def test_of_a_list_the_first_entries_stay(app: App) -> None:
    twice = [{"tableType": "user", "columnName": "city", "comparator": "equal", "ftv": ["很长的值" * 20 + str(n)]} for n in range(60)]  # fmt: skip
    data = called(app, "preview_definition", {"qp": {"filts": twice}, "include_sql": True}, "zh").structured_content
    assert data is not None
    assert 0 < len(data["funnel"]) < 60
    assert f"funnel（60 项中的 {len(data['funnel'])} 项）" in data["next"]


def test_a_resource_is_no_longer_than_the_answer_of_its_tool(app: App) -> None:
    server = serving(Handler(OPERATIONS, app.deps))
    for uri in ("fenqun://clusters/many", "fenqun://events/buy", "fenqun://properties/text_000"):
        (read,) = anyio.run(server.read_resource, uri)
        assert test_budget.tokens(str(read.content)) <= LONGEST
        assert json.loads(read.content)["message"]


def test_such_files_go_after_a_day_and_exports_stay(app: App) -> None:
    folder = app.settings.workspace / "exports"
    mine = folder / "answer_mine.json"
    mine.write_text("{}", encoding="utf-8")
    called(app, "get_cluster", {"cluster": "many"})
    before = set(folder.iterdir())
    catalog = app.handed._catalog
    clock = catalog.clock
    catalog.clock = Watch(datetime.now(UTC) + timedelta(days=1, minutes=1))
    try:
        called(app, "get_cluster", {"cluster": "many"})
    finally:
        catalog.clock = clock
    (new,) = set(folder.iterdir()) - before
    assert before & set(folder.iterdir()) == {mine}
    files = [row["file"] for row in catalog.database.rows("SELECT file FROM handed_file WHERE file LIKE '%answer%'")]
    assert files == [f"exports/{new.name}"]


def test_a_start_removes_old_answers_and_uploads_that_nobody_used(app: App) -> None:
    called(app, "get_cluster", {"cluster": "many"})
    temp = app.handed.temp_path()
    temp.write_text("13800138000", encoding="utf-8")
    upload = app.handed.take(temp, "1", ".csv", "ann")
    answers = set((app.settings.workspace / "exports").glob("answer_get_*"))
    app.tidy()
    assert answers
    assert all(path.exists() for path in (upload.path, *answers))
    catalog = app.handed._catalog
    clock, catalog.clock = catalog.clock, Watch(datetime.now(UTC) + timedelta(days=1, minutes=1))
    try:
        app.tidy()
    finally:
        catalog.clock = clock
    assert not any(path.exists() for path in (upload.path, *answers))


def test_an_answer_whose_file_can_not_be_written_is_still_one(app: App) -> None:
    folder = app.settings.workspace / "exports"
    folder.rename(folder.with_name("elsewhere"))
    folder.write_text("in the way", encoding="utf-8")
    try:
        data = called(app, "get_cluster", {"cluster": "many"}).structured_content or {}
    finally:
        folder.unlink()
        folder.with_name("elsewhere").rename(folder)
    assert data["next"].endswith("too long: definition. Ask for less at once.")


@pytest.mark.parametrize("path", ["tool_schemas/qp.json", "README.md", "tests/bad_cases/sql_cluster_misspelt/problems.json"])  # fmt: skip
def test_the_count_of_tokens_is_about_right(path: str) -> None:
    said = (ROOT / path).read_text(encoding="utf-8")
    for form in (said, json.dumps([f"{n * 7919 % 1000003}" for n in range(500)])):
        assert 0.9 < tokens(form) / test_budget.tokens(form) < 1.35
