"""What the code makes of one case: everything that stands in its folder beside the definition.

`definition.json` is written by hand; `python -m tests.cases.write` writes the rest from the code, for a
person to read before it is committed.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from mcp_server.engine.compile import compile_definition
from mcp_server.engine.dialect import DUCKDB, Tables
from mcp_server.engine.emit import selection_sql
from mcp_server.engine.quoting import identifier
from mcp_server.qp.check import Reading, read
from mcp_server.qp.explain import explain
from tests.cases.data import METADATA, OWN, WORLD
from tests.reading.tables import fill

CASES = Path(__file__).parent
DEFINITION = "definition.json"


class Outcome(NamedTuple):
    """The generated files of a case, in the order in which a definition goes through the code."""

    normalised: dict[str, Any]
    en: str
    zh: str
    sql: str
    users: list[int]

    def files(self) -> dict[str, str]:
        """By name; every text ends in a line break."""
        return {
            "normalised.json": as_json(self.normalised),
            "en.txt": self.en + "\n",
            "zh.txt": self.zh + "\n",
            "query.sql": self.sql + "\n",
            "users.json": json.dumps(self.users) + "\n",
        }


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


def read_case(sent: Any, connection: duckdb.DuckDBPyConnection) -> Reading:
    """Read a definition against the project."""

    def regex_fault(pattern: str) -> str:
        try:
            connection.execute("SELECT regexp_matches('', ?)", [pattern])
        except duckdb.Error as error:
            return str(error).partition(": ")[2]
        return ""

    return read(sent, METADATA, regex_fault=regex_fault, own=OWN)


def run(sent: Any, connection: duckdb.DuckDBPyConnection) -> Outcome:
    """Read, explain, compile, write as SQL and run a definition."""
    reading = read_case(sent, connection)
    checked = reading.must()
    said = explain(checked, METADATA).summary
    plan = compile_definition(checked, METADATA)
    sql = selection_sql(plan, DUCKDB, Tables(members=tuple(members(c.name, c.day) for c in plan.clusters)))
    users = sorted(number for (number,) in connection.execute(sql).fetchall())
    return Outcome(reading.normalised, said.en, said.zh, sql, users)


def members(cluster: str, day: str) -> str:
    """The table of the members of a cluster: of now, or of a local day."""
    return identifier(f"members of {cluster} {day}".strip())
