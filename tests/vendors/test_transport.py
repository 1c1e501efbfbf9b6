"""What is sent again and what is not, over real sockets; and what never gets into a log."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from mcp_server.errors import ConfigurationError, VendorUnreachable, VendorUnreadable
from mcp_server.platforms import transport as transports
from mcp_server.platforms.transport import AnswerLost, Outgoing, Policy, Repeat, Reply, Transport, checked_base

CANARY = "canary-9b2f"
QUICK = Policy(connect=2, read=2, attempts=3, first_wait=0.0, per_second=10_000)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LOST = b""


def status(code: int, *headers: str) -> bytes:
    return (
        f"HTTP/1.1 {code} X\r\nContent-Length: 4\r\n{''.join(h + chr(13) + chr(10) for h in headers)}\r\nbusy".encode()
    )


class Host:
    """A server that gives the answers it was given, one after the other, and keeps the requests."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.seen: list[bytes] = []
        self.base = ""

    async def serve(self, stream: SocketStream) -> None:
        async with stream:
            while self.answers:
                request = await _whole(stream)
                if not request:
                    return
                self.seen.append(request)
                answer = self.answers.pop(0)
                if not answer:
                    return
                await stream.send(answer)


async def _whole(stream: SocketStream) -> bytes:
    """A request with its body, by Content-Length."""
    got = b""
    try:
        while b"\r\n\r\n" not in got:
            got += await stream.receive()
        head, _, body = got.partition(b"\r\n\r\n")
        length = next(
            (int(x.split(b":")[1]) for x in head.lower().split(b"\r\n") if x.startswith(b"content-length")), 0
        )
        while len(body) < length:
            body += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return b""
    return head + b"\r\n\r\n" + body


@asynccontextmanager
async def hosted(*answers: bytes, policy: Policy = QUICK) -> AsyncIterator[tuple[Host, Transport]]:
    host = Host(*answers)
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        port = listener.extra(SocketAttribute.local_port)
        group.start_soon(listener.serve, host.serve)
        transport = Transport(f"http://127.0.0.1:{port}", policy)
        try:
            yield host, transport
        finally:
            await transport.close()
            group.cancel_scope.cancel()


def ask(method: str = "GET") -> Callable[[], Outgoing]:
    return lambda: Outgoing(method, f"/open/x?token={CANARY}", {"Authorization": CANARY}, b"")


def answered(*answers: bytes, repeat: Repeat, policy: Policy = QUICK) -> tuple[Reply | Exception, int]:
    """The answer or the exception, and how often the request arrived."""

    async def talk() -> tuple[Reply | Exception, int]:
        async with hosted(*answers, policy=policy) as (host, transport):
            try:
                return await transport.send(ask(), repeat), len(host.seen)
            except (VendorUnreachable, AnswerLost, VendorUnreadable) as error:
                return error, len(host.seen)

    return anyio.run(talk)


@pytest.mark.parametrize("repeat", list(Repeat))
def test_an_answer_is_handed_on_whatever_its_status(repeat: Repeat) -> None:
    for code in (200, 400, 404):
        reply, times = answered(status(code), repeat=repeat)
        assert isinstance(reply, Reply)
        assert (reply.status, reply.body, times) == (code, b"busy", 1)


@pytest.mark.parametrize("repeat", [Repeat.READ, Repeat.AGAIN])
@pytest.mark.parametrize("first", [LOST, status(503), status(429, "Retry-After: 0"), status(500)])
def test_what_may_be_repeated_is_repeated(first: bytes, repeat: Repeat) -> None:
    reply, times = answered(first, first, OK, repeat=repeat)
    assert isinstance(reply, Reply)
    assert (reply.body, times) == (b"ok", 3)


@pytest.mark.parametrize("first", [status(503), status(429)])
def test_a_change_that_would_happen_twice_is_sent_once(first: bytes) -> None:
    reply, times = answered(first, OK, repeat=Repeat.ONCE)
    assert isinstance(reply, Reply)
    assert (reply.body, times) == (b"busy", 1)


def test_a_lost_answer_of_a_change_says_that_it_may_have_happened() -> None:
    assert [type(x) for x in answered(LOST, OK, repeat=Repeat.ONCE)] == [AnswerLost, int]
    error, times = answered(LOST, LOST, LOST, OK, repeat=Repeat.AGAIN)
    assert isinstance(error, AnswerLost)
    assert times == QUICK.attempts


@pytest.mark.parametrize(
    ("before", "doubtful"), [([], False), ([LOST], True), ([status(503)], True), ([status(429)], False)]
)
def test_an_answer_says_whether_an_earlier_try_may_have_been_carried_out(before: list[bytes], doubtful: bool) -> None:
    reply, _ = answered(*before, OK, repeat=Repeat.AGAIN)
    assert isinstance(reply, Reply)
    assert reply.doubtful is doubtful
    reply, _ = answered(*before, *[status(429)] * QUICK.attempts, repeat=Repeat.AGAIN)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.doubtful) == (429, doubtful)


def test_a_lost_answer_of_a_question_says_that_nothing_was_changed() -> None:
    error, times = answered(LOST, LOST, LOST, OK, repeat=Repeat.READ)
    assert isinstance(error, VendorUnreachable)
    assert times == QUICK.attempts
    assert CANARY not in f"{error}{error.message}{error.next_step}"


def test_no_connection_is_no_change_whatever_was_to_be_sent() -> None:
    async def talk(repeat: Repeat) -> None:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            port = listener.extra(SocketAttribute.local_port)
        transport = Transport(f"http://127.0.0.1:{port}", QUICK)
        with pytest.raises(VendorUnreachable):
            await transport.send(ask(), repeat)
        await transport.close()

    for repeat in Repeat:
        anyio.run(talk, repeat)


def test_a_pause_beyond_the_limit_is_not_slept_through() -> None:
    reply, times = answered(status(429, "Retry-After: 21"), OK, repeat=Repeat.READ)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.headers["retry-after"], times) == (429, "21", 1)


def test_an_answer_without_end_is_broken_off() -> None:
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000
    short = Policy(attempts=1, first_wait=0.0, most_bytes=1999, per_second=10_000)
    assert isinstance(answered(long, repeat=Repeat.READ, policy=short)[0], VendorUnreadable)
    enough = Policy(attempts=1, first_wait=0.0, most_bytes=2000, per_second=10_000)
    assert isinstance(answered(long, repeat=Repeat.READ, policy=enough)[0], Reply)


def test_an_answer_that_arrives_byte_by_byte_ends_with_its_time() -> None:
    """Each byte came within the time of a read, so a call was held for as long as the vendor liked before."""

    async def trickle(stream: SocketStream) -> None:
        async with stream:
            await _whole(stream)
            with suppress(anyio.BrokenResourceError):
                await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n")
                while True:
                    await stream.send(b"x")
                    await anyio.sleep(0.02)

    async def talk() -> None:
        policy = Policy(attempts=1, first_wait=0.0, read=5, exchange=0.3, download=0.3, per_second=10_000)
        async with (
            await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
            anyio.create_task_group() as group,
        ):
            group.start_soon(listener.serve, trickle)
            transport = Transport(f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}", policy)
            with anyio.fail_after(5):
                with pytest.raises(AnswerLost):
                    await transport.send(ask("POST"), Repeat.ONCE)
                with pytest.raises(VendorUnreachable):
                    async for _ in transport.download(ask()):
                        pass
            await transport.close()
            group.cancel_scope.cancel()

    anyio.run(talk)


def test_a_download_without_end_is_broken_off() -> None:
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000

    async def talk(most: int) -> int | Exception:
        async with hosted(long, policy=Policy(attempts=1, most_download=most)) as (_, transport):
            try:
                return sum([len(piece) async for piece in transport.download(ask())])
            except VendorUnreadable as error:
                return error

    assert anyio.run(talk, 2000) == 2000
    assert isinstance(anyio.run(talk, 1999), VendorUnreadable)


def test_a_truncated_answer_is_a_lost_one() -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\nx"

    async def talk() -> None:
        async with hosted(half, policy=Policy(attempts=1, first_wait=0.0, read=0.2)) as (_, transport):
            with pytest.raises(AnswerLost):
                await transport.send(ask("POST"), Repeat.ONCE)

    anyio.run(talk)


def test_a_redirect_is_not_followed() -> None:
    reply, times = answered(status(302, "Location: https://elsewhere.example/"), repeat=Repeat.READ)
    assert isinstance(reply, Reply)
    assert (reply.status, times) == (302, 1)


def test_a_file_is_streamed_with_its_length(tmp_path: Path) -> None:
    file = tmp_path / "ids.csv"
    file.write_bytes(b"1\r\n" * 50_000)

    async def talk() -> bytes:
        async with hosted(OK) as (host, transport):
            await transport.send(lambda: Outgoing("POST", "/open/import", {}, file), Repeat.ONCE)
            return host.seen[0]

    head, _, body = anyio.run(talk).partition(b"\r\n\r\n")
    assert b"content-length: 150000" in head.lower()
    assert b"chunked" not in head.lower()
    assert body == file.read_bytes()


def test_connections_are_kept_and_limited() -> None:
    async def talk() -> int:
        async with hosted(*[OK] * 6, policy=Policy(at_once=1, per_second=10_000)) as (host, transport):
            async with anyio.create_task_group() as group:
                for _ in range(6):
                    group.start_soon(transport.send, ask(), Repeat.READ)
            return len(host.seen)

    assert anyio.run(talk) == 6


def test_no_log_line_holds_a_secret_at_any_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore"):
        caplog.set_level(logging.DEBUG, logger=name)
    answered(LOST, status(503), OK, repeat=Repeat.READ)
    answered(LOST, LOST, LOST, repeat=Repeat.READ)
    assert CANARY not in caplog.text


def test_a_repetition_is_noted_for_whoever_turned_the_log_up(caplog: pytest.LogCaptureFixture) -> None:
    answered(LOST, OK, repeat=Repeat.READ)
    assert caplog.messages == []
    caplog.set_level(logging.INFO)
    answered(LOST, OK, repeat=Repeat.READ)
    assert caplog.messages == ["try 1 failed (Lost); the next one in 0.0 s"]


@pytest.mark.parametrize(
    ("base", "plain_private", "fine"),
    [
        ("https://gw.example.com", False, True),
        ("https://gw.example.com/prefix/", False, True),
        ("http://127.0.0.1:8992", False, True),
        ("http://[::1]:8992", False, True),
        ("http://localhost:1", False, True),
        ("http://gw.example.com", False, False),
        ("http://gw.example.com", True, False),
        ("http://10.0.0.7:8992", False, False),
        ("http://10.0.0.7:8992", True, True),
        ("http://8.8.8.8", True, False),
        ("ftp://gw.example.com", False, False),
        ("gw.example.com", False, False),
        (f"https://user:{CANARY}@gw.example.com", False, False),
        (f"https://gw.example.com?token={CANARY}", False, False),
        ("https://gw.example.com:99999", False, False),
        ("https://[::1", False, False),
        ("", False, False),
    ],
)
def test_secrets_travel_encrypted_or_not_at_all(base: str, plain_private: bool, fine: bool) -> None:
    if fine:
        assert checked_base(base, plain_private=plain_private) == base.rstrip("/")
        return
    with pytest.raises(ConfigurationError) as caught:
        checked_base(base, plain_private=plain_private)
    is_name = (base, plain_private) == ("http://gw.example.com", True)
    assert ("in numbers" in caught.value.next_step.en) is (is_name or "8.8.8.8" in base)
    assert CANARY not in f"{caught.value.message}{caught.value.next_step}"


def test_no_second_has_more_requests_than_the_policy_says_and_a_few_in_a_row_wait_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]

    async def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(transports.anyio, "current_time", lambda: now[0])
    monkeypatch.setattr(transports.anyio, "sleep", sleep)

    async def starts(per_second: float, count: int) -> list[float]:
        pace, found = transports._Pace(per_second), []
        for _ in range(count):
            await pace.turn()
            found.append(now[0])
        return found

    begun = anyio.run(starts, 4.0, 12)
    assert begun[:4] == [100.0] * 4
    assert all(later - earlier >= 1 for earlier, later in zip(begun, begun[4:], strict=False))
    assert begun[-1] == 102.0
    assert anyio.run(starts, 0.5, 2) == [102.0, 104.0]
