"""Whole statements for ThinkingData's query engine, over the tables that it shows of a project (te-api.md section 6)."""

from collections.abc import Sequence
from datetime import date, timedelta

from mcp_server.engine.answering import compile_any
from mcp_server.engine.dialect import Tables
from mcp_server.engine.emit import counted_sql, selection_sql
from mcp_server.engine.emit_tag import tag_sql
from mcp_server.engine.plan import ClusterSource, Plan, TagPlan
from mcp_server.engine.sql_plan import SqlPlan
from mcp_server.engine.trino import TRINO
from mcp_server.qp.definition import Definition
from mcp_server.qp.metadata import Metadata, Property

MOST_VALUES = 20
"""Values of a property, or of a tag, that are counted one by one."""
_VALUE_COLUMNS = {"number": "tag_value_num", "time": "tag_value_tm"}
_RECENT = timedelta(days=7)

_name, _text = TRINO.identifier, TRINO.literal
_USER_ID = _name("#user_id")


class OfADay(Exception):
    """A plan reads a cluster as it was on a day, and how the platform keeps those is not known."""


def compile_for_vendor(definition: Definition, metadata: Metadata) -> Plan | TagPlan:
    """The plan of a definition by conditions, its times as clock readings. OfADay."""
    plan = compile_any(definition, metadata.by_clock_readings())
    if isinstance(plan, SqlPlan) or any(source.day for source in plan.clusters):
        raise OfADay
    return plan


def chosen(plan: Plan | TagPlan, metadata: Metadata) -> str:
    """The users that a plan selects (`user_id`), of a tag with their values (`user_id`, `value`). NoForm."""
    tables = _tables(plan, metadata)
    return selection_sql(plan, TRINO, tables) if isinstance(plan, Plan) else tag_sql(plan, TRINO, tables)


def counted(plan: Plan, metadata: Metadata) -> str:
    """One row: all users, alone and left of each step, the whole. NoForm."""
    return counted_sql(plan, TRINO, _tables(plan, metadata))


def spread(values: str, project_id: str, *, ordered: bool) -> str:
    """One row over `user_id`, `value`: all users, users with a value, distinct values, and the least and greatest one."""
    ends = ", min(value), max(value)" if ordered else ""
    return (
        f"SELECT (SELECT count(*) FROM {user_table(project_id)}), count(*), count(DISTINCT value){ends}"
        f"\nFROM (\n{values}\n) AS given"
    )


def most_frequent(values: str) -> str:
    """Rows of value and users over `user_id`, `value`."""
    return (
        f"SELECT value, count(*) AS n\nFROM (\n{values}\n) AS given\nGROUP BY value\nORDER BY n DESC, value"
        f"\nLIMIT {MOST_VALUES}"
    )


def sample(users: str, project_id: str, columns: Sequence[str], limit: int, *, tag: bool) -> str:
    """The first users of a selection by id: columns of the user table, of a tag then the value."""
    shown = [f"u.{_name(column)}" for column in columns] + (["given.value"] if tag else [])
    return (
        f"SELECT {', '.join(shown)}\nFROM (\n{users}\n) AS given\nJOIN {user_table(project_id)} AS u"
        f" ON u.{_USER_ID} = given.user_id\nORDER BY u.{_USER_ID}\nLIMIT {int(limit)}"
    )


def members(project_id: str, cluster: str, columns: Sequence[str], *, tag: bool) -> str:
    """The members of a cluster by id: their id, of a tag the value, then columns of the user table."""
    shown = [f"r.{_USER_ID}", *(["r.tag_value"] if tag else []), *(f"u.{_name(column)}" for column in columns)]
    return (
        f"SELECT {', '.join(shown)}\nFROM user_result_cluster_{_number(project_id)} AS r\n"
        f"LEFT JOIN {user_table(project_id)} AS u ON u.{_USER_ID} = r.{_USER_ID}\nWHERE r.cluster_name = {_text(cluster)}"
        f"\nORDER BY r.{_USER_ID}"
    )


def value_counts(project_id: str, properties: Sequence[Property], today: date) -> str:
    """Rows of table, property, value and a number: first of all users (without names), then the most frequent values of
    text properties. Of events, those of the last days only: nobody wants all of them read for a look.
    """
    parts = [f"SELECT 'user' AS t, '' AS p, '' AS v, count(*) AS n FROM {user_table(project_id)}"]
    for number, found in enumerate(properties):
        column, where = _name(found.name), f"{_name(found.name)} IS NOT NULL"
        table = user_table(project_id)
        if found.table == "event":
            first, last = (_text(day.isoformat()) for day in (today - _RECENT, today))
            table, where = (
                f"v_event_{_number(project_id)}",
                f"{where} AND {_name(TRINO.day)} BETWEEN {first} AND {last}",
            )
        parts.append(
            f"SELECT * FROM (SELECT {_text(found.table)} AS t, {_text(found.name)} AS p, {column} AS v, count(*) AS n"
            f" FROM {table} WHERE {where} GROUP BY {column} ORDER BY n DESC, v LIMIT {MOST_VALUES + 1}) AS t{number}"
        )
    return "\nUNION ALL\n".join(parts)


def least(project_id: str) -> str:
    """The smallest question to a project's own tables, which shows whether they may be queried."""
    return f"SELECT 1 AS n FROM {user_table(project_id)} LIMIT 1"


def user_table(project_id: str) -> str:
    return f"v_user_{_number(project_id)}"


def _tables(plan: Plan | TagPlan, metadata: Metadata) -> Tables:
    project = metadata.project_id
    clusters = tuple(_cluster(source, metadata) for source in plan.clusters)
    return Tables(f"v_event_{_number(project)}", user_table(project), clusters)


def _cluster(source: ClusterSource, metadata: Metadata) -> str:
    """The current members of a cluster, of a tag with the value in the column of its type."""
    found = metadata.property("cluster", source.name)
    kind = found.type if found else "cluster"
    value = "" if kind == "cluster" else f", {_VALUE_COLUMNS.get(kind, 'tag_value')} AS value"
    table = f"user_result_cluster_{_number(metadata.project_id)}"
    return f"(SELECT {_USER_ID} AS user_id{value} FROM {table} WHERE cluster_name = {_text(source.name)})"


def _number(project_id: str) -> int:
    """The project as it stands in names of tables: nothing but digits gets there."""
    return int(project_id)
