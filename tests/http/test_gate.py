"""What every request passes: names, room, the end; and what the log keeps of it."""

import logging
from typing import Any

import anyio
import httpx
import pytest

from mcp_server.errors import WorkspaceBusy
from mcp_server.front.http.access import HttpLimits, InFlight, Refused
from mcp_server.front.http.app import GateSettings, application
from mcp_server.front.mcp.handler import Handler
from mcp_server.front.mcp.server import serving
from mcp_server.operations.operation import Deps, Effect, Operation, Params, Result, operation
from mcp_server.text import Text
from tests.http.http_kit import STATELESS, House, Web, message_of, served


@pytest.mark.parametrize("host", ["evil.example.com", "127.0.0.1.evil.com", "localhost.evil.com:80", ""])
def test_a_name_that_is_not_ours_is_refused(opened: Web, host: str) -> None:
    for path in ("/mcp", "/imports", "/exports/x"):
        assert opened.post(path, b"{}", Host=host).status_code == 421


def test_a_page_of_another_site_is_refused_and_one_of_this_machine_is_not(opened: Web) -> None:
    for path in ("/mcp", "/imports"):
        assert opened.post(path, b"{}", Origin="https://evil.example.com").status_code == 403
        assert opened.post(path, b"{}", Origin="null").status_code == 403
    assert opened.post("/imports", b"1", Origin="http://localhost:6274").status_code == 201


def test_a_name_that_is_allowed_is_taken(house: House) -> None:
    with house.serving(allow_hosts=("Fenqun.example.com",)) as web:
        for host, status in (("fenqun.example.com", 200), ("fenqun.example.com:443", 200), ("x.example.com", 421)):
            head = {"Host": host, "Origin": f"https://{host}"}
            answer = httpx.post(web.url + "/imports", content=b"x", headers=head)
            assert answer.status_code == (201 if status == 200 else status)


def test_a_message_that_is_too_large_is_refused(house: House) -> None:
    with house.serving(HttpLimits(body=1000)) as web:
        head = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        assert web.post("/mcp", b" " * 1001, **head).status_code == 413
        assert web.post("/mcp", b" " * 1000, **head).status_code == 400


@pytest.mark.parametrize("path", ["/mcp", "/health", "/imports", "/exports/x", "/", "/nope"])
@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "TRACE", "HEAD"])
def test_odd_methods_are_answered(opened: Web, method: str, path: str) -> None:
    answer = opened.client.request(method, opened.url + path)
    assert 200 <= answer.status_code < 500


def test_the_log_has_the_caller_and_the_path_but_no_query_and_no_token(
    guarded: Web, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        guarded.get("/exports/x%0aFORGED?secret=canary")
        guarded.as_("canary").get("/mcp?token=canary")
        guarded.call("describe_data", words="canary")
        guarded.get("/health")
    lines = [r.getMessage() for r in caplog.records if r.name == "fenqun.access"]
    for start in ("writer GET /exports/x%0AFORGED 404 ", "- GET /mcp 401 ", "writer POST /mcp 200 "):
        assert any(line.startswith(start) for line in lines), lines
    ours = "".join(r.getMessage() for r in caplog.records if r.name != "httpx")
    assert "canary" not in ours
    assert guarded.token not in ours


def test_health_tells_when_the_workspace_cannot_be_used(house: House) -> None:
    def busy() -> None:
        raise WorkspaceBusy(Text("busy", "繁忙"))

    async def check() -> None:
        gate = application([], house.app.deps, house.app.handed, GateSettings(), alive=busy)
        async with served(gate) as url, httpx.AsyncClient() as client:
            answer = await client.get(url + "/health")
        assert (answer.status_code, answer.json()) == (503, {"status": "workspace_busy"})

    anyio.run(check)


# room


def test_places_are_counted_for_each_caller_and_for_all() -> None:
    in_flight = InFlight(HttpLimits(calls=3, calls_each=2, streams=1, streams_each=1))

    def refused(kind: Any, who: str) -> int:
        with pytest.raises(Refused) as caught, in_flight.admitted(kind, who):
            pass
        return caught.value.status

    with in_flight.admitted("call", "a"), in_flight.admitted("call", "a"):
        assert refused("call", "a") == 429
        with in_flight.admitted("stream", "a"), in_flight.admitted("call", "b"):
            assert refused("call", "b") == 503
            assert refused("stream", "b") == 503
        with in_flight.admitted("call", "b"):
            assert in_flight.calls == 3
    assert in_flight.calls == 0
    with in_flight.admitted("call", "a"):
        pass


# calls that last


class Lasting:
    """An operation that waits until it is told to go on."""

    def __init__(self) -> None:
        self.started, self.go_on, self.cancelled = anyio.Event(), anyio.Event(), anyio.Event()

    @property
    def operation(self) -> Operation[Any, Any]:
        @operation(title=Text("Wait", "等待"), effect=Effect.READ)
        async def wait_long(params: Params, deps: Deps) -> Result:
            """Wait."""
            self.started.set()
            try:
                await self.go_on.wait()
            finally:
                if not self.go_on.is_set():
                    self.cancelled.set()
            return Result(message="waited")

        return wait_long


def call_of(tool: str) -> dict[str, Any]:
    """The parts of a stateless request that calls a tool."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": STATELESS,
        "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    head = {
        "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": STATELESS, "Mcp-Method": "tools/call", "Mcp-Name": tool,
    }  # fmt: skip
    params = {"name": tool, "arguments": {}, "_meta": meta}
    return {"json": {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}, "headers": head}


def test_a_call_too_many_is_told_to_come_later(house: House) -> None:
    async def check() -> None:
        lasting = Lasting()
        limits = HttpLimits(calls_each=1)
        gate = application(
            [lasting.operation], house.app.deps, house.app.handed, GateSettings(limits=limits), alive=house.app.alive
        )
        async with served(gate, limits) as url, httpx.AsyncClient() as client, anyio.create_task_group() as group:
            answers: list[httpx.Response] = []

            async def first() -> None:
                answers.append(await client.post(url + "/mcp", **call_of("wait_long")))

            group.start_soon(first)
            await lasting.started.wait()
            second = await client.post(url + "/mcp", **call_of("wait_long"))
            assert (second.status_code, second.headers["retry-after"]) == (429, "1")
            assert second.json()["error"] == "too_many_requests"
            lasting.go_on.set()
        assert message_of(answers[0])["result"]["structuredContent"]["message"] == "waited"

    anyio.run(check)


def test_ending_lets_calls_finish_closes_streams_and_takes_nothing_new(house: House) -> None:
    async def check() -> None:
        lasting = Lasting()
        gate = application([lasting.operation], house.app.deps, house.app.handed, GateSettings(), alive=house.app.alive)
        answers: list[httpx.Response] = []
        stream_ended = anyio.Event()
        async with httpx.AsyncClient() as client, anyio.create_task_group() as group, served(gate) as url:
            session = await _session(client, url)

            async def listen() -> None:
                async with client.stream("GET", url + "/mcp", headers=session) as stream:
                    assert stream.status_code == 200
                    async for _ in stream.aiter_raw():
                        pass
                stream_ended.set()

            async def call() -> None:
                answers.append(await client.post(url + "/mcp", **call_of("wait_long")))

            group.start_soon(listen)
            group.start_soon(call)
            await lasting.started.wait()
            gate.stop()
            await stream_ended.wait()
            refused = await client.post(url + "/mcp", **call_of("wait_long"))
            assert (refused.status_code, (await client.get(url + "/health")).status_code) == (503, 503)
            lasting.go_on.set()
        assert message_of(answers[0])["result"]["structuredContent"]["message"] == "waited"

    anyio.run(check)


async def _session(client: httpx.AsyncClient, url: str) -> dict[str, str]:
    """Shake hands; the headers of the session."""
    head = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    made = await client.post(
        url + "/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}, headers=head
    )
    return head | {"Mcp-Session-Id": made.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-11-25"}


def test_a_client_that_hangs_up_ends_its_call(house: House) -> None:
    async def check() -> None:
        lasting = Lasting()
        gate = application([lasting.operation], house.app.deps, house.app.handed, GateSettings(), alive=house.app.alive)
        async with served(gate) as url:
            async with httpx.AsyncClient() as client, anyio.create_task_group() as group:
                group.start_soon(lambda: client.post(url + "/mcp", **call_of("wait_long")))
                await lasting.started.wait()
                group.cancel_scope.cancel()
            with anyio.fail_after(10):
                await lasting.cancelled.wait()

    anyio.run(check)


def test_a_server_for_http_answers_nobody_who_has_not_passed_the_gate(house: House) -> None:
    server = serving(Handler([Lasting().operation], house.app.deps, pytest.fail))
    with pytest.raises(AssertionError):
        anyio.run(server.call_tool, "wait_long", {})
