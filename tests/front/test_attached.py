"""Prompts, resources and completions, as a client of either revision of the protocol gets them."""

import base64
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import PromptReference, ResourceTemplateReference, TextContent, TextResourceContents

from mcp_server.app import App, build
from mcp_server.errors import NotFound
from mcp_server.front.mcp.attaching import MOST_BYTES, guide
from mcp_server.front.mcp.handler import Handler
from mcp_server.front.mcp.prompts import MOST_CHARACTERS, PROMPTS
from mcp_server.front.mcp.resources import KINDS
from mcp_server.front.mcp.server import serving
from mcp_server.language.definitions import parse_definition
from mcp_server.language.metadata import Metadata
from mcp_server.language.model import CLUSTER, TAG
from mcp_server.language.vocabulary import COMPARATORS, MEASURES
from mcp_server.operations.registry import OPERATIONS
from mcp_server.settings import Settings
from mcp_server.text import Language
from tests import small

MODES = ("legacy", "auto")
_NAMES = {"events": "buy", "properties": "city", "clusters": "buyers"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A process on the small workspace, with one cluster."""
    made = build(Settings(workspace=small.make(tmp_path_factory.mktemp("attached")), threads=2))
    sent = {
        "cluster_name": "buyers",
        "display_name": "Buyers",
        "cluster_type": "cluster_by_static_condition",
        "qp": small.BUYERS,
    }

    async def create() -> None:
        assert not (await serving(Handler(OPERATIONS, made.deps)).call_tool("create_cluster", sent)).is_error

    anyio.run(create)
    try:
        yield made
    finally:
        made.close()


def asked(app: App, ask: Callable[[Client], Awaitable[Any]], language: Language = "en") -> Any:
    """The answer, which has to be the same over both revisions of the protocol."""

    async def over(mode: str) -> Any:
        async with Client(serving(Handler(OPERATIONS, replace(app.deps, language=language))), mode=mode) as client:
            return await ask(client)

    answers = [anyio.run(over, mode) for mode in MODES]
    return answers[0]


def fault(app: App, ask: Callable[[Client], Awaitable[Any]], language: Language = "en") -> str:
    """The protocol error that a request draws."""

    async def refused(client: Client) -> str:
        with pytest.raises(MCPError) as caught:
            await ask(client)
        assert caught.value.code == -32602
        return str(caught.value)

    return str(asked(app, refused, language))


# prompts


def test_prompts_are_listed_in_both_languages_with_their_arguments(app: App) -> None:
    listed = asked(app, lambda client: client.list_prompts()).prompts
    assert [p.name for p in listed] == ["build_segment", "review_segment", "plan_call_campaign"]
    assert all(" · " in p.title and " · " in p.description for p in listed)
    assert [(a.name, a.required) for a in listed[2].arguments] == [
        ("cluster", True),
        ("wishes", True),
        ("language", False),
    ]


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda p: p.name)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_prompt_carries_what_was_filled_in_and_names_only_tools_that_exist(
    app: App, prompt: Any, language: Language
) -> None:
    given = {a.name: f"<{a.name}>" for a in prompt.arguments if a.required} | {"language": language}
    answer = asked(app, lambda client: client.get_prompt(prompt.name, given))
    words = answer.messages[0].content.text
    assert all(f"<{a.name}>" in words for a in prompt.arguments if a.required)
    assert ("请" in words) == (language == "zh")
    tools = {o.name for o in OPERATIONS}
    fields = {"cluster_name", "display_name", "dry_run", "call_times"}
    assert set(re.findall(r"\b[a-z]+_[a-z_]+\b", words)) - fields <= tools


def test_a_prompt_speaks_the_servers_language_unless_another_is_asked_for(app: App) -> None:
    answer = asked(app, lambda client: client.get_prompt("build_segment", {"sentence": "{高级}玩家"}), "zh")
    assert isinstance(answer.messages[0].content, TextContent)
    assert answer.messages[0].content.text.startswith("请把下面这些用户建成分群：{高级}玩家\n")


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("build_segmnt", {"sentence": "x"}, "build_segment"),
        ("build_segment", {"sentence": " "}, "sentence is missing"),
        ("build_segment", {"sentense": "x"}, "takes sentence, language"),
        ("build_segment", {"sentence": "x" * (MOST_CHARACTERS + 1)}, "4000 characters at most"),
        ("build_segment", {"sentence": "x", "language": "fr"}, "must be en or zh"),
    ],
)
def test_a_prompt_that_cannot_be_filled_says_why(app: App, name: str, arguments: dict[str, str], said: str) -> None:
    assert said in fault(app, lambda client: client.get_prompt(name, arguments))


def test_the_longest_argument_is_taken(app: App) -> None:
    answer = asked(app, lambda client: client.get_prompt("build_segment", {"sentence": "y" * MOST_CHARACTERS}))
    assert "y" * MOST_CHARACTERS in answer.messages[0].content.text


# resources


def read(app: App, uri: str, language: Language = "en") -> str:
    content = asked(app, lambda client: client.read_resource(uri), language).contents[0]
    assert isinstance(content, TextResourceContents)
    return content.text


def test_the_guide_is_listed_and_shows_every_word_and_definitions_that_pass(app: App) -> None:
    assert [str(r.uri) for r in asked(app, lambda client: client.list_resources()).resources] == ["fenqun://qp-guide"]
    page = read(app, "fenqun://qp-guide")
    assert all(word in page for word in [*COMPARATORS, *MEASURES])
    blocks = re.findall(r"```json\n(.*?)\n```", page, re.DOTALL)
    shown = [json.loads(line) for block in blocks for line in block.splitlines()]
    assert len(shown) == 4
    for definition in shown:
        reading = parse_definition(
            definition, _anything(definition), catalog=CLUSTER if "events" in definition else TAG, root=()
        )
        assert not reading.problems
        assert not reading.repairs
    assert read(app, "fenqun://qp-guide", "zh").startswith("# 如何编写定义")
    assert guide("zh").count("\n10. ") == 1


def _anything(definition: object) -> Metadata:
    """Metadata that holds every name of a definition."""
    words = json.dumps(definition)
    events = [{"name": name} for name in ("consume_item", "pay", "activity_attend")]
    typed = {"user_level": "number", "#os": "string", "#vp@test_num": "number", "activity_reward": "string"}
    tables = {"user_level": "user"}
    return Metadata.model_validate(
        {
            "project_id": "1",
            "today": "2026-07-04",
            "users": 1,
            "rows": 1,
            "events": [e | {"count": 1, "users": 1, "first": "", "last": ""} for e in events],
            "properties": [
                {"table": tables.get(name, "event"), "name": name, "type": kind, "scale": 0, "events": [e["name"] for e in events]}
                for name, kind in typed.items()
                if name in words
            ],
        }
    )  # fmt: skip


def test_templates_are_listed_and_each_reads_what_the_tool_says(app: App) -> None:
    templates = asked(app, lambda client: client.list_resource_templates()).resource_templates
    assert [t.uri_template for t in templates] == [*(kind.template for kind in KINDS), "fenqun://exports/{file}"]
    event = json.loads(read(app, "fenqun://events/buy"))
    assert [row["event"] for row in event["events"]] == ["buy"]
    assert [row["property"] for row in event["properties"]] == ["price"]
    city = json.loads(read(app, "fenqun://properties/city"))
    assert [(row["property"], row["table"]) for row in city["properties"]] == [("city", "user")]
    cluster = json.loads(read(app, "fenqun://clusters/buyers", "zh"))
    assert cluster["cluster"]["cluster_name"] == "buyers"
    assert "购买" in cluster["explanation"]


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("fenqun://events/bug", "Did you mean buy?"),
        ("fenqun://properties/%E7%AD%89%E7%BA%A7", "Did you mean level?"),
        ("fenqun://clusters/buyerz", "buyers"),
        ("fenqun://events/", "fenqun://events/{name}"),
        ("fenqun://events/buy/more", "There is nothing at"),
        ("file:///etc/passwd", "There is nothing at"),
        ("fenqun://clusters/..%2F..%2Fetc", "etc"),
    ],
)
def test_an_address_where_nothing_is_names_the_nearest(app: App, uri: str, said: str) -> None:
    assert said in fault(app, lambda client: client.read_resource(uri))


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_an_exported_file_is_read_by_the_address_that_comes_with_it(app: App, form: str) -> None:
    async def follow(client: Client) -> tuple[Path, Any]:
        result = await client.call_tool("export_users", {"cluster": "buyers", "format": form})
        address = result.structured_content["resource"]
        assert address in result.content[0].text
        return Path(result.structured_content["path"]), (await client.read_resource(address)).contents[0]

    path, content = asked(app, follow)
    if form == "csv":
        assert (content.text, content.mime_type) == (path.read_text(encoding="utf-8"), "text/csv")
    else:
        assert base64.b64decode(content.blob) == path.read_bytes()


def test_a_long_exported_file_is_not_read_into_a_conversation(app: App) -> None:
    folder = app.settings.workspace / "exports"
    (folder / "long.csv").write_bytes(b"x" * MOST_BYTES)
    assert len(read(app, "fenqun://exports/long.csv")) == MOST_BYTES
    (folder / "longer.csv").write_bytes(b"x" * (MOST_BYTES + 1))

    async def refused(client: Client) -> str:
        with pytest.raises(MCPError) as caught:
            await client.read_resource("fenqun://exports/longer.csv")
        return str(caught.value)

    assert "longer than 4 MB" in asked(app, refused)


@pytest.mark.parametrize("name", ["nothing.csv", "..%2Fcatalog.sqlite", "%2Fetc%2Fpasswd", "..", "a%00b"])
def test_only_files_of_the_exports_folder_are_read(app: App, name: str) -> None:
    assert "export" in fault(app, lambda client: client.read_resource(f"fenqun://exports/{name}"))


def test_whoever_is_bound_to_projects_reads_only_what_was_offered_to_them(app: App) -> None:
    assert app.deps.exports is not None
    path = app.settings.workspace / "exports" / "mine.csv"
    path.write_text("1\n", encoding="utf-8")
    name = app.handed.offer(path, "1", "anna")
    mine, others = frozenset({"1"}), frozenset({"2"})
    assert app.deps.exports.exported(name, mine) == path
    assert app.deps.exports.exported("mine.csv", mine) == path
    path.with_name("found.csv").write_text("1\n", encoding="utf-8")
    for wanted, projects in ((name, others), ("mine.csv", others), ("found.csv", mine)):
        with pytest.raises(NotFound):
            app.deps.exports.exported(wanted, projects)
    assert app.deps.exports.exported("mine.csv", None) == path


def test_an_offer_ends_where_another_file_takes_the_place(app: App) -> None:
    path = app.settings.workspace / "exports" / "again.csv"
    path.write_text("1\n", encoding="utf-8")
    first = app.handed.offer(path, "1", "anna")
    path.unlink()
    path.write_text("2\n", encoding="utf-8")
    app.handed.offer(path, "2", "bob")
    for wanted in (first, "again.csv"):
        with pytest.raises(NotFound):
            app.handed.exported(wanted, frozenset({"1"}))


def test_a_pinned_server_gives_only_exports_of_its_project(app: App) -> None:
    folder = app.settings.workspace / "exports"
    for project in ("1", "2"):
        (folder / f"of_{project}.csv").write_text(project, encoding="utf-8")
        app.handed.offer(folder / f"of_{project}.csv", project, "anna")
    pinned = replace(app, deps=replace(app.deps, pinned=True))
    assert read(pinned, "fenqun://exports/of_1.csv") == "1"
    assert read(app, "fenqun://exports/of_2.csv") == "2"
    assert "no such file" in fault(pinned, lambda client: client.read_resource("fenqun://exports/of_2.csv"))


@pytest.mark.parametrize("name", ["%00", "a%00b"])
def test_an_address_that_holds_no_name_is_told_what_addresses_there_are(app: App, name: str) -> None:
    said = fault(app, lambda client: client.read_resource(f"fenqun://clusters/{name}"))
    assert "There is nothing at" in said
    assert "arguments" not in said


# completions


@pytest.mark.parametrize(
    ("template", "typed", "names"),
    [
        ("fenqun://events/{name}", "b", ["buy"]),
        ("fenqun://events/{name}", "购买", ["buy"]),
        ("fenqun://events/{name}", "", ["buy", "login"]),
        ("fenqun://properties/{name}", "ci", ["city"]),
        ("fenqun://clusters/{name}", "buy", ["buyers"]),
        ("fenqun://clusters/{name}", "nobody", []),
        ("fenqun://nothing/{name}", "b", []),
    ],
)
def test_names_are_completed(app: App, template: str, typed: str, names: list[str]) -> None:
    reference = ResourceTemplateReference(type="ref/resource", uri=template)
    found = asked(app, lambda client: client.complete(reference, {"name": "name", "value": typed})).completion
    assert found.values == names
    assert found.total == len(names)


@pytest.mark.parametrize(
    ("argument", "typed", "names"),
    [("cluster", "bu", ["buyers"]), ("language", "z", ["zh"]), ("language", "", ["en", "zh"]), ("wishes", "x", [])],
)
def test_arguments_of_prompts_are_completed(app: App, argument: str, typed: str, names: list[str]) -> None:
    reference = PromptReference(type="ref/prompt", name="plan_call_campaign")
    found = asked(app, lambda client: client.complete(reference, {"name": argument, "value": typed})).completion
    assert found.values == names
