"""Real clients, each in an environment of its own, against a real server: `make clients`, `make clients-slice`.

Every client lists, validates, previews, creates, refreshes, exports and deletes, over stdio and over HTTP with a
token, driven by a model that follows a script. What has to be true is in scenario.json; what is known to fail in a
client for a reason of its own is in clients.json, and has to fail there.
"""

import os
from pathlib import Path

import pytest

from tests.clients.running import Client, Outcome, Server, clients, exchange, run

pytestmark = pytest.mark.clients

RUNS = [
    pytest.param(client, transport, id=f"{client.name}-{transport}")
    for client in clients()
    for transport in client.transports
]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Server:
    return Server.prepare(tmp_path_factory.mktemp("clients"))


def _outcome(client: Client, transport: str, script: str, server: Server, folder: Path) -> Outcome:
    if not client.installed:
        reason = f"{client.name} is not installed; run: make clients"
        if os.environ.get("CLIENTS"):
            pytest.fail(reason)
        pytest.skip(reason)
    return run(client, transport, script, server, folder)


def _hold(outcome: Outcome, client: Client) -> None:
    """All that has to be true of a run holds, but for what is known to fail in this client, which does fail."""
    known = {step: why for step, why in client.known.items() if step in {taken.step for taken in outcome.steps}}
    assert not outcome.fails(known)
    works = [step.step for step in outcome.steps if step.step in known and not (step.problems or step.lost)]
    assert not works, "known to fail in clients.json, but it works: take it out there"


@pytest.mark.parametrize(("client", "transport"), RUNS)
def test_the_whole_job(client: Client, transport: str, server: Server, tmp_path: Path) -> None:
    _hold(_outcome(client, transport, "whole", server, tmp_path), client)


@pytest.mark.parametrize(("client", "transport"), RUNS)
def test_a_mistake_and_an_approval_that_waits_are_read_and_the_work_goes_on(
    client: Client, transport: str, server: Server, tmp_path: Path
) -> None:
    _hold(_outcome(client, transport, "waiting", server, tmp_path), client)


def test_a_client_that_gives_up_on_discovering_may_initialize(server: Server) -> None:
    """Vercel's AI SDK waits a second for the answer to server/discover over stdio; then it sends initialize.

    A server that starts slowly reads both in one go. It has to take the second, for nothing but a question was asked.
    """
    version = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
    me = {"name": "tests", "version": "1"}
    said = {"io.modelcontextprotocol/clientInfo": me, "io.modelcontextprotocol/clientCapabilities": {}}
    answers = exchange(
        server.templates["whole"],
        {"id": 1, "method": "server/discover", "params": {"_meta": version | said}},
        {
            "id": 2,
            "method": "initialize",
            "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": me},
        },
    )
    assert "error" not in answers[2], answers[2]
    assert answers[2]["result"]["protocolVersion"] == "2025-11-25"
