"""The engine's own reading of a statement, held against the same lists.

A parser that is not the engine's can be wrong about what the engine will do with a text. So before anything runs, DuckDB
parses the text itself (`json_serialize_sql`) and its tree is walked: only SELECTs, only tables of the project or names given
by WITH, only listed functions and kinds of expressions. What passed `sql_guard.py` and fails here is a difference between
the two parsers; it is refused all the same.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mcp_server.engine.sql_words import ENGINE_EXPRESSIONS, ENGINE_FUNCTIONS, ENGINE_NODES, PREFIXES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Refusal = tuple[str, str]
"""Code of a problem, and what it is about."""


def refusals(connection: "DuckDBPyConnection", sql: str, tables: frozenset[str]) -> list[Refusal]:
    """Everything in the engine's tree that is not allowed; nothing is run. duckdb.Error: the text is no SQL to the engine."""
    import duckdb

    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        return [("sql_several", "")]
    try:
        kind = statements[0].type
    except ValueError:  # a kind that the Python client has no name for
        return [("sql_not_select", "?")]
    if kind != duckdb.StatementType.SELECT:
        return [("sql_not_select", kind.name)]
    row = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    try:
        tree = json.loads(row[0] if row else "{}")
    except RecursionError:
        return [("sql_too_deep", "")]
    if tree.get("error") is not False:
        return [("sql_not_select", str(tree.get("error_message", "?")))]
    return list(dict.fromkeys(_walk(tree["statements"], tables)))


def _walk(root: object, tables: frozenset[str]) -> Iterator[Refusal]:
    """Every node, with the names given by WITH that it can see. No recursion: a long chain of OR is a deep tree."""
    waiting: list[tuple[object, frozenset[str]]] = [(root, frozenset())]
    while waiting:
        node, given = waiting.pop()
        if isinstance(node, list):
            waiting += [(item, given) for item in node]
        elif isinstance(node, dict):
            yield from _of_node(node, given, tables)
            waiting += _parts(node, given)


def _parts(node: dict[str, object], given: frozenset[str]) -> Iterator[tuple[object, frozenset[str]]]:
    """The parts of a node. A name counts after its own definition: in the definitions that follow and in the query.

    Constants and types of DuckDB 1.5 are values, not nodes.
    """
    if node.get("class") == "CONSTANT":
        return
    definitions = node.get("cte_map")
    entries = definitions.get("map", []) if isinstance(definitions, dict) else []
    for entry in entries if isinstance(entries, list) else []:
        yield entry["value"], given
        given |= {str(entry["key"]).lower()}
    if node.get("type") == "CTE_NODE":
        yield node.get("query"), given
        given |= {str(node.get("cte_name")).lower()}
    done = {"cte_map", "cast_type", *(("query",) if node.get("type") == "CTE_NODE" else ())}
    yield from ((part, given) for key, part in node.items() if key not in done)


def _of_node(node: dict[str, object], given: frozenset[str], tables: frozenset[str]) -> Iterator[Refusal]:
    kind, expression = node.get("type"), node.get("class")
    if isinstance(expression, str):
        if expression not in ENGINE_EXPRESSIONS:
            yield "sql_construct_refused", expression
    elif isinstance(kind, str) and kind not in ENGINE_NODES:
        yield "sql_construct_refused", kind
    function = node.get("function_name")
    if isinstance(function, str) and function.lower() not in ENGINE_FUNCTIONS:
        yield "sql_function_refused", function
    if kind == "BASE_TABLE":
        yield from _of_table(node, given, tables)
    elif kind == "TABLE_FUNCTION":
        called = node.get("function")
        name = called.get("function_name") if isinstance(called, dict) else None
        if name != "unnest":
            yield "sql_table_function", str(name)


def _of_table(node: dict[str, object], given: frozenset[str], tables: frozenset[str]) -> Iterator[Refusal]:
    catalog, schema, name = (str(node.get(k) or "").lower() for k in ("catalog_name", "schema_name", "table_name"))
    known = (catalog, schema) in PREFIXES and name in tables
    if not (known or (not catalog and not schema and name in given)):
        yield "sql_table_unknown", ".".join(part for part in (catalog, schema, name) if part)
