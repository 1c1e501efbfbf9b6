"""The server over real pipes: what a client sees, byte for byte."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mcp_server import __version__
from mcp_server.front.mcp.tools import tool_document
from mcp_server.operations.registry import OPERATIONS
from tests.front.stdio_kit import Wire, started

ME = {"name": "test", "version": "1"}
MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": ME,
    "io.modelcontextprotocol/clientCapabilities": {},
}
SERVER = str(Path(__file__).with_name("stdio_server.py"))


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    """One connection that most tests share: none of them may harm it."""
    with started(SERVER) as opened:
        opened.shake_hands()
        yield opened


def call(wire: Wire, tool: str, **arguments: Any) -> dict[str, Any]:
    message, _ = wire.asked("tools/call", name=tool, arguments=arguments)
    return dict(message["result"])


class Life(NamedTuple):
    """What one connection heard from beginning to end."""

    answered: dict[str, Any]
    after_a_cancelled_call: dict[str, Any]
    status: int
    said: str


@pytest.fixture(scope="module")
def life() -> Life:
    """A call, a call that is cancelled, another call, and the end of the input while one more runs."""
    with started(SERVER) as wire:
        wire.shake_hands()
        answered = call(wire, "echo", words="你好 | x\ny")
        wire.request(4, "tools/call", name="wait", arguments={}, _meta={"progressToken": 1})
        assert wire.receive()["method"] == "notifications/progress"
        wire.send({"method": "notifications/cancelled", "params": {"requestId": 4}})
        after = call(wire, "echo", words="next")
        wire.request(6, "tools/call", name="wait", arguments={}, _meta={"progressToken": 2})
        assert wire.receive()["method"] == "notifications/progress"
        return Life(answered, after, *wire.end())


def test_a_call_is_answered_and_stray_output_stays_off_the_wire(life: Life) -> None:
    assert life.answered["structuredContent"] == {"message": "好", "words": "你好 | x\ny"}
    assert life.answered["content"] == [{"type": "text", "text": "好\nwords:\n  你好 | x\n  y"}]
    assert life.answered.get("isError", False) is False
    assert life.said.count("stray output") == 2


def test_a_cancelled_call_stops_and_the_connection_goes_on(life: Life) -> None:
    assert life.after_a_cancelled_call["structuredContent"]["words"] == "next"
    # It stopped when it was told, not at the end: before the output that the next call left on stderr.
    assert life.said.index("the operation was cancelled") < life.said.rindex("stray output")


def test_closing_the_input_stops_what_runs_and_ends_cleanly(life: Life) -> None:
    assert life.status == 0
    assert life.said.rindex("the operation was cancelled") > life.said.rindex("stray output")
    assert "Traceback" not in life.said


@pytest.mark.parametrize(
    "line",
    [b"this is no JSON", b'{"jsonrpc": "2.0", "id": 9', b"[]", b"\xff\xfe\x00", b"", b'{"jsonrpc":"2.0","id":9,"method":"nope/nope"}'],
    ids=repr,
)  # fmt: skip
def test_a_malformed_line_does_not_end_the_connection(wire: Wire, line: bytes) -> None:
    wire.send(line)
    assert call(wire, "echo", words="still here")["structuredContent"]["words"] == "still here"


def test_arguments_too_deep_for_the_wire_do_not_end_the_connection(wire: Wire) -> None:
    deep = "[" * 5000 + "]" * 5000
    wire.send(
        f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"words":{deep}}}}}}}'.encode()
    )
    assert call(wire, "echo", words="still here")["structuredContent"]["words"] == "still here"


def test_a_lone_surrogate_is_a_problem_and_not_the_end(wire: Wire) -> None:
    wire.send(
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"words":"\\ud800"}}}'
    )
    assert call(wire, "echo", words="still here")["structuredContent"]["words"] == "still here"


def test_progress_is_notified_while_a_call_runs(wire: Wire) -> None:
    message, before = wire.asked("tools/call", name="work", arguments={}, _meta={"progressToken": "t"})
    assert message["result"]["content"][0]["text"] == "done"
    said = [
        (n["method"], n["params"]["progressToken"], n["params"]["progress"], n["params"]["message"]) for n in before
    ]
    assert said == [("notifications/progress", "t", percent, "working") for percent in (0, 40, 100)]


def test_the_real_server_starts_lists_its_tools_and_ends_without_a_word(tmp_path: Path) -> None:
    with started("-m", "mcp_server", "serve", "--workspace", str(tmp_path), "--read-only") as wire:
        about = wire.shake_hands()
        assert about["serverInfo"]["name"] == "fenqun"
        assert about["serverInfo"]["version"] == __version__
        assert "read-only" in about["instructions"]
        message, _ = wire.asked("tools/list")
        assert message["result"]["tools"] == [tool_document(o) for o in OPERATIONS]
        assert wire.end() == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_and_lets_go_of_the_workspace(tmp_path: Path, number: signal.Signals) -> None:
    with started("-m", "mcp_server", "serve", "--workspace", str(tmp_path)) as wire:
        wire.shake_hands()
        assert list((tmp_path / "locks").glob("owner-*"))
        wire.process.send_signal(number)
        assert wire.process.wait(20) == 128 + number
    assert not list((tmp_path / "locks").glob("owner-*"))


def test_a_client_that_is_gone_ends_the_server_without_a_traceback() -> None:
    with started(SERVER) as wire:
        wire.shake_hands()
        assert wire.process.stdin
        assert wire.process.stdout
        assert wire.process.stderr
        wire.process.stdout.close()
        wire.request(1, "tools/list")
        wire.process.stdin.close()
        assert wire.process.wait(20) == 0
        assert b"Traceback" not in wire.process.stderr.read()


def test_a_modern_client_is_served_by_the_same_command(tmp_path: Path) -> None:
    with started("-m", "mcp_server", "serve", "--workspace", str(tmp_path)) as wire:
        message, _ = wire.asked("server/discover", _meta=MODERN)
        assert "2026-07-28" in message["result"]["supportedVersions"]
        message, _ = wire.asked("tools/list", _meta=MODERN)
        assert [tool["name"] for tool in message["result"]["tools"]] == [o.name for o in OPERATIONS]
        wire.end()


def test_a_client_that_discovers_and_then_shakes_hands_is_served(tmp_path: Path) -> None:
    command = ("-m", "mcp_server", "serve", "--workspace", str(tmp_path))
    with started(*command) as wire:
        message, _ = wire.asked("server/discover", _meta=MODERN)
        assert "2026-07-28" in message["result"]["supportedVersions"]
        wire.send(b"this is no JSON")
        assert wire.shake_hands()["protocolVersion"] == "2025-11-25"
        message, _ = wire.asked("tools/list")
        assert [tool["name"] for tool in message["result"]["tools"]] == [o.name for o in OPERATIONS]
        status, said = wire.end()
    assert status == 0
    assert "a message that cannot be read" in said


def test_a_modern_call_rules_out_a_handshake() -> None:
    with started(SERVER) as wire:
        wire.asked("tools/list", _meta=MODERN)
        message, _ = wire.asked("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo=ME)
        assert message["error"]["code"] == -32022


def test_a_byte_order_mark_before_the_first_message_is_passed_over() -> None:
    with started(SERVER) as wire:
        wire.send(b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"ping"}')
        assert wire.answer(1)[0]["result"] == {}


DEEP = "[" * 300 + "]" * 300
UNREADABLE = {
    "a lone surrogate": (r'{"id":"a\"b","method":"x","params":{"id":2,"w":"\ud800"},"jsonrpc":"2.0"}', -32700, 'a"b'),
    "too deep": (f'{{"jsonrpc":"2.0","method":"x","params":{{"id":3,"a":{DEEP}}},"id":7}}', -32700, 7),
    "cut off": ('{"jsonrpc": "2.0", "id": 9, "method', -32700, 9),
    "no JSON": ("hello", -32700, None),
    "an open quote": ('"' + r"\"" * 20_000, -32700, None),
    "no object": ("[]", -32600, None),
    "no method": ('{"jsonrpc":"2.0","id":8}', -32600, 8),
    "params that are none": ('{"jsonrpc":"2.0","id":"x","method":"y","params":7}', -32600, "x"),
    "half a pair as id": (r'{"jsonrpc":"2.0","id":"\ud800","method":"y"}', -32700, None),
    "too long an id": ('{"jsonrpc":"2.0","id":' + "9" * 5000 + ',"method":"y"}', -32700, None),
}


@pytest.mark.parametrize(("line", "code", "number"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_message_that_cannot_be_read_is_answered(wire: Wire, line: str, code: int, number: str | int | None) -> None:
    """There was silence before, until the client's own time was over."""
    wire.send(line.encode())
    message = wire.receive()
    assert (message["error"]["code"], message["id"]) == (code, number)


@pytest.mark.parametrize("how", ["held loop", "held close"])
def test_a_signal_ends_a_server_that_is_held(how: str) -> None:
    """One call that computed in the event loop kept the process from ending before."""
    with started(SERVER, *(["stuck"] if how == "held close" else [])) as wire:
        wire.shake_hands()
        wire.request(1, "tools/call", name="hold", arguments={}, _meta={"progressToken": 1})
        assert wire.receive()["method"] == "notifications/progress"
        wire.process.send_signal(signal.SIGTERM)
        assert wire.process.wait(10) == 128 + signal.SIGTERM


def test_a_server_that_cannot_start_says_why_on_stderr_only(tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.write_text("not a folder", encoding="utf-8")
    with started("-m", "mcp_server", "serve", "--workspace", str(taken), FENQUN_LANGUAGE="zh") as wire:
        status, said = wire.end()
    assert status == 2
    assert str(taken) in said
    assert "Traceback" not in said
    assert "--workspace" in said
    assert any("\u4e00" <= c <= "\u9fff" for c in said)
