"""Each way to a consent over HTTP, from the real client on both generations of the protocol."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp_types import ElicitResult, InputRequiredResult

from tests import small
from tests.http.http_kit import House, Web
from tests.operations.desk import Watch

MODES = ("legacy", "auto")
NUMBERS = count()
YES = ElicitResult(action="accept", content={"answer": "yes"})

Callback = Callable[[Any, Any], Awaitable[ElicitResult]]
Job = Callable[[Client, str], Awaitable[Any]]


def answering(answer: ElicitResult) -> Callback:
    async def answered(_: object, question: Any) -> ElicitResult:
        assert question.message.startswith('Would delete cluster "over_http_')
        return answer

    return answered


async def delete(client: Client, name: str) -> Any:
    return await client.call_tool("delete_cluster", {"cluster": name})


def run(web: Web, mode: str, person: Callback | None, job: Job = delete) -> tuple[str, bool]:
    """What a deletion says, and whether its cluster is still there; `job` may do it its own way."""
    name = f"over_http_{next(NUMBERS)}"
    wish = {"cluster_name": name, "display_name": name, "cluster_type": "cluster_by_static_condition", "qp": small.BUYERS}  # fmt: skip

    async def connected() -> tuple[str, bool]:
        async with create_mcp_http_client(headers=web.headers) as http:
            transport = streamable_http_client(web.url + "/mcp", http_client=http)
            async with Client(transport, mode=mode, elicitation_callback=person) as client:  # type: ignore[arg-type]
                await client.call_tool("create_cluster", wish)
                said = await job(client, name)
                left = await client.call_tool("get_cluster", {"cluster": name})
                return str(said.content[0].text), not left.is_error

    return anyio.run(connected)


@pytest.mark.parametrize("mode", MODES)
def test_a_yes_in_the_form_carries_it_out(guarded: Web, house: House, mode: str) -> None:
    said, left = run(guarded, mode, answering(YES))
    assert said.startswith("Deleted cluster")
    assert not left
    entry = house.app.deps.required_ledger().entries(limit=1)[0]
    assert (entry.subject.name, entry.subject.known, entry.way) == ("writer", "token", "asked")


NOT_YES = [
    (ElicitResult(action="decline"), "declined"),
    (ElicitResult(action="cancel"), "closed without"),
    (ElicitResult(action="accept", content={"answer": "no"}), "declined"),
    (ElicitResult(action="accept", content={"answer": True}), "without a yes"),
]


@pytest.mark.parametrize("mode", MODES)
def test_everything_but_a_yes_changes_nothing(guarded: Web, mode: str) -> None:
    answers = iter(NOT_YES)

    async def each(_: object, question: Any) -> ElicitResult:
        return next(answers)[0]

    async def four_times(client: Client, name: str) -> Any:
        for _, words in NOT_YES:
            refused = await delete(client, name)
            assert "code: consent_declined" in refused.content[0].text
            assert words in refused.content[0].text
        return refused

    _, left = run(guarded, mode, each, four_times)
    assert left
    assert next(answers, None) is None


@pytest.mark.parametrize("mode", MODES)
def test_a_client_that_can_not_ask_is_sent_to_the_page(guarded: Web, house: House, mode: str) -> None:
    said, left = run(guarded, mode, None)
    assert "status: waiting_for_approval" in said
    assert f"{guarded.url}/pending" in said
    assert house.app.deps.required_ledger().pending()[-1].id in said
    assert left


@pytest.mark.parametrize("mode", MODES)
def test_an_answer_that_comes_too_late_is_none(guarded: Web, house: House, mode: str) -> None:
    catalog = house.app.tokens._catalog
    clock, watch = catalog.clock, Watch(datetime.now(UTC))

    async def late(context: object, question: Any) -> ElicitResult:
        watch.moment += timedelta(seconds=600)
        return YES

    catalog.clock = watch
    try:
        said, left = run(guarded, mode, late)
    finally:
        catalog.clock = clock
    assert "code: consent_invalid" in said
    assert left


@pytest.mark.parametrize("mode", MODES)
def test_what_changed_while_the_person_read_is_not_touched(guarded: Web, house: House, mode: str) -> None:
    async def slow(context: object, question: Any) -> ElicitResult:
        with house.app.tokens._database.write() as db:
            db.execute("UPDATE cluster SET revision = revision + 1, remarks = 'mine' WHERE name LIKE 'over_http_%'")
        return YES

    said, left = run(guarded, mode, slow)
    assert "code: changed_meanwhile" in said
    assert left


def test_an_answer_sent_again_three_times_or_by_somebody_else_serves_once(guarded: Web, tokens: dict[str, str]) -> None:
    sent: list[str] = []

    async def replayed(client: Client, name: str) -> Any:
        arguments = {"cluster": name}
        asked = await client.session.call_tool("delete_cluster", arguments, allow_input_required=True)
        assert isinstance(asked, InputRequiredResult)
        again = {"input_responses": {"consent": YES}, "request_state": asked.request_state}
        body = {"name": "delete_cluster", "arguments": arguments, "requestState": asked.request_state,
                "inputResponses": {"consent": {"action": "accept", "content": {"answer": "yes"}}}}  # fmt: skip
        stranger = guarded.as_(tokens["seven"])
        stolen = await anyio.to_thread.run_sync(lambda: stranger.asked("tools/call", "delete_cluster", **body).text)
        assert "requestState" in stolen
        done = await client.session.call_tool("delete_cluster", arguments, **again)  # type: ignore[call-overload]
        assert not done.is_error
        wish = {"cluster_name": name, "display_name": name, "cluster_type": "cluster_by_static_condition"}
        await client.call_tool("create_cluster", {**wish, "qp": small.BUYERS})
        for _ in range(3):
            more = await client.session.call_tool("delete_cluster", arguments, **again)  # type: ignore[call-overload]
            sent.append(str(more.content[0].text))
        return more

    _, left = run(guarded, "auto", answering(YES), replayed)
    assert left
    assert len(sent) == 3
    assert all("code: consent_invalid" in said for said in sent)
