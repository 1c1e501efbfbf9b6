"""SQL of users in a process of its own: started, watched and killed; its answer read and written (docs/sql-clusters.md).

The process is started anew for each run (never forked: the server has threads), with an environment that holds no
secret. It is killed when its time is over and when the caller interrupts; nothing of it stays.
"""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, assert_never

from mcp_server.engines.base import Control, DataFile, Written, stopped
from mcp_server.engines.dialect import literal
from mcp_server.engines.duckdb.connection import PARQUET, connect, one, repeatedly
from mcp_server.engines.duckdb.damage import check_whole, damage_in
from mcp_server.engines.duckdb.sandbox.pipe import Broken, Finding, Kind, SqlRequest, frames
from mcp_server.errors import DiskFull, EngineError, InvalidDefinition, Problem, QueryFailed
from mcp_server.language.metadata import ValueType
from mcp_server.language.problems import finding
from mcp_server.language.suggest import nearest
from mcp_server.text import Text, listed
from mcp_server.user_sql.guard import MOST_LEVELS, CheckedSql, result_words
from mcp_server.user_sql.plan import SqlPlan
from mcp_server.user_sql.words import table_names

_GIB = 1024**3
_LOOK_EVERY = 0.05
_PASSED_ON = (
    "PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "WINDIR", "TEMP", "TMP",
    "TMPDIR", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "PYTHONHOME", "PYTHONTZPATH",
)  # fmt: skip
"""What the process gets of the environment: how to find libraries. Tokens and keys stay in the server."""
_KEPT = re.compile(r"VARCHAR|BOOLEAN|BIGINT|DOUBLE|TIMESTAMP|DECIMAL\(\d+,(\d+)\)")
_VALUE_TYPES: Mapping[str, ValueType] = {
    "VARCHAR": "string", "BOOLEAN": "bool", "TIMESTAMP": "time", "BIGINT": "number", "DOUBLE": "number",
}  # fmt: skip


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
DROPPED = ("null_ids", "null_values", "unknown_ids", "repeated_ids")
"""Why rows count for no user: no id, no value (of a tag), an id that no user has, a further row of a user."""


def run_sql(
    plan: SqlPlan, data: DataFile, out: Path, *, limits: SqlLimits = DEFAULT_LIMITS, control: Control
) -> Written:
    """Write the users that SQL selects to a Parquet file: `user_id`, and of a tag `value`, by user id.

    Of the plan's clusters those are opened that the SQL names, all of them where it may read any. Blocks until the
    end; `control` gets progress, and interrupts at once. `out` is a new file, in a folder where more may be written
    meanwhile. InvalidDefinition: the engine finds something wrong with the SQL, or a user has two values.
    QueryFailed: a limit was reached. Interrupted. Nothing is left behind by any of them.
    """
    lines = out.with_name(f"{out.name}.lines")
    with _nothing_left(out):
        try:
            answer = _exchange(_request(plan, data, limits), lines, limits, control)
            _raise_findings(plan.checked, answer.findings)
            written = _written(answer, limits)
            _write(written, lines, out, plan.checked.columns, answer.kept, limits)
        finally:
            lines.unlink(missing_ok=True)
    return written


def query_sql(
    plan: SqlPlan, data: DataFile, out: Path, *, limits: SqlLimits = DEFAULT_LIMITS, control: Control
) -> tuple[tuple[str, ...], int]:
    """Write the rows of a query (`columns=0`) to a file, one JSON array a line; return its columns' names and its rows' number.

    Blocks until the end, and raises as `run_sql` does.
    """
    with _nothing_left(out):
        answer = _exchange(_request(plan, data, limits), out, limits, control)
        _raise_findings(plan.checked, answer.findings)
        return answer.names, _counts(answer, limits)["rows"]


def bind_sql(
    plan: SqlPlan, data: DataFile, *, limits: SqlLimits = DEFAULT_LIMITS, control: Control
) -> tuple[Problem, ...]:
    """Return what the engine finds wrong with SQL without running it: unknown columns, types, the shape of the result.

    Takes about a quarter of a second; opens no clusters. QueryFailed and Interrupted as `run_sql`.
    """
    answer = _exchange(_request(plan, data, limits, bind=True), Path(os.devnull), limits, control)
    if answer.findings is None:
        raise _failure(answer.failed or {"kind": "broken"}, limits)
    return _problems(plan.checked, answer.findings)


# The request


def _request(plan: SqlPlan, data: DataFile, limits: SqlLimits, *, bind: bool = False) -> SqlRequest:
    clusters = [] if bind else _chosen(plan, data)
    for file in (data.path, *(Path(path) for _, path in clusters)):
        check_whole(file)
    return SqlRequest(
        sql=plan.text,
        columns=plan.checked.columns,
        project_id=plan.checked.project_id,
        zone=plan.zone,
        today=plan.today.isoformat(),
        data=str(data.path.absolute()),
        clusters=clusters,
        only_bind=bind,
        seconds=limits.seconds,
        memory=limits.memory,
        rows=limits.rows,
        threads=limits.threads,
    )


def _chosen(plan: SqlPlan, data: DataFile) -> list[tuple[str, str]]:
    """Return the members files to open. InvalidDefinition: the SQL names a cluster that is not among them."""
    checked = plan.checked
    files = {source.name: path for source, path in zip(plan.clusters, data.members, strict=True)}
    names = sorted(files if checked.clusters is None else checked.clusters)
    unknown = [
        finding("sql_cluster_unknown", checked.path, got=name, suggestion=nearest(name, files))
        for name in names
        if name not in files
    ]
    if unknown:
        raise _invalid(unknown)
    return [(name, str(files[name].absolute())) for name in names]


# The process


class _Answer:
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

    def take(self, kind: Kind, payload: bytes) -> None:
        """Take one frame."""
        match kind:
            case "rows":
                self._sink.write(payload)
            case "progress":
                self._control.report(float(json.loads(payload)))
            case "findings":
                self.findings = json.loads(payload)
            case "failed":
                self.failed = json.loads(payload)
            case "done":
                value = json.loads(payload)
                self.kept = str(value.pop("type"))
                self.names = tuple(map(str, value.pop("names", ())))
                self.counts = {key: int(number) for key, number in value.items()}
            case other:
                assert_never(other)


def _exchange(request: SqlRequest, out: Path, limits: SqlLimits, control: Control) -> _Answer:
    """Start the process, hand it the request, take its frames; at the end it is gone, whatever happened."""
    deadline = time.monotonic() + limits.seconds
    late = False
    status: int | None = None
    with out.open("wb") as sink, _started() as process:
        answer = _Answer(sink, control)

        def look() -> None:
            nonlocal late
            late = late or time.monotonic() > deadline
            if control.interrupted or late:
                process.kill()

        control.on_interrupt(process.kill)
        assert process.stdin is not None  # noqa: S101 - both are pipes
        assert process.stdout is not None  # noqa: S101 - both are pipes
        with repeatedly(look, _LOOK_EVERY), suppress(Broken):
            with suppress(BrokenPipeError, ConnectionResetError):  # it ended early: the frames, or their lack, say why
                process.stdin.write(request.line())
                process.stdin.flush()
            for kind, payload in frames(process.stdout):
                answer.take(kind, payload)
            status = process.wait()
    if control.interrupted:
        raise stopped()
    if answer.findings is None and answer.failed is None and answer.counts is None:
        answer.failed = {"kind": "time" if late else _why(status)}
    return answer


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
        raise _failure({"kind": "start", "detail": str(error)}, DEFAULT_LIMITS) from error
    try:
        yield process
    finally:
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):  # a request that was never taken cannot be flushed
                    pipe.close()
        process.wait()


def _why(status: int | None) -> str:
    """Return why a process ended that was not killed by us: its exit status is the negative number of a signal."""
    if status is not None and status < 0:
        name = signal.Signals(-status).name if -status in list(signal.Signals) else ""
        # A kill from outside is the system's own defence of its memory.
        return {"SIGXCPU": "time", "SIGKILL": "memory", "SIGABRT": "memory"}.get(name, "broken")
    return "broken"


# The answer


def _written(answer: _Answer, limits: SqlLimits) -> Written:
    """Return the counts with the type of the values. QueryFailed."""
    counts = _counts(answer, limits)
    dropped = {reason: counts[reason] for reason in DROPPED if counts[reason]}
    if not answer.kept:
        return Written(counts["users_num"], dropped=dropped)
    kept = _KEPT.fullmatch(answer.kept)
    if kept is None:
        raise _failure({"kind": "broken"}, limits)
    scale = int(kept[1]) if kept[1] else 0 if answer.kept == "BIGINT" else None
    return Written(counts["users_num"], (_VALUE_TYPES.get(answer.kept, "number"), scale), dropped)


def _counts(answer: _Answer, limits: SqlLimits) -> dict[str, int]:
    """Return the counts that end an answer; QueryFailed where the process did not come to them."""
    if answer.failed is not None or answer.counts is None:
        raise _failure(answer.failed or {"kind": "broken"}, limits)
    return answer.counts


def _write(written: Written, lines: Path, out: Path, columns: int, kept: str, limits: SqlLimits) -> None:
    """Write the members that came through the pipe. Their ids and values are read back by the types that came with them."""
    import duckdb

    value = f", CAST(decode(from_base64(coalesce(value, ''))) AS {kept}) AS value" if columns > 1 else ""
    read = "{'user_id': 'BIGINT', 'value': 'VARCHAR'}" if columns > 1 else "{'user_id': 'BIGINT'}"
    spill = out.with_name(f"{out.name}.spill")
    connection = connect(spill)
    try:
        (copied,) = one(
            connection,
            f"COPY (SELECT user_id{value} FROM read_csv({literal(str(lines))}, header = false, auto_detect = false, "
            f"delim = ',', quote = '', escape = '', columns = {read}) ORDER BY user_id) TO {literal(str(out))} ({PARQUET})",
        )
    except duckdb.Error as error:
        if "No space left" in str(error):
            raise OSError(errno.ENOSPC, "no space left") from error
        raise _failure({"kind": "engine", "detail": str(error).splitlines()[0][:300]}, limits) from error
    finally:
        connection.close()
        shutil.rmtree(spill, ignore_errors=True)
    if copied != written.users_num:
        raise _failure({"kind": "broken"}, limits)


@contextmanager
def _nothing_left(out: Path) -> Iterator[None]:
    """Remove the file on any error; DiskFull where there is no space for it."""
    try:
        yield
    except BaseException as error:
        out.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                Text("The disk is full; nothing was changed.", "磁盘已满，数据没有变化。"),
                next_step=Text("Free some space and call again.", "请释放空间后重新调用。"),
            ) from error
        raise


# Problems and failures


def _raise_findings(checked: CheckedSql, findings: Sequence[Finding] | None) -> None:
    if findings:
        raise _invalid(_problems(checked, findings))


def _invalid(problems: Sequence[Problem]) -> InvalidDefinition:
    return InvalidDefinition(
        Text("The SQL has problems; nothing was changed.", "SQL 有问题，数据没有变化。"),
        next_step=Text("Fix them and call again.", "请修正后重新调用。"),
        problems=problems,
    )


def _problems(checked: CheckedSql, findings: Sequence[Finding]) -> tuple[Problem, ...]:
    return tuple(_problem(checked, item) for item in findings)


def _problem(checked: CheckedSql, item: Finding) -> Problem:
    """Return a finding of the process as a problem. Most have no place: the engine counts in its own form of the text."""
    code, got = str(item["code"]), item.get("got", "")
    candidates = [str(name) for name in item.get("candidates", [])]
    problem = finding(
        code,
        checked.path,
        got=got,
        expected=_expected(checked, code, candidates),
        suggestion='AS "#user_id"' if code == "sql_id_column" else nearest(str(got), candidates),
        hint="",
        detail=item.get("detail", ""),
        count=item.get("count", ""),
        limit=item.get("limit", MOST_LEVELS),
    )
    line = item.get("line")
    if not line:
        return problem
    return replace(problem, message=problem.message.then(Text(f"(Line {line}.)", f"（第 {line} 行。）")))


def _expected(checked: CheckedSql, code: str, candidates: Sequence[str]) -> Text:
    if code == "sql_columns":
        return result_words(checked.columns)
    if code in ("sql_table_unknown", "sql_table_function"):
        return listed(sorted(table_names(checked.project_id)))
    return listed(candidates)


def _failure(failed: Mapping[str, str], limits: SqlLimits) -> EngineError:
    if failed["kind"] == "engine" and (damaged := damage_in(failed.get("detail", ""))):
        return damaged
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
