"""The process in which SQL of users runs, seen from the server: started, listened to, killed.

It is started anew for each run (never forked: the server has threads), with an environment that holds no secret. It is
killed when its time is over and when the caller interrupts; nothing of it stays.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mcp_server.engines.duckdb.connection import Control
from mcp_server.engines.duckdb.sandbox.pipe import Broken, SqlRequest, frames
from mcp_server.engines.duckdb.sandbox.result import Finding
from mcp_server.errors import Interrupted, QueryFailed
from mcp_server.text import Text

_LOOK_EVERY = 0.05
_GIB = 1024**3
_PASSED_ON = (
    "PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "WINDIR", "TEMP", "TMP",
    "TMPDIR", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "PYTHONHOME", "PYTHONTZPATH",
)  # fmt: skip
"""What the process gets of the environment: how to find libraries. Tokens and keys stay here."""


@dataclass(frozen=True, slots=True)
class SqlLimits:
    """What one run of users' SQL may use."""

    seconds: float = 60
    """From the start of its process to its last row."""
    memory: int = 2 * _GIB
    """Bytes for the engine; nothing is spilled to disk."""
    rows: int = 20_000_000
    """Rows that the SQL may return, before anything is dropped."""
    threads: int = 2


DEFAULT_LIMITS = SqlLimits()


class ChildOutput:
    """What arrives from the process."""

    def __init__(self, sink: IO[bytes], control: Control) -> None:
        self._sink = sink
        self._control = control
        self.findings: list[Finding] | None = None
        self.failed: dict[str, str] | None = None
        self.kept = ""
        self.names: tuple[str, ...] = ()
        """Of a query: its columns."""
        self.counts: dict[str, int] | None = None

    def take(self, kind: str, payload: bytes) -> None:
        """One frame."""
        if kind == "rows":
            self._sink.write(payload)
            return
        value = json.loads(payload)
        if kind == "progress":
            self._control.report(float(value))
        elif kind == "findings":
            self.findings = value
        elif kind == "failed":
            self.failed = value
        else:
            self.kept = str(value.pop("type"))
            self.names = tuple(map(str, value.pop("names", ())))
            self.counts = {key: int(number) for key, number in value.items()}

    @property
    def complete(self) -> bool:
        """Whether the process came to an end of its own."""
        return not (self.findings is None and self.failed is None and self.counts is None)


def exchange(request: SqlRequest, limits: SqlLimits, control: Control, answer: ChildOutput) -> None:
    """Start the process, hand it the request, take its frames; at the end it is gone, whatever happened."""
    deadline = time.monotonic() + limits.seconds
    with _started() as process, _watched(process, control, deadline) as watch:
        assert process.stdin is not None  # noqa: S101 - both are pipes
        assert process.stdout is not None  # noqa: S101 - it was made with a pipe
        with suppress(BrokenPipeError, ConnectionResetError):  # it ended early: the frames, or their lack, say why
            process.stdin.write(request.line())
            process.stdin.flush()
        try:
            for kind, payload in frames(process.stdout):
                answer.take(kind, payload)
            status = process.wait()
        except Broken:
            status = None
    if control.interrupted:
        raise Interrupted(
            Text("The computation was stopped.", "计算已被中止。"), next_step=Text("Call again.", "请重新调用。")
        )
    if not answer.complete:
        answer.failed = {"kind": "time" if watch.late else _why(status)}


@contextmanager
def _started() -> Iterator[subprocess.Popen[bytes]]:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # The same modules as here, wherever they come from; -P keeps the current folder from being one of the places.
    environment["PYTHONPATH"] = os.pathsep.join(str(Path(place).absolute()) for place in sys.path if place)
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-B", "-m", "mcp_server.engines.duckdb.sandbox.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise failure({"kind": "start", "detail": str(error)}, DEFAULT_LIMITS) from error
    try:
        yield process
    finally:
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):  # a request that was never taken cannot be flushed
                    pipe.close()
        process.wait()


class _Watch:
    """Whether the process was killed because its time was over."""

    late = False


@contextmanager
def _watched(process: subprocess.Popen[bytes], control: Control, deadline: float) -> Iterator[_Watch]:
    """Kill the process at the deadline and at an interrupt."""
    over = threading.Event()
    watch = _Watch()

    def look() -> None:
        while not over.wait(_LOOK_EVERY):
            if control.interrupted:
                process.kill()
            elif time.monotonic() > deadline:
                watch.late = True
                process.kill()

    control.on_interrupt(process.kill)
    watcher = threading.Thread(target=look, name="fenqun-sql", daemon=True)
    watcher.start()
    try:
        yield watch
    finally:
        over.set()
        watcher.join()


def _why(status: int | None) -> str:
    """Why a process ended that nobody here killed: its exit status is the negative number of a signal."""
    if status is not None and status < 0:
        name = signal.Signals(-status).name if -status in list(signal.Signals) else ""
        # A kill from outside is the system's own defence of its memory.
        return {"SIGXCPU": "time", "SIGKILL": "memory", "SIGABRT": "memory"}.get(name, "broken")
    return "broken"


def failure(failed: Mapping[str, str], limits: SqlLimits) -> QueryFailed:
    message, next_step = _FAILURES.get(failed["kind"], _FAILURES["broken"])
    return QueryFailed(
        message.format(
            seconds=f"{limits.seconds:g}",
            memory=f"{limits.memory / _GIB:.1f}",
            rows=f"{limits.rows:,}",
            detail=failed.get("detail", ""),
        ),
        next_step=next_step,
    )


_FAILURES: Mapping[str, tuple[Text, Text]] = {
    "time": (
        Text("The SQL was stopped: it took longer than {seconds} s.", "SQL 运行超过 {seconds} 秒，已被中止。"),
        Text(
            'Read fewer days of events ("$part_date"), aggregate before joining, and give every JOIN its ON; or raise '
            "FENQUN_SQL_SECONDS.",
            '请缩小事件的日期范围（"$part_date"），先汇总再连接，并为每个 JOIN 写上 ON；也可调高 FENQUN_SQL_SECONDS。',
        ),
    ),
    "memory": (
        Text(
            "The SQL was stopped: it needs more than {memory} GiB of memory.",
            "SQL 所需内存超过 {memory} GiB，已被中止。",
        ),
        Text(
            "Read fewer columns and days, aggregate before joining, and avoid lists and long texts; or raise "
            "FENQUN_SQL_MEMORY.",
            "请减少读取的列和日期，先汇总再连接，避免构造列表和长文本；也可调高 FENQUN_SQL_MEMORY。",
        ),
    ),
    "rows": (
        Text("The SQL returns more than {rows} rows.", "SQL 返回的行数超过 {rows}。"),
        Text(
            'Return each user once: SELECT DISTINCT "#user_id", or GROUP BY "#user_id".',
            '请让每个用户只出现一次：SELECT DISTINCT "#user_id" 或 GROUP BY "#user_id"。',
        ),
    ),
    "engine": (
        Text("The engine could not run the SQL: {detail}", "引擎无法执行该 SQL：{detail}"),
        Text("Load the data again; if it stays, report it.", "请重新加载数据；若仍出现，请反馈。"),
    ),
    "start": (
        Text("The process for the SQL could not be started: {detail}", "无法启动执行 SQL 的进程：{detail}"),
        Text("Close other programs and call again.", "请关闭其他程序后重新调用。"),
    ),
    "broken": (
        Text("The engine broke off while it ran the SQL.", "引擎在执行 SQL 时异常退出。"),
        Text("Simplify the SQL; if it stays, report it.", "请简化 SQL；若仍出现，请反馈。"),
    ),
}
