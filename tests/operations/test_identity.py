"""Scope and projects bind every operation, and a refusal tells nothing about what lies beyond them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import anyio
import pytest

from mcp_server.consent.invoke import invoke
from mcp_server.errors import FenqunError, NoProject, NotAllowed, ReadOnlyMode
from mcp_server.operations.arguments import input_schema
from mcp_server.operations.operation import Deps, Identity, Operation, system_user
from mcp_server.operations.registry import OPERATIONS
from tests import small
from tests.operations.desk import DYNAMIC, Desk, check_error

WRITING = [o for o in OPERATIONS if o.effect.writes]


def arguments(operation: Operation[Any, Any], **more: object) -> dict[str, object]:
    """The least that an operation takes, made from its schema."""
    schema = input_schema(operation)
    return {name: least(schema["properties"][name]) for name in schema.get("required", ())} | more


def least(schema: dict[str, Any]) -> object:
    if "enum" in schema:
        return schema["enum"][0]
    kinds: dict[str, object] = {"string": "a", "integer": schema.get("minimum", 1), "number": 1, "boolean": True}
    items = [least(schema["items"])] if schema.get("minItems") else []
    return {**kinds, "array": items}.get(schema.get("type", "object"), {})


def refusal(deps: Deps, operation: Operation[Any, Any], **more: object) -> FenqunError:
    with pytest.raises(FenqunError) as caught:
        anyio.run(invoke, operation, arguments(operation, **more), deps)
    check_error(caught.value)
    return caught.value


def for_caller(desk: Desk, **who: Any) -> Deps:
    return replace(desk.app.deps, caller=Identity("kim", "token", **who))


def test_whoever_starts_the_process_may_do_everything(shared: Desk) -> None:
    who = shared.app.deps.caller
    assert who == Identity(system_user(), "system", may_write=True, projects=None)
    assert who.name
    assert shared.app.deps.project("7") == "7"
    assert shared.app.deps.project("") == "1"


def test_a_user_without_a_name_is_known_by_his_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise OSError("no entry for this user")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert system_user().isdigit()


@pytest.mark.parametrize("operation", WRITING, ids=lambda o: o.name)
def test_an_access_that_may_only_read_changes_nothing(shared: Desk, operation: Operation[Any, Any]) -> None:
    before = shared.everything()
    error = refusal(for_caller(shared, may_write=False), operation)
    assert isinstance(error, NotAllowed)
    assert "may only read" in error.message.en
    both = replace(for_caller(shared, may_write=False), read_only=True)
    assert isinstance(refusal(both, operation), ReadOnlyMode)
    assert shared.everything() == before


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.name)
def test_no_operation_reaches_another_project(shared: Desk, operation: Operation[Any, Any]) -> None:
    before = shared.everything()
    error = refusal(for_caller(shared, projects=frozenset({"12", "7"})), operation, project_id="1")
    assert isinstance(error, NotAllowed)
    assert "7, 12" in error.next_step.en
    assert shared.everything() == before


@pytest.mark.parametrize("named", ["1 ", "01", "１", "1\0", "../1", "9" * 400])
def test_a_project_is_compared_exactly(shared: Desk, named: str) -> None:
    deps = for_caller(shared, projects=frozenset({"1"}))
    with pytest.raises(NotAllowed):
        deps.project(named)
    assert deps.project("1") == "1"


def test_a_call_that_names_no_project_gets_the_servers_or_the_only_one(shared: Desk) -> None:
    def project(*mine: str) -> str:
        return for_caller(shared, projects=frozenset(mine)).project("")

    assert project("1", "7") == "1"
    assert project("7") == "7"
    with pytest.raises(NotAllowed, match="does not reach project 1"):
        project("7", "8")
    with pytest.raises(NotAllowed) as caught:
        project()
    assert "no project at all" in caught.value.next_step.en


def test_a_project_that_is_not_loaded_does_not_tell_which_are(shared: Desk) -> None:
    (describe,) = [o for o in OPERATIONS if o.name == "describe_data"]
    error = refusal(for_caller(shared, projects=frozenset({"7"})), describe)
    assert isinstance(error, NoProject)
    assert not any(c.isdigit() for c in error.message.en + error.next_step.en)


def test_reach_is_what_it_says() -> None:
    may: Callable[[str], bool] = Identity(projects=frozenset({"1"})).may_use
    assert (may("1"), may("2"), Identity().may_use("2")) == (True, False, True)
    assert not Identity(projects=frozenset()).may_use("1")


def test_whoever_may_only_read_starts_no_computation_and_waits_in_the_same_queue(desk: Desk) -> None:
    desk.create("buyers", small.BUYERS, DYNAMIC)
    desk("refresh_cluster", cluster="buyers")
    desk.load_again()
    before = desk.jobs()
    reading = replace(desk.app, deps=desk.app.deps.for_caller(Identity("kim", "token", may_write=False)))
    exported = Desk(reading)("export_users", cluster="buyers")
    assert exported.fresh is False
    assert desk.jobs() == before
    segments: Any = desk.app.deps.segments
    assert reading.deps.segments._tasks is segments._tasks  # type: ignore[attr-defined]
    assert desk("export_users", cluster="buyers").fresh is True
