"""What the code makes of one case: everything that is in its folder beside the definition.

`definition.json` is written by hand; `python -m tests.cases.write` writes the rest from the code, for a
person to read before it is committed. A definition with a key of a tag is a tag's. Beside SQL there is, written by hand, a
definition by conditions that says the same (`same.json`).
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import duckdb

from mcp_server.engines.dialect import DUCKDB, Tables, identifier
from mcp_server.engines.sql import selection_sql, tag_sql
from mcp_server.language.definitions import AnyReading, parse_definition
from mcp_server.language.explain import explain_qp, explain_tag
from mcp_server.language.model import CLUSTER, TAG, Qp, TagQp, keys_of
from mcp_server.language.reading.check import Reading, read_qp, read_tag
from mcp_server.language.sql import explain_sql
from mcp_server.language.values import local, show_time
from mcp_server.plan.compile import compile_definition, compile_tag
from mcp_server.plan.plan import ClusterSource, ValuesTag
from mcp_server.user_sql.plan import compile_sql, look_at
from tests.cases.data import METADATA, OWN, WORLD
from tests.cases.sql_running import read_sql_case, select
from tests.reading.tables import fill

CASES = Path(__file__).parent
DEFINITION = "definition.json"


class Outcome(NamedTuple):
    """The generated files of a case, in the order in which a definition goes through the code."""

    normalised: dict[str, Any]
    en: str
    zh: str
    sql: str
    found: list[int] | dict[int, Any]
    """The users, of a tag with their values."""

    def files(self) -> dict[str, str]:
        """By name; every text ends in a line break."""
        return {
            "normalised.json": as_json(self.normalised),
            "en.txt": self.en + "\n",
            "zh.txt": self.zh + "\n",
            "query.sql": self.sql + "\n",
        } | self._result()

    def _result(self) -> dict[str, str]:
        if isinstance(self.found, list):
            return {"users.json": json.dumps(self.found) + "\n"}
        return {"values.json": as_json({str(user): _shown(value) for user, value in self.found.items()})}


def _shown(value: object) -> object:
    """Times in local time and decimals in all their places as text, everything else as JSON has it."""
    if isinstance(value, datetime):
        return show_time(local(value, ZoneInfo(WORLD.zone)))
    return str(value) if isinstance(value, Decimal) else value


def is_tag(sent: Any) -> bool:
    """A definition in the form of a tag's; SQL is a tag's where it calls a column `value`."""
    return isinstance(sent, dict) and (any(key in sent for key in keys_of(TagQp)) or " AS value" in sent.get("sql", ""))


def names(folder: Path = CASES) -> list[str]:
    """The cases in a folder, by name."""
    return sorted(path.parent.name for path in folder.glob(f"*/{DEFINITION}"))


def definition(name: str, folder: Path = CASES) -> Any:
    """What was sent."""
    return json.loads((folder / name / DEFINITION).read_text(encoding="utf-8"))


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


@contextmanager
def project() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database that holds the project of `data.py`."""
    with duckdb.connect(config={"threads": 1}) as connection:
        fill(connection, WORLD)
        for crowd in WORLD.crowds:
            for day, rows in crowd.versions.items():
                shape = f"user_id BIGINT, value {crowd.column.sql}" if crowd.column else "user_id BIGINT"
                connection.execute(f"CREATE TABLE {members(crowd.name, day)} ({shape})")
                for user, value in rows.items():
                    row = [user, value] if crowd.column else [user]
                    connection.execute(
                        f"INSERT INTO {members(crowd.name, day)} VALUES ({', '.join('?' * len(row))})", row
                    )
        yield connection


def read_sent(sent: Any, connection: duckdb.DuckDBPyConnection, *, tag: bool) -> AnyReading:
    """Read what was sent as a definition of a cluster or of a tag, whichever form it has."""
    fault, catalog, root = _regex_fault(connection), TAG if tag else CLUSTER, "tag_qp" if tag else "qp"
    return parse_definition(sent, METADATA, catalog=catalog, root=(root,), regex_fault=fault, sql_look=look_at, own=OWN)


def read_case(sent: Any, connection: duckdb.DuckDBPyConnection) -> Reading[Qp]:
    """Read a definition against the project."""
    return read_qp(sent, METADATA, regex_fault=_regex_fault(connection), own=OWN)


def read_tag_case(sent: Any, connection: duckdb.DuckDBPyConnection) -> Reading[TagQp]:
    """Read a tag against the project."""
    return read_tag(sent, METADATA, regex_fault=_regex_fault(connection), own=OWN)


def _regex_fault(connection: duckdb.DuckDBPyConnection) -> Callable[[str], str]:
    def fault(pattern: str) -> str:
        try:
            connection.execute("SELECT regexp_matches('', ?)", [pattern])
        except duckdb.Error as error:
            return str(error).partition(": ")[2]
        return ""

    return fault


def run(sent: Any, connection: duckdb.DuckDBPyConnection) -> Outcome:
    """Read, explain, compile, write as SQL and run a definition."""
    if "sql" in sent:
        return _run_sql(sent)
    return _run_tag(sent, connection) if is_tag(sent) else _run_cluster(sent, connection)


def _run_cluster(sent: Any, connection: duckdb.DuckDBPyConnection) -> Outcome:
    reading = read_case(sent, connection)
    checked = reading.must()
    said = explain_qp(checked, METADATA).summary
    plan = compile_definition(checked, METADATA)
    sql = selection_sql(plan, DUCKDB, _tables(plan.clusters))
    users = sorted(number for (number,) in connection.execute(sql).fetchall())
    return Outcome(reading.normalised, said.en, said.zh, sql, users)


def _run_tag(sent: Any, connection: duckdb.DuckDBPyConnection) -> Outcome:
    reading = read_tag_case(sent, connection)
    checked = reading.must()
    said = explain_tag(checked, METADATA).summary
    plan = compile_tag(checked, METADATA)
    sql = tag_sql(plan, DUCKDB, _tables(plan.clusters if isinstance(plan, ValuesTag) else ()))
    rows = sorted(connection.execute(sql).fetchall())
    values = dict(rows)
    assert len(values) == len(rows), "a user has one value"
    return Outcome(reading.normalised, said.en, said.zh, sql, values)


def _run_sql(sent: Any) -> Outcome:
    tag = is_tag(sent)
    reading = read_sql_case(sent, tag=tag)
    checked = reading.must()
    said = explain_sql(checked, METADATA).summary
    plan = compile_sql(checked, METADATA)
    rows = select(plan)
    found = {user: value for user, value in rows} if tag else [user for (user,) in rows]  # noqa: C416 - pairs
    return Outcome(reading.normalised, said.en, said.zh, plan.text, found)


def _tables(clusters: Sequence[ClusterSource]) -> Tables:
    return Tables(members=tuple(members(c.name, c.day) for c in clusters))


def members(cluster: str, day: str) -> str:
    """The table of the members of a cluster: of now, or of a local day."""
    return identifier(f"members of {cluster} {day}".strip())
