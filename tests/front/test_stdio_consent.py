"""Consent over real pipes, in the generation of the protocol where the server asks while the call waits."""

from pathlib import Path
from typing import Any

from tests import small
from tests.front.stdio_kit import Wire, started

ABOUT = {
    "protocolVersion": "2025-06-18",
    "capabilities": {"elicitation": {}},
    "clientInfo": {"name": "test", "version": "1"},
}
VIP = {"cluster_name": "vip", "display_name": "VIP", "cluster_type": "cluster_by_static_condition", "qp": small.BUYERS}


def test_the_server_asks_over_the_pipe_and_only_a_yes_changes_something(tmp_path: Path) -> None:
    root = small.make(tmp_path / "workspace")
    with started("-m", "mcp_server", "serve", "--workspace", str(root)) as wire:
        assert wire.asked("initialize", **ABOUT)[0]["result"]["protocolVersion"] == "2025-06-18"
        wire.send({"method": "notifications/initialized"})
        wire.asked("tools/call", name="create_cluster", arguments=VIP)
        declined = deleted(wire, 1, {"action": "decline"})
        assert declined["isError"] is True
        assert "code: consent_declined" in declined["content"][0]["text"]
        done = deleted(wire, 2, {"action": "accept", "content": {"answer": "yes"}})
        assert done["structuredContent"]["message"].startswith('Deleted cluster "VIP" (vip, id 1)')
        assert wire.end() == (0, "")


def deleted(wire: Wire, number: int, answer: dict[str, Any]) -> dict[str, Any]:
    """The result of a deletion where the question that comes before it gets this answer."""
    wire.request(number, "tools/call", name="delete_cluster", arguments={"cluster": "vip"})
    question = wire.receive()
    assert question["method"] == "elicitation/create"
    assert question["params"]["message"].startswith('Would delete cluster "VIP" (vip, id 1): 2 users.')
    assert question["params"]["requestedSchema"]["required"] == ["answer"]
    wire.send({"id": question["id"], "result": answer})
    return dict(wire.answer(number)[0]["result"])


def test_an_answer_that_cannot_be_read_ends_the_question(tmp_path: Path) -> None:
    """The call waited for as long as a question holds before."""
    root = small.make(tmp_path / "workspace")
    with started("-m", "mcp_server", "serve", "--workspace", str(root)) as wire:
        wire.asked("initialize", **ABOUT)
        wire.send({"method": "notifications/initialized"})
        wire.asked("tools/call", name="create_cluster", arguments=VIP)
        wire.request(1, "tools/call", name="delete_cluster", arguments={"cluster": "vip"})
        question = wire.receive()
        answer = (
            f'{{"jsonrpc":"2.0","id":{question["id"]},"result":{{"action":"accept","content":{{"answer":"\\ud800"}}}}}}'
        )
        wire.send(answer.encode())
        assert wire.answer(1)[0]["result"]["structuredContent"]["status"] == "waiting_for_approval"
