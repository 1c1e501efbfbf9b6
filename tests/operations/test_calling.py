"""What clients really send is understood, and everything else is a problem that can be acted on."""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, cast

import anyio
import pytest
from pydantic import Field, model_validator

from mcp_server.consent.invoke import invoke
from mcp_server.errors import FenqunError, InternalError, InvalidArguments, NotFound, Problem, ReadOnlyMode
from mcp_server.operations.arguments import MAX_TEXT, ClusterRef, DefinitionArgument, DryRun, Limit, shown
from mcp_server.operations.operation import Deps, Effect, Operation, Params, Result, operation
from mcp_server.text import Text
from tests.ledgers import bare

DEPS = bare()


class Range(Params):
    low: int = 0
    high: int = 0


class Everything(Params):
    cluster: ClusterRef
    qp: DefinitionArgument = None
    kind: Literal["csv", "parquet"] = "csv"
    properties: tuple[str, ...] = ()
    range: Range = Range()
    limit: Limit = 20
    share: Annotated[float, Field(ge=0, le=1)] = 1.0
    remarks: str = ""
    dry_run: DryRun = False

    @model_validator(mode="after")
    def _range_fits(self) -> "Everything":
        if self.range.low > self.range.high:
            raise ValueError(Text("low is above high", "下限大于上限"))
        return self


class Echo(Result):
    seen: dict[str, Any]


@operation(title=Text("Echo", "回显"), effect=Effect.READ)
async def echo(params: Everything, deps: Deps) -> Echo:
    """Give back what was understood."""
    return Echo(message="ok", seen=params.model_dump())


@operation(title=Text("Write", "写入"), effect=Effect.CREATE)
async def write(params: Params, deps: Deps) -> Echo:
    """Write something."""
    return Echo(message="written", seen={})


def run(arguments: Mapping[str, object], what: Operation[Any, Any] = echo, deps: Deps = DEPS) -> Any:
    return anyio.run(invoke, what, arguments, deps)


def understood(**arguments: object) -> dict[str, Any]:
    seen: dict[str, Any] = run({"cluster": "7", **arguments}).seen
    return seen


def problems(arguments: Mapping[str, object]) -> list[Problem]:
    with pytest.raises(InvalidArguments) as caught:
        run(arguments)
    return list(caught.value.problems)


def only_problem(**arguments: object) -> Problem:
    found = problems({"cluster": "7", **arguments})
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ({"limit": "5"}, {"limit": 5}),
        ({"limit": 5.0}, {"limit": 5}),
        ({"limit": " 5 "}, {"limit": 5}),
        ({"share": "0.25"}, {"share": 0.25}),
        ({"share": 1}, {"share": 1.0}),
        ({"dry_run": "true"}, {"dry_run": True}),
        ({"dry_run": "False"}, {"dry_run": False}),
        ({"properties": '["a", "b"]'}, {"properties": ("a", "b")}),
        ({"properties": ["a", 7]}, {"properties": ("a", "7")}),
        ({"range": '{"low": 1, "high": "2"}'}, {"range": {"low": 1, "high": 2}}),
        ({"cluster": 12345678901234567890}, {"cluster": "12345678901234567890"}),
        ({"remarks": '{"a": 1}'}, {"remarks": '{"a": 1}'}),
        ({"remarks": "null"}, {"remarks": "null"}),
    ],
)
def test_what_clients_send_is_read_as_the_declared_type(sent: dict[str, object], read: dict[str, object]) -> None:
    seen = understood(**sent)
    assert {key: seen[key] for key in read} == read


@pytest.mark.parametrize("blank", ["", None])
def test_a_blank_optional_argument_is_absent(blank: object) -> None:
    assert (
        understood(**dict.fromkeys(("qp", "kind", "properties", "range", "limit", "share", "dry_run"), blank))
        == understood()
    )


@pytest.mark.parametrize("definition", [{"events": [{"num": 4}]}, '{"events": ', [[["x"]]], 7, "\ud800", {"a": None}])
def test_a_definition_is_passed_on_untouched(definition: object) -> None:
    assert understood(qp=definition)["qp"] == definition


@pytest.mark.parametrize(
    ("sent", "path", "code", "suggestion"),
    [
        ({"cluster_name": "x"}, "/cluster_name", "argument_unknown", ""),
        ({"dryrun": True}, "/dryrun", "argument_unknown", "dry_run"),
        ({"a/b~": 1}, "/a~1b~0", "argument_unknown", ""),
        ({"limit": "many"}, "/limit", "argument_type", ""),
        ({"limit": True}, "/limit", "argument_type", ""),
        ({"limit": 5.5}, "/limit", "argument_type", ""),
        ({"limit": 0}, "/limit", "argument_value", "1"),
        ({"limit": 999}, "/limit", "argument_value", "100"),
        ({"share": float("nan")}, "/share", "argument_type", ""),
        ({"share": float("inf")}, "/share", "argument_type", ""),
        ({"share": "NaN"}, "/share", "argument_type", ""),
        ({"dry_run": "yes"}, "/dry_run", "argument_type", "true"),
        ({"dry_run": 0}, "/dry_run", "argument_type", "false"),
        ({"kind": "parket"}, "/kind", "argument_value", "parquet"),
        ({"properties": "level"}, "/properties", "argument_type", '["level"]'),
        ({"properties": ["a", None]}, "/properties/1", "argument_type", ""),
        ({"properties": "[NaN]"}, "/properties", "argument_type", '["[NaN]"]'),
        ({"range": []}, "/range", "argument_type", ""),
        ({"range": {"lo": 1}}, "/range/lo", "argument_unknown", "low"),
        ({"range": {"low": "x"}}, "/range/low", "argument_type", ""),
        ({"remarks": ["x"]}, "/remarks", "argument_type", ""),
        ({"remarks": "a\x00b"}, "/remarks", "argument_value", ""),
        ({"remarks": "a\ud800b"}, "/remarks", "argument_value", ""),
        ({"remarks": "x" * (MAX_TEXT + 1)}, "/remarks", "argument_value", ""),
        ({"remarks": 10**5000}, "/remarks", "argument_type", ""),
        ({"limit": 10**5000}, "/limit", "argument_type", ""),
    ],
    ids=shown,
)
def test_what_does_not_fit_is_a_problem_with_its_path(
    sent: dict[str, object], path: str, code: str, suggestion: str
) -> None:
    found = only_problem(**sent)
    assert (found.path, found.code, found.suggestion) == (path, code, suggestion)
    assert found.message.en
    assert found.message.zh
    assert found.message.en != found.message.zh


@pytest.mark.parametrize("sent", [{}, {"cluster": None}])
def test_a_missing_argument_is_named(sent: dict[str, object]) -> None:
    (found,) = problems(sent)
    assert (found.path, found.code) == ("/cluster", "argument_missing")


def test_a_blank_required_text_is_refused_by_its_limits() -> None:
    (found,) = problems({"cluster": ""})
    assert (found.code, found.expected) == ("argument_value", Text("text, not empty", "文本（不能为空）"))


def test_the_words_of_a_validator_are_kept_in_both_languages() -> None:
    found = only_problem(range={"low": 2, "high": 1})
    assert found.message == Text("low is above high", "下限大于上限")


def test_all_problems_come_at_once() -> None:
    found = problems({"limit": "x", "kind": "?", "nope": 1})
    assert {(p.path, p.code) for p in found} == {
        ("/nope", "argument_unknown"),
        ("/limit", "argument_type"),
        ("/kind", "argument_value"),
        ("/cluster", "argument_missing"),
    }


def test_expectations_are_said_in_both_languages() -> None:
    found = only_problem(limit="many")
    assert found.expected == Text("a whole number, 1 to 100", "整数（1 至 100）")
    assert found.message == Text(
        "This is text; expected a whole number, 1 to 100.", "这里是文本；应为整数（1 至 100）。"
    )


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "hostile",
    [
        deep(5000), "[" * 5000 + "]" * 5000, '{"a":' * 5000, "\x00", "\ud800", "x" * 300_000, float("-inf"), 10**5000, -(10**50),
        {"\ud800": "\x00"}, {str(n): n for n in range(5000)}, ["'; DROP TABLE x; --"] * 2000, "1" * 5000, "＿中文\u202e", b"bytes", object(),
    ],
    ids=lambda hostile: "an object" if type(hostile) is object else shown(hostile),
)  # fmt: skip
@pytest.mark.parametrize("name", [*Everything.model_fields, "un\ud800known\x00", "u" * 5000], ids=shown)
def test_nothing_that_is_sent_gives_more_than_problems(name: str, hostile: object) -> None:
    found: tuple[Problem, ...] = ()
    try:
        run({"cluster": "7", name: hostile})
    except InvalidArguments as refused:
        found = refused.problems
    understandable = name in ("qp", "cluster", "remarks", "range", "properties")
    assert found or understandable
    for p in found:
        json.dumps([p.path, p.got, *p.expected, p.suggestion], ensure_ascii=False).encode()
        assert len(p.got) <= 201
        assert len(p.path) <= 500


def test_a_quoted_value_is_cut_and_cleaned() -> None:
    assert shown("x" * 500) == "x" * 200 + "…"
    assert shown({"a": [1, {"b": None}], "c": True}) == "{a: [1, {b: null}], c: true}"
    assert len(shown(deep(5000))) < 20


def test_a_read_only_server_refuses_what_writes_and_runs_what_reads() -> None:
    locked = replace(DEPS, read_only=True)
    with pytest.raises(ReadOnlyMode):
        run({}, write, locked)
    assert run({"cluster": "1"}, echo, locked).message == "ok"
    assert run({}, write).message == "written"


def test_an_error_of_the_house_passes_unchanged() -> None:
    @operation(title=Text("x", "x"), effect=Effect.READ)
    async def lost(params: Params, deps: Deps) -> Result:
        raise NotFound(Text("no cluster", "没有分群"))

    with pytest.raises(NotFound, match="no cluster"):
        run({}, lost)


def test_an_error_of_the_house_inside_a_task_group_is_found() -> None:
    @operation(title=Text("x", "x"), effect=Effect.READ)
    async def lost(params: Params, deps: Deps) -> Result:
        async def fail() -> None:
            raise NotFound(Text("no cluster", "没有分群"))

        async with anyio.create_task_group() as group:
            group.start_soon(fail)
        return Result(message="never")

    with pytest.raises(NotFound, match="no cluster"):
        run({}, lost)


def test_a_bug_is_logged_under_an_id_and_tells_the_caller_only_the_id(caplog: pytest.LogCaptureFixture) -> None:
    @operation(title=Text("x", "x"), effect=Effect.READ)
    async def broken(params: Params, deps: Deps) -> Result:
        raise KeyError("a secret detail")

    with caplog.at_level(logging.ERROR, logger="fenqun"), pytest.raises(InternalError) as caught:
        run({}, broken)
    (record,) = caplog.records
    incident = str(cast(tuple[object, ...], record.args)[0])
    assert incident in caught.value.message.en
    assert incident in caught.value.message.zh
    assert "secret" not in caught.value.message.en
    assert record.exc_info
    assert "a secret detail" in caplog.text


def test_cancelling_the_call_cancels_the_operation() -> None:
    ended: list[str] = []

    @operation(title=Text("x", "x"), effect=Effect.READ)
    async def slow(params: Params, deps: Deps) -> Result:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("cancelled")

    async def main() -> None:
        with anyio.move_on_after(0.01):
            await invoke(slow, {}, DEPS)

    anyio.run(main)
    assert ended == ["cancelled"]


def test_every_error_that_call_raises_is_of_the_house() -> None:
    for error in (InvalidArguments, ReadOnlyMode, InternalError):
        assert issubclass(error, FenqunError)
