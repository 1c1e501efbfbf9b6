"""Runs checked SQL in a process of its own and writes the members it selects (docs/sql-clusters.md)."""

import errno
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from mcp_server.engines.dialect import literal
from mcp_server.engines.duckdb.connection import Control, connect, one
from mcp_server.engines.duckdb.engine import DataFile
from mcp_server.engines.duckdb.sandbox.pipe import SqlRequest
from mcp_server.engines.duckdb.sandbox.process import DEFAULT_LIMITS, ChildOutput, SqlLimits, exchange, failure
from mcp_server.engines.duckdb.sandbox.result import Finding
from mcp_server.errors import DiskFull, InvalidDefinition, Problem
from mcp_server.language.metadata import ValueType
from mcp_server.language.problems import finding
from mcp_server.language.suggest import nearest
from mcp_server.text import Text, listed
from mcp_server.user_sql.guard import MOST_LEVELS, CheckedSql, result_words
from mcp_server.user_sql.words import table_names

__all__ = ["SqlLimits", "SqlOutcome", "bind_sql", "query_sql", "run_sql"]

_PARQUET = "(FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd)"
_KEPT = re.compile(r"VARCHAR|BOOLEAN|BIGINT|DOUBLE|TIMESTAMP|DECIMAL\(\d+,(\d+)\)")
_VALUE_TYPES: Mapping[str, ValueType] = {
    "VARCHAR": "string", "BOOLEAN": "bool", "TIMESTAMP": "time", "BIGINT": "number", "DOUBLE": "number",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SqlOutcome:
    """What was written, and what was dropped on the way. Rows count once each, in the order of the fields."""

    users_num: int
    rows: int
    """Rows that the SQL returned: the sum of all other counts."""
    null_ids: int
    null_values: int
    """Rows of a tag with an id and without a value."""
    unknown_ids: int
    """Rows whose id no user has."""
    repeated_ids: int
    """Further rows of a user (with the same value)."""
    value_type: ValueType | None
    """What a tag's values are; None for a cluster."""
    scale: int | None
    """Of numbers: 0 for whole ones, n for decimals with n places, None for doubles."""


def run_sql(
    checked: CheckedSql,
    data: DataFile,
    clusters: Mapping[str, Path],
    *,
    zone: str,
    today: date,
    out: Path,
    limits: SqlLimits = DEFAULT_LIMITS,
    control: Control,
) -> SqlOutcome:
    """Write the users that SQL selects to a Parquet file: `user_id`, and of a tag `value`, by user id.

    `clusters` are the members files (same columns) of clusters and tags by name; those that `checked` names are opened, all
    of them where it may read any. Blocks until the end; `control` gets progress, and interrupts at once.
    `out` is a new file, in a folder where more may be written meanwhile.
    InvalidDefinition: the engine finds something wrong with the SQL, or a user has two values. QueryFailed: a limit was
    reached. Interrupted. Nothing is left behind by any of them.
    """
    request = _request(checked, data, clusters, zone, today, limits)
    lines = out.with_name(f"{out.name}.lines")
    try:
        with lines.open("wb") as sink:
            answer = ChildOutput(sink, control)
            exchange(request, limits, control, answer)
        _raise_findings(checked, answer.findings)
        outcome = _outcome(answer, limits)
        _write(outcome, lines, out, checked.columns, answer.kept, limits)
    except BaseException as error:
        out.unlink(missing_ok=True)
        if isinstance(error, OSError):
            _raise_full(error)
        raise
    finally:
        lines.unlink(missing_ok=True)
    return outcome


def query_sql(
    checked: CheckedSql,
    data: DataFile,
    clusters: Mapping[str, Path],
    *,
    zone: str,
    today: date,
    out: Path,
    limits: SqlLimits = DEFAULT_LIMITS,
    control: Control,
) -> tuple[tuple[str, ...], int]:
    """Write the rows of a query (`columns=0`) to a file, one JSON array a line; the names of its columns, and how many rows.

    Blocks until the end, and raises as `run_sql` does.
    """
    try:
        with out.open("wb") as sink:
            answer = ChildOutput(sink, control)
            exchange(_request(checked, data, clusters, zone, today, limits), limits, control, answer)
        _raise_findings(checked, answer.findings)
        rows = _counts(answer, limits)["rows"]
    except BaseException as error:
        out.unlink(missing_ok=True)
        if isinstance(error, OSError):
            _raise_full(error)
        raise
    return answer.names, rows


def bind_sql(
    checked: CheckedSql,
    data: DataFile,
    *,
    zone: str,
    today: date,
    limits: SqlLimits = DEFAULT_LIMITS,
    control: Control,
) -> tuple[Problem, ...]:
    """What the engine finds wrong with SQL without running it: unknown columns, types, the shape of the result.

    Takes about a quarter of a second. QueryFailed and Interrupted as `run_sql`.
    """
    request = replace(_request(checked, data, None, zone, today, limits), only_bind=True)
    with Path(os.devnull).open("wb") as nowhere:
        answer = ChildOutput(nowhere, control)
        exchange(request, limits, control, answer)
    if answer.findings is None:
        raise failure(answer.failed or {"kind": "broken"}, limits)
    return _problems(checked, answer.findings)


# -- the request ----------------------------------------------------------------------------------------------------------


def _request(
    checked: CheckedSql, data: DataFile, clusters: Mapping[str, Path] | None, zone: str, today: date, limits: SqlLimits
) -> SqlRequest:
    return SqlRequest(
        sql=checked.text(today),
        columns=checked.columns,
        project_id=checked.project_id,
        zone=zone,
        today=today.isoformat(),
        data=str(data.path.absolute()),
        clusters=[] if clusters is None else _chosen(checked, clusters),
        only_bind=False,
        seconds=limits.seconds,
        memory=limits.memory,
        rows=limits.rows,
        threads=limits.threads,
    )


def _chosen(checked: CheckedSql, clusters: Mapping[str, Path]) -> list[tuple[str, str]]:
    """The members files to open. InvalidDefinition: the SQL names a cluster that is not among them."""
    names = sorted(clusters if checked.clusters is None else checked.clusters)
    unknown = [
        finding("sql_cluster_unknown", checked.path, got=name, suggestion=nearest(name, clusters))
        for name in names
        if name not in clusters
    ]
    if unknown:
        raise _invalid(unknown)
    return [(name, str(clusters[name].absolute())) for name in names]


# -- the answer -----------------------------------------------------------------------------------------------------------


def _outcome(answer: ChildOutput, limits: SqlLimits) -> SqlOutcome:
    """The counts with the type of the values. QueryFailed."""
    counts = _counts(answer, limits)
    scale = _KEPT.fullmatch(answer.kept)
    if answer.kept and scale is None:
        raise failure({"kind": "broken"}, limits)
    return SqlOutcome(
        **counts,
        value_type=_VALUE_TYPES.get(answer.kept, "number") if answer.kept else None,
        scale=int(scale[1]) if scale and scale[1] else 0 if answer.kept == "BIGINT" else None,
    )


def _counts(answer: ChildOutput, limits: SqlLimits) -> dict[str, int]:
    """The counts that end an answer; QueryFailed where the process did not come to them."""
    if answer.failed is not None or answer.counts is None:
        raise failure(answer.failed or {"kind": "broken"}, limits)
    return answer.counts


def _raise_findings(checked: CheckedSql, found: list[Finding] | None) -> None:
    if found:
        raise _invalid(_problems(checked, found))


def _invalid(problems: Sequence[Problem]) -> InvalidDefinition:
    return InvalidDefinition(
        Text("The SQL has problems; nothing was changed.", "SQL 有问题，数据没有变化。"),
        next_step=Text("Mend them and call again.", "请修正后重新调用。"),
        problems=problems,
    )


def _problems(checked: CheckedSql, found: Sequence[Finding]) -> tuple[Problem, ...]:
    return tuple(_problem(checked, item) for item in found)


def _problem(checked: CheckedSql, item: Finding) -> Problem:
    """A finding of the process as a problem. Most have no place: the engine counts in its own form of the text."""
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


# -- the file -------------------------------------------------------------------------------------------------------------


def _write(outcome: SqlOutcome, lines: Path, out: Path, columns: int, kept: str, limits: SqlLimits) -> None:
    """Write the members that came through the pipe. Their ids and values are read back by the types that were told."""
    import duckdb

    value = f", CAST(decode(from_base64(coalesce(value, ''))) AS {kept}) AS value" if columns > 1 else ""
    read = "{'user_id': 'BIGINT', 'value': 'VARCHAR'}" if columns > 1 else "{'user_id': 'BIGINT'}"
    spill = out.with_name(f"{out.name}.spill")
    connection = connect(spill)
    try:
        written = one(
            connection,
            f"COPY (SELECT user_id{value} FROM read_csv({literal(str(lines))}, header = false, auto_detect = false, "
            f"delim = ',', quote = '', escape = '', columns = {read}) ORDER BY user_id) TO {literal(str(out))} {_PARQUET}",
        )
    except duckdb.Error as error:
        if "No space left" in str(error):
            raise OSError(errno.ENOSPC, "no space left") from error
        raise failure({"kind": "engine", "detail": str(error).splitlines()[0][:300]}, limits) from error
    finally:
        connection.close()
        shutil.rmtree(spill, ignore_errors=True)
    if written[0] != outcome.users_num:
        raise failure({"kind": "broken"}, limits)


def _raise_full(error: OSError) -> None:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise DiskFull(
            Text("The disk is full; nothing was changed.", "磁盘已满，数据没有变化。"),
            next_step=Text("Free some space and call again.", "请释放空间后重新调用。"),
        ) from error
