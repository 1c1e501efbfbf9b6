"""Real clients, each in an environment of its own, against a real server: `make clients`, `make clients-slice`.

Every client lists, validates, previews, creates, refreshes, exports and deletes, over stdio and over HTTP with a
token, driven by a model that follows a script. What has to be true is in scenario.json; what is known to fail in a
client for a reason of its own is in clients.json, and has to fail there.
"""

import os
from pathlib import Path

import pytest

from tests.clients.running import Client, Outcome, Server, clients, load_demo_data, run, tools_over_stdio

pytestmark = pytest.mark.clients

RUNS = [
    pytest.param(client, transport, id=f"{client.name}-{transport}")
    for client in clients()
    for transport in client.transports
]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Server:
    template = tmp_path_factory.mktemp("clients") / "workspace"
    load_demo_data(template)
    return Server(template, tools_over_stdio(template))


def _outcome(client: Client, transport: str, script: str, server: Server, folder: Path) -> Outcome:
    if not client.installed:
        reason = f"{client.name} is not installed; run: make clients"
        if os.environ.get("CLIENTS"):
            pytest.fail(reason)
        pytest.skip(reason)
    return run(client, transport, script, server, folder)


@pytest.mark.parametrize(("client", "transport"), RUNS)
def test_the_whole_job(client: Client, transport: str, server: Server, tmp_path: Path) -> None:
    outcome = _outcome(client, transport, "whole", server, tmp_path)
    fails = [line for line in outcome.fails() if not line.startswith(tuple(f"{step}: " for step in client.known))]
    lost = [f"{step.step}: the definition lost {', '.join(step.lost)}" for step in outcome.steps if step.lost]
    assert not [*fails, *lost]
    failed = {step.step for step in outcome.steps if step.problems}
    assert failed >= set(client.known), "a step that is known to fail works now: take it out of clients.json"


@pytest.mark.parametrize(("client", "transport"), RUNS)
def test_an_approval_that_waits_is_read_and_the_work_goes_on(
    client: Client, transport: str, server: Server, tmp_path: Path
) -> None:
    outcome = _outcome(client, transport, "waiting", server, tmp_path)
    assert not outcome.fails()
