"""Runs plans on DuckDB: over one immutable data file per load, read-only, with progress and interruption."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from mcp_server.engines.dialect import DUCKDB, Tables, identifier, literal
from mcp_server.engines.duckdb.connection import Control, connect, cursor
from mcp_server.engines.sql import chosen_sql, funnel_sql, masks_sql, selection_sql, tag_sql
from mcp_server.errors import Interrupted, QueryFailed
from mcp_server.plan.plan import Plan, TagPlan
from mcp_server.text import Text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mcp_server.engines.duckdb.sandbox.process import SqlLimits


T = TypeVar("T")

_POLL_SECONDS = 0.05
_PARQUET = "FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd"
Query = Callable[[Tables], str]
"""A query over the tables of a data file."""
MOST_VALUES = 20
"""Values of a tag that a preview counts one by one."""


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """What the engine may use; None is the engine's own default (all cores, half of the memory)."""

    threads: int | None = None
    memory_limit: str | None = None
    sql_seconds: float | None = None
    """For SQL of users; None is the default of `sql_process.SqlLimits`."""
    sql_memory: int | None = None


class FunnelCounts(NamedTuple):
    """Sizes of a funnel: (alone, left) of each step, and of the whole."""

    steps: tuple[tuple[int, int], ...]
    selected: int


class ValueCounts(NamedTuple):
    """The values of a tag: users with one, distinct values, the most frequent ones, and where they are ordered their spread."""

    users: int
    distinct: int
    top: tuple[tuple[Any, int], ...]
    spread: tuple[Any, Any, Any] | None
    """Least, median, greatest."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """What a plan runs on: one immutable data file, whether all its events belong to users of its user table, and clusters."""

    path: Path
    users_complete: bool
    members: tuple[Path, ...] = ()
    """The members files of the plan's clusters, in its order."""


class Engine:
    """The DuckDB of one process. Safe to use from several threads."""

    def __init__(self, temp: Path, limits: EngineLimits = EngineLimits()) -> None:
        self._temp = temp
        self._limits = limits
        self._lock = threading.Lock()
        self._connection: DuckDBPyConnection | None = None
        self._attached: dict[Path, str] = {}
        self._changed = threading.Condition()
        self._running: list[DuckDBPyConnection] = []

    @property
    def sql_limits(self) -> "SqlLimits":
        """What one run of users' SQL may use."""
        from mcp_server.engines.duckdb.sandbox.process import DEFAULT_LIMITS, SqlLimits

        limits = self._limits
        return SqlLimits(
            seconds=limits.sql_seconds or DEFAULT_LIMITS.seconds,
            memory=limits.sql_memory or DEFAULT_LIMITS.memory,
            threads=min(limits.threads or DEFAULT_LIMITS.threads, DEFAULT_LIMITS.threads),
        )

    def close(self, patience: float = 5.0) -> None:
        """Interrupt what runs, wait up to `patience` seconds for it, and let go of all files."""
        import duckdb

        until = time.monotonic() + patience
        with self._changed:
            while self._running and time.monotonic() < until:
                for own in self._running:
                    own.interrupt()
                self._changed.wait(_POLL_SECONDS)
        with self._lock:
            if self._connection is not None:
                with suppress(duckdb.Error):  # it refuses while a statement runs; the process ends with it
                    self._connection.close()
            self._connection, self._attached = None, {}

    # tasks

    def write_members(self, data: DataFile, plan: Plan, out: Path, control: Control) -> int:
        """Write the users that a plan selects to a Parquet file (one column, `user_id`); their number."""
        return self.copy(data, lambda tables: selection_sql(plan, DUCKDB, tables), out, _PARQUET, control)

    def write_values(self, data: DataFile, plan: TagPlan, out: Path, control: Control) -> int:
        """Write the values of a tag to a Parquet file (`user_id`, `value`); the number of users that have one."""
        return self.copy(data, lambda tables: tag_sql(plan, DUCKDB, tables), out, _PARQUET, control)

    def preview(
        self, data: DataFile, plan: Plan, *, sample: int, columns: Sequence[str], control: Control
    ) -> tuple[FunnelCounts, list[tuple[Any, ...]]]:
        """The sizes of every step, and the first `sample` selected users by id with some of their columns."""
        tables = self._tables(data)
        with self._task(control) as own:
            own.execute(f"CREATE TEMP TABLE preview_masks AS\n{masks_sql(plan, DUCKDB, tables)}")
            row = own.execute(funnel_sql(plan, DUCKDB, "preview_masks")).fetchone() or ()
            pairs = tuple((int(row[i]), int(row[i + 1])) for i in range(0, len(row) - 1, 2))
            chosen = chosen_sql(plan, DUCKDB, "preview_masks")
            return FunnelCounts(pairs, int(row[-1])), _sample(own, chosen, tables, sample, _of_user(columns))

    def sample(
        self, data: DataFile, chosen: str, *, sample: int, columns: Sequence[str], control: Control
    ) -> list[tuple[Any, ...]]:
        """The first `sample` users of a query (`user_id`) by id with some of their columns."""
        tables = self._tables(data)
        with self._task(control) as own:
            return _sample(own, chosen, tables, sample, _of_user(columns))

    def preview_values(
        self, data: DataFile, query: Query, *, spread: bool, sample: int, columns: Sequence[str], control: Control
    ) -> tuple[ValueCounts, list[tuple[Any, ...]]]:
        """How values (`user_id`, `value`) are spread, and the first `sample` users that have one: `columns`, then the value."""
        tables = self._tables(data)
        with self._task(control) as own:
            own.execute(f"CREATE TEMP TABLE preview_values AS\n{query(tables)}")
            row = own.execute("SELECT count(*), count(DISTINCT value) FROM preview_values").fetchone() or (0, 0)
            top = own.execute(
                "SELECT value, count(*) AS n FROM preview_values GROUP BY value ORDER BY n DESC, value"
                f" LIMIT {MOST_VALUES}"
            ).fetchall()
            ends = own.execute("SELECT min(value), median(value), max(value) FROM preview_values") if spread else None
            counts = ValueCounts(
                row[0], row[1], tuple((v, n) for v, n in top), (ends.fetchone() or None) if ends else None
            )
            shown = [*_of_user(columns), "s.value"]
            return counts, _sample(own, "SELECT * FROM preview_values", tables, sample, shown)

    def same_members(self, one: Path, other: Path, control: Control) -> bool:
        """Whether two members files of equally many users hold the same ones."""
        files = [f"read_parquet({literal(str(path))})" for path in (one, other)]
        with self._task(control) as own:
            return _one(own.execute(f"SELECT count(*) FROM {files[0]} ANTI JOIN {files[1]} USING (user_id)")) == 0

    def copy(self, data: DataFile, query: Query, out: Path, options: str, control: Control) -> int:
        """Write the rows of a query to a file; their number."""
        with self._task(control) as own:
            return _one(own.execute(f"COPY (\n{query(self._tables(data))}\n) TO {literal(str(out))} ({options})"))

    def ask(self, data: DataFile, work: "Callable[[DuckDBPyConnection, Tables], T]", control: Control) -> T:
        """What `work` finds out with a connection of its own; for small answers, not for members."""
        with self._task(control) as own:
            return work(own, self._tables(data))

    def regex_fault(self, pattern: str) -> str:
        """Why a pattern is not valid RE2; "" where it is."""
        import duckdb

        own = cursor(self._database())
        try:
            own.execute("SELECT regexp_matches('', ?)", [pattern])
        except duckdb.Error as error:
            return str(error).partition(": ")[2][:200] or "invalid"
        finally:
            own.close()
        return ""

    # connections

    def _database(self) -> "DuckDBPyConnection":
        with self._lock:
            if self._connection is None:
                self._connection = connect(
                    self._temp, threads=self._limits.threads, memory_limit=self._limits.memory_limit
                )
            return self._connection

    def _tables(self, data: DataFile) -> Tables:
        """The tables of a data file, attached on first use."""
        database = self._database()
        with self._lock:
            alias = self._attached.get(data.path)
            if alias is None:
                alias = f"data_{len(self._attached) + 1}"
                database.execute(f"ATTACH {literal(str(data.path))} AS {alias} (READ_ONLY)")
                self._attached[data.path] = alias
        members = tuple(f"read_parquet({literal(str(path))})" for path in data.members)
        return Tables(f"{alias}.events", f"{alias}.users", members, data.users_complete)

    @contextmanager
    def _task(self, control: Control) -> "Iterator[DuckDBPyConnection]":
        """A cursor for one task; its errors become ours, its progress is reported, an interrupt stops it."""
        import duckdb

        own = cursor(self._database())
        with self._changed:
            self._running.append(own)
        control.on_interrupt(own.interrupt)
        try:
            with _watched(own, control):
                yield own
        except duckdb.InterruptException as error:
            raise Interrupted(
                Text("The computation was stopped.", "计算已被中止。"), next_step=Text("Call again.", "请重新调用。")
            ) from error
        except duckdb.Error as error:
            raise _failed(error) from error
        finally:
            with self._changed:
                self._running = [other for other in self._running if other is not own]
                self._changed.notify_all()
            own.close()


def _of_user(columns: Sequence[str]) -> list[str]:
    return [f"u.{identifier(c)}" for c in columns]


def _sample(
    own: "DuckDBPyConnection", chosen: str, tables: Tables, sample: int, shown: Sequence[str]
) -> list[tuple[Any, ...]]:
    """The first users `s` of a query by id, with their rows `u` of the user table."""
    if sample <= 0:
        return []
    user_id = identifier("#user_id")
    first = f"SELECT * FROM ({chosen}) ORDER BY user_id LIMIT {int(sample)}"
    return own.execute(
        f"SELECT {', '.join(shown)} FROM ({first}) AS s"
        f" JOIN {tables.users} AS u ON u.{user_id} = s.user_id ORDER BY u.{user_id}"
    ).fetchall()


@contextmanager
def _watched(own: "DuckDBPyConnection", control: Control) -> Iterator[None]:
    """Report the engine's own progress while statements run, and see that an interrupt arrives."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_POLL_SECONDS):
            if control.interrupted:
                own.interrupt()  # again: an interrupt between two statements is lost on the engine
            percent = own.query_progress()
            if percent > 0:
                control.report(min(percent, 100.0))

    watcher = threading.Thread(target=watch, name="fenqun-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _one(result: "DuckDBPyConnection") -> int:
    row = result.fetchone()
    return int(row[0]) if row else 0


def _failed(error: Exception) -> QueryFailed:
    """An engine error in the house's words; the engine's own text is quoted, cut to its first line."""
    first = str(error).splitlines()[0][:300]
    if "Out of Memory" in first:
        return QueryFailed(
            Text("The engine ran out of memory.", "引擎内存不足。"),
            next_step=Text(
                "Raise FENQUN_MEMORY_LIMIT, or narrow the windows.", "请调高 FENQUN_MEMORY_LIMIT，或缩小时间窗。"
            ),
        )
    return QueryFailed(
        Text("The engine could not run this: {detail}", "引擎无法执行：{detail}").format(detail=first),
        next_step=Text("Load the data again; if it stays, report it.", "请重新加载数据；若仍出现，请反馈。"),
    )
