"""The engine of this machine: runs plans on DuckDB, over one immutable data file per load, read-only."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mcp_server.engines.base import AnyPlan, Control, DataFile, FunnelCounts, ValueCounts, Written, stopped
from mcp_server.engines.dialect import DUCKDB, Tables, identifier, literal
from mcp_server.engines.duckdb.connection import PARQUET, connect, cursor, one, parquet, repeatedly
from mcp_server.engines.duckdb.damage import check_whole, damage_in
from mcp_server.engines.sql import chosen_sql, funnel_sql, masks_sql, selection_sql, tag_sql
from mcp_server.errors import EngineError, QueryFailed
from mcp_server.plan.plan import Plan
from mcp_server.text import Text
from mcp_server.user_sql.plan import SqlPlan

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mcp_server.engines.duckdb.sandbox.run import SqlLimits


T = TypeVar("T")

_POLL_SECONDS = 0.05
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
    """For SQL of users; None is the default of `SqlLimits`."""
    sql_memory: int | None = None


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
        from mcp_server.engines.duckdb.sandbox.run import DEFAULT_LIMITS, SqlLimits

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

    # Tasks

    def write(self, data: DataFile, plan: AnyPlan, out: Path, control: Control) -> Written:
        """Write the members (`user_id`) or values (`user_id`, `value`) that a plan selects to a Parquet file."""
        if isinstance(plan, SqlPlan):
            from mcp_server.engines.duckdb.sandbox.run import run_sql

            return run_sql(plan, data, out, limits=self.sql_limits, control=control)
        if isinstance(plan, Plan):
            return Written(self.copy(data, lambda tables: selection_sql(plan, DUCKDB, tables), out, PARQUET, control))
        return Written(self.copy(data, lambda tables: tag_sql(plan, DUCKDB, tables), out, PARQUET, control))

    def copy(self, data: DataFile, query: Query, out: Path, options: str, control: Control) -> int:
        """Write the rows of a query to a file; return their number."""
        with self._task(control) as own:
            copied = one(own, f"COPY (\n{query(self._tables(data))}\n) TO {literal(str(out))} ({options})")
            return int(copied[0])

    def funnel(
        self, data: DataFile, plan: Plan, *, sample: int, columns: Sequence[str], control: Control
    ) -> tuple[FunnelCounts, list[tuple[Any, ...]]]:
        """Count the users of every step; sample those of the whole."""
        tables = self._tables(data)
        with self._task(control) as own:
            own.execute(f"CREATE TEMP TABLE masks AS\n{masks_sql(plan, DUCKDB, tables)}")
            row = one(own, funnel_sql(plan, DUCKDB, "masks"))
            steps = tuple((int(alone), int(left)) for alone, left in zip(row[:-1:2], row[1::2], strict=True))
            chosen = chosen_sql(plan, DUCKDB, "masks")
            return FunnelCounts(steps, int(row[-1])), _sample(own, chosen, tables, sample, columns)

    def spread(
        self, data: DataFile, query: Query, *, ordered: bool, sample: int, columns: Sequence[str], control: Control
    ) -> tuple[ValueCounts, list[tuple[Any, ...]]]:
        """Count the values of a query (`user_id`, `value`); sample its users, with the value after the columns."""
        tables = self._tables(data)
        with self._task(control) as own:
            own.execute(f"CREATE TEMP TABLE valued AS\n{query(tables)}")
            users, distinct = one(own, "SELECT count(*), count(DISTINCT value) FROM valued")
            top = own.execute(
                f"SELECT value, count(*) AS n FROM valued GROUP BY value ORDER BY n DESC, value LIMIT {MOST_VALUES}"
            ).fetchall()
            ends = one(own, "SELECT min(value), median(value), max(value) FROM valued") if ordered else None
            return ValueCounts(users, distinct, tuple((value, n) for value, n in top), ends), _sample(
                own, "SELECT * FROM valued", tables, sample, columns, "s.value"
            )

    def sample(
        self, data: DataFile, chosen: str, *, sample: int, columns: Sequence[str], control: Control
    ) -> list[tuple[Any, ...]]:
        """Return the first `sample` users of a query (`user_id`) by id, with some of their columns."""
        tables = self._tables(data)
        with self._task(control) as own:
            return _sample(own, chosen, tables, sample, columns)

    def same_members(self, first: Path, second: Path, control: Control) -> bool:
        """Return whether two members files of equally many users hold the same ones."""
        only = f"SELECT count(*) FROM {parquet(first)} ANTI JOIN {parquet(second)} USING (user_id)"
        with self._task(control) as own:
            return bool(one(own, only)[0] == 0)

    def look(self, data: DataFile, work: "Callable[[DuckDBPyConnection, Tables], T]", control: Control) -> T:
        """Return what `work` finds with a connection of its own; for small answers, not for members."""
        with self._task(control) as own:
            return work(own, self._tables(data))

    def regex_fault(self, pattern: str) -> str:
        """Return why a pattern is not valid RE2; "" where it is."""
        import duckdb

        own = cursor(self._database())
        try:
            own.execute("SELECT regexp_matches('', ?)", [pattern])
        except duckdb.Error as error:
            return str(error).partition(": ")[2][:200] or "invalid"
        finally:
            own.close()
        return ""

    # Connections

    def _database(self) -> "DuckDBPyConnection":
        with self._lock:
            if self._connection is None:
                self._connection = connect(
                    self._temp, threads=self._limits.threads, memory_limit=self._limits.memory_limit
                )
            return self._connection

    def _tables(self, data: DataFile) -> Tables:
        """Return the tables of a data file, attached on first use."""
        import duckdb

        for member in data.members:
            check_whole(member)
        database = self._database()
        with self._lock:
            alias = self._attached.get(data.path)
            if alias is None:
                alias = f"data_{len(self._attached) + 1}"
                check_whole(data.path)
                try:
                    database.execute(f"ATTACH {literal(str(data.path))} AS {alias} (READ_ONLY)")
                except duckdb.Error as error:
                    raise _failed(error) from error
                self._attached[data.path] = alias
        return Tables(f"{alias}.events", f"{alias}.users", tuple(map(parquet, data.members)), data.users_complete)

    @contextmanager
    def _task(self, control: Control) -> "Iterator[DuckDBPyConnection]":
        """Open a cursor for one task: its errors become ours, its progress is reported, an interrupt stops it."""
        import duckdb

        own = cursor(self._database())
        with self._changed:
            self._running.append(own)
        control.on_interrupt(own.interrupt)

        def look() -> None:
            if control.interrupted:
                own.interrupt()  # again: an interrupt between two statements is lost on the engine
            percent = own.query_progress()
            if percent > 0:
                control.report(min(percent, 100.0))

        try:
            with repeatedly(look, _POLL_SECONDS):
                yield own
        except duckdb.InterruptException as error:
            raise stopped() from error
        except duckdb.Error as error:
            if isinstance(error, duckdb.InternalException | duckdb.FatalException):
                with self._lock:  # it refuses everything from now on
                    self._connection, self._attached = None, {}
            raise _failed(error) from error
        finally:
            with self._changed:
                self._running = [other for other in self._running if other is not own]
                self._changed.notify_all()
            own.close()


def shown_sql(plan: AnyPlan) -> str:
    """Return the query of a plan, to be read by people."""
    if isinstance(plan, SqlPlan):
        return plan.text
    return selection_sql(plan, DUCKDB) if isinstance(plan, Plan) else tag_sql(plan, DUCKDB)


def _sample(
    own: "DuckDBPyConnection", chosen: str, tables: Tables, sample: int, columns: Sequence[str], *more: str
) -> list[tuple[Any, ...]]:
    """Return the first users `s` of a query by id, with columns of the user table and some of the query."""
    if sample <= 0:
        return []
    user_id = identifier("#user_id")
    shown = ", ".join([*(f"u.{identifier(c)}" for c in columns), *more])
    first = f"SELECT * FROM ({chosen}) ORDER BY user_id LIMIT {int(sample)}"
    return own.execute(
        f"SELECT {shown} FROM ({first}) AS s JOIN {tables.users} AS u ON u.{user_id} = s.user_id ORDER BY u.{user_id}"
    ).fetchall()


def _failed(error: Exception) -> EngineError:
    """Return the error for what the engine reports; its own text is quoted, cut to its first line."""
    first = str(error).splitlines()[0][:300]
    if "Out of Memory" in first:
        return QueryFailed(
            Text("The engine ran out of memory.", "引擎内存不足。"),
            next_step=Text(
                "Raise FENQUN_MEMORY_LIMIT, or narrow the windows.", "请调高 FENQUN_MEMORY_LIMIT，或缩小时间窗。"
            ),
        )
    return damage_in(first) or QueryFailed(
        Text("The engine could not run this: {detail}", "引擎无法执行：{detail}").format(detail=first),
        next_step=Text("Load the data again; if it stays, report it.", "请重新加载数据；若仍出现，请反馈。"),
    )
