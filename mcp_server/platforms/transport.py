"""HTTP to a vendor: the one place that imports httpx, and the one policy of what may be sent twice.

* A request that was never sent (no connection) may always be tried again.
* A read may be repeated, and so may a change that states an absolute value (`Repeat.AGAIN`).
* Any other change is sent once. When its answer is lost, `AnswerLost` reports that, and the client that knows the vendor
  settles what happened by reading.

Addresses, headers and bodies never get into an error or a log line: one vendor's token is in the query.
"""

import logging
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.utils import parsedate_to_datetime
from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio

from mcp_server.errors import ConfigurationError, VendorUnreachable, VendorUnreadable
from mcp_server.text import Text

if TYPE_CHECKING:
    import httpx
    from stamina.instrumentation import RetryDetails


# Addresses: where secrets may be sent, and where without encryption

_ENCRYPT = Text(
    "Use https. Only this machine, and for ThinkingData a private address with its setting, may be plain.",
    "请改用 https。仅本机地址可用 http；ThinkingData 的内网地址须另行设置后方可使用。",
)
_IN_NUMBERS = Text(
    "Use https, or give a private address in numbers, such as http://192.168.1.20:8992: a name may lead anywhere.",
    "请改用 https，或用 IP 填写内网地址，例如 http://192.168.1.20:8992：主机名会指向哪里无法预知。",
)


def checked_base(base: str, *, plain_private: bool = False) -> str:
    """Return the address without a slash at its end. ConfigurationError where it is none, or http that is not allowed."""
    try:
        parts = urlsplit(base.strip())
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.query or parts.fragment:
        raise ConfigurationError(
            Text("The address of a platform is not one.", "平台地址无效。"),
            next_step=Text(
                "Give it as https://host or https://host:port.", "请写成 https://主机 或 https://主机:端口。"
            ),
        )
    if parts.scheme == "http" and not (is_loopback(host) or (plain_private and is_private(host))):
        raise ConfigurationError(
            Text("{host} is addressed without encryption (http).", "{host} 使用了未加密的 http 地址。").format(
                host=host
            ),
            next_step=_IN_NUMBERS if plain_private else _ENCRYPT,
        )
    return base.strip().rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_private(host: str) -> bool:
    """Whether a host is a private address. A name is not one: it may lead anywhere."""
    try:
        return ip_address(host).is_private
    except ValueError:
        return False


# Requests

_log = logging.getLogger("fenqun")

CHUNK = 64 * 1024
BUSY = frozenset({429, 500, 502, 503, 504})
"""Statuses after which a request that may be repeated is repeated."""


class Repeat(Enum):
    """Whether a request may be sent more than once."""

    READ = "a read"
    AGAIN = "a change whose repetition changes nothing more"
    ONCE = "a change that would happen twice"


class AnswerLost(Exception):
    """A change was sent, and no answer came: it may have happened."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits of the traffic with one vendor. Seconds, bytes, requests."""

    connect: float = 10.0
    read: float = 60.0
    attempts: int = 4
    first_wait: float = 0.3
    longest_wait: float = 20.0
    """A vendor that asks for a longer pause gets none: the caller gets its answer."""
    at_once: int = 4
    per_second: float = 10.0
    most_bytes: int = 64 * 1024 * 1024
    exchange: float = 330.0
    """For one request with its whole answer, however slowly it arrives; more than a query of a vendor may take."""
    download: float = 3600.0
    """For a whole answer that goes to a file."""
    most_download: int = 8 * 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request. `path` begins with / and holds the encoded query; a body may be a file, which is streamed."""

    method: str
    path: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | Path = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of any status. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    doubtful: bool = False
    """An earlier try of the same request got no answer: it may have been carried out all the same."""


Wait = Callable[[Reply], "float | None"]
"""Seconds after which the same request may be sent again; None where the answer is final."""


def by_status(reply: Reply) -> float | None:
    """Return the wait that HTTP itself asks for; 0 where it leaves that to us."""
    if reply.status not in BUSY:
        return None
    seconds = reply.headers.get("retry-after", "")
    return float(seconds) if seconds.isascii() and seconds.isdigit() else 0.0


class _NotSent(Exception):
    """No connection: the vendor saw nothing."""


class _Lost(Exception):
    """Sent, or partly; no answer."""


class _Busy(Exception):
    """An answer that asks for another try."""

    def __init__(self, reply: Reply, wait: float) -> None:
        super().__init__()
        self.reply = reply
        self.wait = wait


class Transport:
    """The connections to one vendor's host, which are kept. Close it at the end."""

    def __init__(self, base: str, policy: Policy = Policy(), *, plain_private: bool = False) -> None:
        """`base` is scheme, host and port. ConfigurationError where it would send secrets in the clear.

        `plain_private` allows http to a private address, besides loopback.
        """
        self.base = checked_base(base, plain_private=plain_private)
        self.host = urlsplit(self.base).hostname or ""
        self.authority = urlsplit(self.base).netloc
        """Host and port as in the Host header."""
        self.skew: float | None = None
        """Seconds that the host's clock was ahead of ours at its last answer; None where that had no date."""
        self._policy = policy
        self._client: httpx.AsyncClient | None = None
        self._room = anyio.Semaphore(policy.at_once)
        self._pace = _Pace(policy.per_second)

    async def send(self, make: Callable[[], Outgoing], repeat: Repeat, wait: Wait = by_status) -> Reply:
        """Return the vendor's answer. `make` is called for every attempt, so that each is signed anew.

        Raises VendorUnreachable (nothing was changed), AnswerLost (a change may have happened), VendorUnreadable
        (an answer beyond the limit).
        """
        import stamina

        policy, lost, doubtful = self._policy, False, False

        def again(error: Exception) -> bool | timedelta:
            if isinstance(error, _Busy) and repeat is not Repeat.ONCE:
                if error.wait > policy.longest_wait:
                    return False
                return timedelta(seconds=error.wait) if error.wait else True
            return isinstance(error, _NotSent) or (isinstance(error, _Lost) and repeat is not Repeat.ONCE)

        try:
            async for attempt in stamina.retry_context(
                on=again, attempts=policy.attempts, timeout=None, wait_initial=policy.first_wait, wait_max=policy.longest_wait, wait_jitter=policy.first_wait
            ):  # fmt: skip
                with attempt:
                    doubtful = lost
                    try:
                        return replace(await self._once(make(), wait), doubtful=doubtful)
                    except _Lost:
                        lost = True
                        raise
                    except _Busy as busy:
                        lost = lost or busy.reply.status >= 500  # a proxy may have passed it on
                        raise
        except _Busy as busy:
            return replace(busy.reply, doubtful=doubtful)
        except (_Lost, _NotSent):
            if lost and repeat is not Repeat.READ:
                raise AnswerLost from None
        raise self._unreachable()

    async def download(self, make: Callable[[], Outgoing]) -> AsyncIterator[bytes]:
        """Yield the body of an answer piece by piece, for files larger than memory. Not repeated.

        Raises VendorUnreachable, VendorUnreadable (an answer beyond the limit).
        """
        policy, size = self._policy, 0
        try:
            async with self._opened(make(), policy.download) as (response, until):
                if response.status_code not in BUSY:
                    async for piece in _arriving(response, until):
                        size += len(piece)
                        if size > policy.most_download:
                            raise self._too_long(policy.most_download)
                        yield piece
                    return
        except (_NotSent, _Lost):
            pass
        raise self._unreachable()

    async def close(self) -> None:
        """Let go of the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _once(self, out: Outgoing, wait: Wait) -> Reply:
        async with self._opened(out, self._policy.exchange) as (response, until):
            body = bytearray()
            async for piece in _arriving(response, until):
                body += piece
                if len(body) > self._policy.most_bytes:
                    raise self._too_long(self._policy.most_bytes)
            reply = Reply(response.status_code, {k.lower(): v for k, v in response.headers.items()}, bytes(body))
        self.skew = _skew(reply.headers.get("date", ""))
        seconds = wait(reply)
        if seconds is not None:
            raise _Busy(reply, seconds)
        return reply

    @asynccontextmanager
    async def _opened(self, out: Outgoing, seconds: float) -> AsyncIterator[tuple["httpx.Response", float]]:
        """Send a request, and yield its answer and when all of it must be there; httpx's errors become ours."""
        import httpx

        headers, body = dict(out.headers), out.body
        if isinstance(body, Path):
            headers["Content-Length"] = str(body.stat().st_size)  # else it would be sent chunked
        async with self._room:
            await self._pace.turn()
            client, until = self._connected(), anyio.current_time() + seconds
            content = body if isinstance(body, bytes) else _pieces(body)
            try:
                request = client.build_request(out.method, out.path, headers=headers, content=content)
                with anyio.fail_after(seconds):
                    response = await client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
                raise _NotSent from None
            except (httpx.HTTPError, TimeoutError):
                raise _Lost from None
            try:
                yield response, until
            except (httpx.HTTPError, httpx.StreamError, TimeoutError):
                raise _Lost from None
            finally:
                with anyio.CancelScope(shield=True):
                    await response.aclose()

    def _connected(self) -> "httpx.AsyncClient":
        if self._client is None:
            import httpx

            _silence()
            limits = self._policy
            plain = self.base.startswith("http:")
            self._client = httpx.AsyncClient(
                base_url=self.base,
                timeout=httpx.Timeout(limits.read, connect=limits.connect),
                limits=httpx.Limits(max_connections=limits.at_once, max_keepalive_connections=limits.at_once),
                # Reading the certificates of all authorities takes a while; where nothing is encrypted, none is trusted.
                verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else True,
                follow_redirects=False,  # a signed request is meant for one host
                trust_env=not is_loopback(self.host),  # a proxy of the environment is not for this machine
            )
        return self._client

    def _unreachable(self) -> VendorUnreachable:
        return VendorUnreachable(
            Text("{host} can't be reached, or does not answer.", "无法连接 {host}，或其没有响应。").format(
                host=self.authority
            ),
            next_step=Text(
                "Nothing was changed. Try again later; `fenqun doctor` looks at the connection.",
                "未做任何更改。请稍后重试；`fenqun doctor` 可检查连接。",
            ),
        )

    def _too_long(self, most: int) -> VendorUnreadable:
        limit = most // (1024 * 1024)
        text = Text("{host} answered with more than {n} MB.", "{host} 的响应超过 {n} MB。")
        return VendorUnreadable(
            text.format(host=self.host, n=limit), next_step=Text("Ask for less at a time.", "请减少单次查询的数据量。")
        )


async def _arriving(response: "httpx.Response", until: float) -> AsyncIterator[bytes]:
    """Yield the body as it arrives. TimeoutError at `until`: each byte in time does not make all of them in time."""
    pieces = response.aiter_bytes(CHUNK)
    while True:
        with anyio.fail_after(max(0.0, until - anyio.current_time())):
            piece = await anext(pieces, None)
        if piece is None:
            return
        yield piece


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    async with await anyio.open_file(path, "rb") as file:
        while piece := await file.read(CHUNK):
            yield piece


def _skew(date: str) -> float | None:
    """Compare a Date header with our clock; the time that the answer took does not matter here."""
    try:
        return parsedate_to_datetime(date).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None


class _Pace:
    """At most so many requests in any second; a few in a row, as one tool sends them, do not wait."""

    def __init__(self, per_second: float) -> None:
        most = max(1, int(per_second))
        self._period = most / per_second
        self._turns: deque[float] = deque(maxlen=most)

    async def turn(self) -> None:
        """Wait for a turn. (No lock: nothing is awaited between reading the times and taking one.)"""
        now = anyio.current_time()
        mine = max(now, self._turns[0] + self._period) if len(self._turns) == self._turns.maxlen else now
        self._turns.append(mine)
        if mine > now:
            await anyio.sleep(mine - now)


def _silence() -> None:
    """Keep secrets out of the logs: httpx logs whole addresses at INFO, and httpcore headers at DEBUG.

    stamina warns of every repetition, or prints it on standard output where structlog is installed; repetitions are
    ordinary here, so they are logged at INFO.
    """
    from stamina.instrumentation import set_on_retry_hooks

    set_on_retry_hooks((_noted,))
    for name in ("httpx", "httpcore", "httpcore.connection", "httpcore.http11", "httpcore.proxy", "httpcore.http2"):
        logger = logging.getLogger(name)
        if not any(f is _only_warnings for f in logger.filters):
            logger.addFilter(_only_warnings)


def _noted(details: "RetryDetails") -> None:
    """One line at INFO: nothing of the request, and of the failure only its kind."""
    kind = type(details.caused_by).__name__.strip("_")
    _log.info("try %d failed (%s); the next one in %.1f s", details.retry_num, kind, details.wait_for)


def _only_warnings(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING
