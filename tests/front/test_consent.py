"""Each way to a consent and each way past it, from real clients on both generations of the protocol."""

import shutil
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitResult, ErrorData, InputRequiredResult

from mcp_server.app import App, build
from mcp_server.consent.invoke import carry_out, takes_token
from mcp_server.errors import ApprovalNeeded
from mcp_server.operations.operation import Deps, Result
from mcp_server.operations.registry import OPERATIONS
from mcp_server.settings import Settings, read_settings
from tests import small
from tests.ledgers import bare
from tests.operations.desk import STATIC, Watch, check_chinese

MODES = ("legacy", "auto")
Callback = Callable[[Any, Any], Awaitable[ElicitResult | ErrorData]]


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.make(tmp_path_factory.mktemp("workspace"))


@pytest.fixture
def app(made_once: Path, tmp_path: Path) -> Iterator[App]:
    yield from opened(made_once, tmp_path)


def opened(made_once: Path, tmp_path: Path, **settings: Any) -> Iterator[App]:
    made = build(Settings(shutil.copytree(made_once, tmp_path / "workspace"), threads=1, **settings))
    yield made
    made.close()


class Person:
    """Somebody at a client, who gives this answer."""

    def __init__(self, answer: ElicitResult | ErrorData) -> None:
        self.answer = answer
        self.asked: list[Any] = []

    async def __call__(self, _: object, question: Any) -> ElicitResult | ErrorData:
        self.asked.append(question)
        return self.answer


def yes() -> Person:
    return Person(ElicitResult(action="accept", content={"answer": "yes"}))


def told(result: Any) -> str:
    """All that a refusal, or an answer that waits, says."""
    assert result.is_error or "status" in result.structured_content, result
    return str(result.content[0].text)


def code(result: Any) -> str:
    """The code of an error."""
    return told(result).partition("\ncode: ")[2].partition(";")[0]


Job = Callable[[Client], Awaitable[Any]]


def run(app: App, mode: str, person: Callback | None, job: Job) -> Any:
    async def connected() -> Any:
        async with Client(app.server(), mode=mode, elicitation_callback=person) as client:
            await client.call_tool("create_cluster", VIP)
            return await job(client)

    return anyio.run(connected)


VIP = {"cluster_name": "vip", "display_name": "VIP", "cluster_type": STATIC, "qp": small.BUYERS}


async def delete(client: Client) -> Any:
    return await client.call_tool("delete_cluster", {"cluster": "vip"})


def there(app: App) -> bool:
    return app.deps.segments._catalog.find_name("1", "vip") is not None  # type: ignore[attr-defined]


def consents(app: App) -> list[dict[str, Any]]:
    database = app.deps.segments._catalog.database  # type: ignore[attr-defined]
    return [dict(row) for row in database.rows("SELECT * FROM consent ORDER BY created_at")]


def acts(app: App) -> list[tuple[str, str, str]]:
    """Tool, way and outcome of what was done or refused, newest first."""
    return [(e.subject.tool, e.way, e.outcome) for e in app.deps.required_ledger().entries(limit=50)]


@pytest.mark.parametrize("mode", MODES)
def test_a_yes_in_the_form_is_consent_for_one_act_and_is_logged(app: App, mode: str) -> None:
    person = yes()
    result = run(app, mode, person, delete)
    assert not result.is_error, result
    assert not there(app)
    (question,) = person.asked
    assert question.message.startswith('Would delete cluster "VIP" (vip, id 1): 2 users.')
    assert question.requested_schema["required"] == ["answer"]
    assert [(c["way"], c["state"]) for c in consents(app)] == [("asked", "used")]
    (entry, _created) = app.deps.required_ledger().entries(limit=9)
    assert (entry.subject.tool, entry.way, entry.outcome) == ("delete_cluster", "asked", "done")
    assert entry.subject.client.startswith("mcp")
    assert "Would delete" in entry.before
    assert "Deleted" in entry.after


NOT_YES = {
    "decline": (ElicitResult(action="decline"), "declined"),
    "no": (ElicitResult(action="accept", content={"answer": "no"}), "declined"),
    "cancel": (ElicitResult(action="cancel"), "closed without"),
    "nothing filled in": (ElicitResult(action="accept"), "without a yes"),
    "another field": (ElicitResult(action="accept", content={"ok": "yes"}), "without a yes"),
    "a boolean": (ElicitResult(action="accept", content={"answer": True}), "without a yes"),
    "another word": (ElicitResult(action="accept", content={"answer": "Yes!"}), "without a yes"),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("answer", NOT_YES)
def test_everything_but_a_yes_changes_nothing_and_says_so(app: App, mode: str, answer: str) -> None:
    given, said = NOT_YES[answer]
    result = run(app, mode, Person(given), delete)
    assert code(result) == "consent_declined"
    assert said in told(result)
    assert "nothing was changed" in told(result)
    assert there(app)
    assert [c["state"] for c in consents(app)] == ["declined"]
    assert acts(app) == [("delete_cluster", "asked", "refused"), ("create_cluster", "", "done")]
    assert app.deps.required_ledger().entries(limit=1)[0].after.startswith("consent_declined: ")


@pytest.mark.parametrize("mode", MODES)
def test_where_nobody_can_be_asked_the_act_waits_once(app: App, mode: str) -> None:
    async def twice(client: Client) -> Any:
        return [await delete(client), await delete(client)]

    first, second = run(app, mode, None, twice)
    assert not first.is_error, "clients that raise on errors would end the run"
    assert first.structured_content["status"] == "waiting_for_approval"
    (waiting,) = app.deps.required_ledger().pending()
    program, options = app.deps.command_line or ("", "")
    assert f"{program} approve {options} {waiting.id}" in told(first), "runs as it is, wherever it is pasted"
    assert waiting.id in told(second)
    assert there(app)


def test_a_client_that_breaks_its_word_is_one_that_can_not_ask(app: App) -> None:
    result = run(app, "legacy", Person(ErrorData(code=-32600, message="no forms here")), delete)
    assert result.structured_content["status"] == "waiting_for_approval"
    assert there(app)


@pytest.mark.parametrize("mode", MODES)
def test_what_changed_while_the_person_read_is_not_touched(app: App, mode: str) -> None:
    agreeing = yes()

    async def slow(context: object, question: Any) -> ElicitResult | ErrorData:
        catalog = app.deps.segments._catalog  # type: ignore[attr-defined]
        with catalog.database.write() as db:
            db.execute("UPDATE cluster SET revision = revision + 1, remarks = 'mine now'")
        return await agreeing(context, question)

    result = run(app, mode, slow, delete)
    assert code(result) == "changed_meanwhile"
    assert there(app)
    assert [c["state"] for c in consents(app)] == ["changed"]
    assert acts(app)[0] == ("delete_cluster", "asked", "refused")


@pytest.mark.parametrize("mode", MODES)
def test_an_answer_that_comes_too_late_is_none(app: App, mode: str) -> None:
    watch = Watch(datetime.now(UTC))
    app.deps.segments._catalog.clock = watch  # type: ignore[attr-defined]
    agreeing = yes()

    async def late(context: object, question: Any) -> ElicitResult | ErrorData:
        watch.moment += timedelta(seconds=600)
        return await agreeing(context, question)

    result = run(app, mode, late, delete)
    assert code(result) == "consent_invalid"
    assert "time to answer" in told(result)
    assert there(app)


ANSWER: Any = {"consent": ElicitResult(action="accept", content={"answer": "yes"})}


async def _asked(client: Client, tool: str = "delete_cluster", **arguments: Any) -> InputRequiredResult:
    asked = await client.session.call_tool(tool, arguments or {"cluster": "vip"}, allow_input_required=True)
    assert isinstance(asked, InputRequiredResult)
    return asked


async def _answered(client: Client, state: str | None, responses: Any = ANSWER, **arguments: Any) -> Any:
    return await client.session.call_tool(
        "delete_cluster", arguments or {"cluster": "vip"}, input_responses=responses, request_state=state, allow_input_required=True
    )  # fmt: skip


def test_one_answer_serves_once_however_often_it_is_sent(app: App) -> None:
    async def replayed(client: Client) -> list[Any]:
        asked = await _asked(client)
        results = [await _answered(client, asked.request_state)]
        for _ in range(3):
            await client.call_tool("create_cluster", VIP)
            results.append(await _answered(client, asked.request_state))
        return results

    first, *others = run(app, "auto", yes(), replayed)
    assert not first.is_error
    assert {code(r) for r in others} == {"consent_invalid"}
    assert all("used already" in told(r) for r in others)
    assert there(app)
    assert [outcome for tool, _, outcome in acts(app) if tool == "delete_cluster"] == ["refused"] * 3 + ["done"]


def test_an_answer_is_for_its_own_arguments_and_its_own_state(app: App) -> None:
    async def bent(client: Client) -> Any:
        await client.call_tool("create_cluster", VIP | {"cluster_name": "other"})
        asked = await _asked(client)
        with pytest.raises(MCPError, match="requestState"):
            await _answered(client, asked.request_state, cluster="other")
        with pytest.raises(MCPError, match="requestState"):
            await _answered(client, (asked.request_state or "")[:-4] + "AAAA")
        again = await _answered(client, asked.request_state, None)
        assert isinstance(again, InputRequiredResult), "without an answer it is asked again"
        unasked = await _answered(client, None)
        assert isinstance(unasked, InputRequiredResult), "an answer to nothing is none"
        return await client.call_tool("list_clusters", {})

    assert run(app, "auto", yes(), bent).structured_content["total"] == 2


def test_the_answer_may_reach_another_process_of_the_workspace(app: App) -> None:
    other = build(app.settings)

    async def moved(client: Client) -> Any:
        asked = await _asked(client)
        async with Client(other.server(), mode="auto", elicitation_callback=yes()) as second:
            return await _answered(second, asked.request_state)

    try:
        assert not run(app, "auto", yes(), moved).is_error
    finally:
        other.close()
    assert not there(app)


def test_trying_adding_and_changing_nothing_ask_nobody(app: App) -> None:
    person = yes()

    async def job(client: Client) -> list[Any]:
        calls = [("delete_cluster", {"cluster": "vip", "dry_run": True}), ("refresh_cluster", {"cluster": "vip"})]
        calls += [("update_cluster", {"cluster": "vip", "qp": small.BUYERS}), ("export_users", {"cluster": "vip"})]
        return [await client.call_tool(tool, arguments) for tool, arguments in calls]

    results = run(app, "auto", person, job)
    assert not any(r.is_error for r in results)
    assert "dry_run" not in results[2].structured_content
    assert person.asked == []
    assert [tool for tool, _, _ in acts(app)] == ["export_users", "refresh_cluster", "create_cluster"]


def test_the_question_is_asked_in_the_language_of_the_server(made_once: Path, tmp_path: Path) -> None:
    for app in opened(made_once, tmp_path, language="zh"):
        person = yes()

        async def change(client: Client) -> Any:
            return await client.call_tool("update_cluster", {"cluster": "vip", "remarks": "甲\x1b[2J\n乙"})

        assert not run(app, "auto", person, change).is_error
        (question,) = person.asked
        for line in question.message.splitlines():
            check_chinese(line)
        assert "\x1b" not in question.message
        assert "甲 [2J 乙" in question.message
        assert question.requested_schema["properties"]["answer"]["enumNames"][0].startswith("否")


def test_a_token_of_a_dry_run_is_consent_once_where_the_operator_says_so(made_once: Path, tmp_path: Path) -> None:
    for app in opened(made_once, tmp_path, consent="token"):

        async def job(client: Client) -> None:
            (tool,) = [t for t in (await client.list_tools()).tools if t.name == "delete_cluster"]
            assert "consent_token" in tool.input_schema["properties"]
            without = await delete(client)
            assert code(without) == "consent_invalid"
            assert "dry_run" in told(without)
            tried = await client.call_tool("delete_cluster", {"cluster": "vip", "dry_run": True})
            token = tried.structured_content["consent_token"]  # type: ignore[index]
            wrong = await client.call_tool("delete_cluster", {"cluster": "vip", "consent_token": token + "x"})
            assert code(wrong) == "consent_invalid"
            done = await client.call_tool("delete_cluster", {"cluster": "vip", "consent_token": token})
            assert not done.is_error
            await client.call_tool("create_cluster", VIP)
            replayed = await client.call_tool("delete_cluster", {"cluster": "vip", "consent_token": token})
            assert code(replayed) == "consent_invalid"

        run(app, "auto", None, job)
        assert there(app)
        assert token_rows(app) == [("token", "used")]


def token_rows(app: App) -> list[tuple[str, str]]:
    return [(c["way"], c["state"]) for c in consents(app)]


def test_without_the_operators_word_a_token_is_an_unknown_argument(app: App) -> None:
    async def job(client: Client) -> Any:
        return await client.call_tool("delete_cluster", {"cluster": "vip", "consent_token": "x"})

    assert "argument_unknown" in told(run(app, "auto", yes(), job))


def test_never_asks_nobody_and_is_logged_as_that(made_once: Path, tmp_path: Path) -> None:
    for app in opened(made_once, tmp_path, consent="never"):
        assert not run(app, "auto", None, delete).is_error
        assert acts(app)[0] == ("delete_cluster", "never", "done")


def test_a_token_is_taken_on_those_remote_platforms_alone_that_the_operator_names(tmp_path: Path) -> None:
    keys = {"TAOBAO_APP_KEY": "1", "TAOBAO_APP_SECRET": "s", "TAOBAO_SESSION": "s"}
    keys |= {"VOLCENGINE_ACCESS_KEY": "AKLT", "VOLCENGINE_SECRET_KEY": "s", "CONSENT": "token"}
    for named in ("", "taobao", "taobao,volcengine"):
        said = {"WORKSPACE": str(tmp_path / "workspace"), "CONSENT_PLATFORMS": named, **keys}
        made = build(read_settings({f"FENQUN_{name}": value for name, value in said.items()}))
        taking = {o.system for o in OPERATIONS if takes_token(o, made.deps)}
        made.close()
        assert taking == {"segments"} | ({"crowds"} if named else set()) | ({"calls"} if "," in named else set())


def test_every_tool_that_destroys_is_held_back_in_the_one_place_where_tools_are_called() -> None:
    """Whatever its dry run says: without anybody to ask, the act itself does not run."""
    ran = []
    for original in OPERATIONS:

        async def probe(params: Any, deps: Deps, name: str = original.name) -> Result:
            if not params.dry_run:
                ran.append(name)
            return Result(message="would")

        if original.effect.destroys:
            held = replace(original, run=probe)
            params = original.params.model_construct(
                **dict.fromkeys(original.params.model_fields, "") | {"dry_run": False}
            )
            with pytest.raises(ApprovalNeeded):
                anyio.run(carry_out, held, params, {}, bare())
    assert ran == []
