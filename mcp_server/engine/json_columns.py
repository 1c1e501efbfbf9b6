"""Columns of JSON values: which kinds of value they hold, and as which texts they are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_server.engine.connection import one
from mcp_server.engine.report import refuse
from mcp_server.engine.staging import JSON, Staged
from mcp_server.engine.texts import Meaning
from mcp_server.errors import LoadRefused
from mcp_server.text import Text, listed

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# The first character tells the kind of a JSON text; NaN, Infinity and -1 are numbers.
_KINDS: Mapping[str, tuple[str, Text]] = {
    "string": ("{x}[1] = '\"'", Text("strings", "字符串")),
    "bool": ("{x}[1] IN ('t', 'f')", Text("true and false", "布尔值")),
    "object": ("{x}[1] = '{{'", Text("objects", "对象")),
    "list": ("{x}[1] = '['", Text("lists", "列表")),
    "number": ("{x}[1] NOT IN ('\"', 't', 'f', '{{', '[')", Text("numbers", "数值")),
}


@dataclass(frozen=True, slots=True)
class Form:
    """How one column of JSON values is turned into texts, and what those may mean."""

    text: str
    """SQL over the staged column."""
    meanings: Sequence[Meaning]
    note: Text | None = None
    sure: bool = False
    """True where the kind of the values leaves nothing to decide."""


def forms(connection: "DuckDBPyConnection", staged: Staged, fixed: frozenset[str], source: str) -> dict[int, Form]:
    """The form of each JSON column of a source, by position. JSON strings are never numbers, but may all be times."""
    positions = [i for i, column in enumerate(staged.columns) if column.kind == JSON]
    if not positions:
        return {}
    found = _kinds(connection, staged.relation, positions)
    result: dict[int, Form] = {}
    for i in positions:
        name, x = staged.columns[i].name, f"CAST(c{i} AS VARCHAR)"
        text = f"c{i} ->> '$'"
        kinds = found[i]
        if "object" in kinds:
            raise _nested(name, source)
        if name in fixed or kinds == {"string"}:
            result[i] = Form(text, ("time",))
        elif kinds == {"number"}:
            result[i] = Form(x, ("whole", "double"))
        elif kinds == {"bool"}:
            result[i] = Form(x, ("bool",), sure=True)
        elif kinds == {"list"}:
            result[i] = _list(connection, staged.relation, i, name, source)
        else:
            result[i] = Form(text, (), _mixed(kinds) if kinds else None)
    return result


def _kinds(connection: "DuckDBPyConnection", relation: str, positions: list[int]) -> dict[int, set[str]]:
    """The kinds of value that each column holds; one scan."""
    sql = [
        f"coalesce(bool_or({test.format(x=f'CAST(c{i} AS VARCHAR)')}), FALSE)"
        for i in positions
        for test, _ in _KINDS.values()
    ]
    row = iter(one(connection, f"SELECT {', '.join(sql)} FROM {relation}"))
    return {i: {kind for kind in _KINDS if next(row)} for i in positions}


def _list(connection: "DuckDBPyConnection", relation: str, i: int, name: str, source: str) -> Form:
    """A column of lists: of strings as they are, of numbers and bools as their texts; lists of lists are refused."""
    nested, others = one(
        connection,
        "SELECT count(*) FILTER (json_type(item) IN ('OBJECT', 'ARRAY')), count(*) FILTER (json_type(item) NOT IN ('VARCHAR', 'NULL')) "
        f"FROM (SELECT unnest(json_extract(c{i}, '$[*]')) AS item FROM {relation})",
    )
    if nested:
        raise _nested(name, source)
    note = (
        Text(f"{others:,} items that are no strings are read as their text", f"{others:,} 个非字符串元素按文本读取")
        if others
        else None
    )
    return Form(f"CAST(c{i} AS VARCHAR)", ("list",), note, sure=True)


def _mixed(kinds: set[str]) -> Text:
    words = listed([_KINDS[kind][1] for kind in _KINDS if kind in kinds])
    return Text(f"read as text: it holds {words.en}", f"按文本读取：其中混有{words.zh}")


def _nested(name: str, source: str) -> LoadRefused:
    return refuse(
        Text(
            f"Property {name!r} of {source} holds objects or nested lists; a property is a string, number, bool, time or list of strings.",
            f"{source} 的属性 {name!r} 中有对象或嵌套列表；属性只能是字符串、数值、布尔、时间或字符串列表。",
        ),
        Text("Flatten it into properties of its own, such as parent.child.", "请拆成单独的属性，例如 parent.child。"),
    )
