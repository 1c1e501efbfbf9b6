"""From opened files to one relation: columns of texts, of JSON flattened to columns, or of the engine's types."""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_server.engines.dialect import identifier, literal
from mcp_server.engines.duckdb.connection import one, rows
from mcp_server.sources.base import MOST_COLUMNS, FileRows, SourceColumn, engine_path, reading
from mcp_server.sources.columns import ColumnReader, ColumnReading
from mcp_server.sources.files.opening import FilePlace, Opener
from mcp_server.sources.forms import ANY, BOOL, DATES, DOUBLE, JSON_LIST, WHOLE, YES_NO, ValueForm
from mcp_server.sources.report import FIRST_ROWS, BadRow, refuse
from mcp_server.text import Text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SHOWN = 80
STRINGS: tuple[ValueForm, ...] = (BOOL, YES_NO, *DATES)
"""What JSON strings may be; they are never numbers."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of a table, before anything is known of its values but their kind."""

    name: str
    x: str
    """SQL of its text, or of its value where `kind` is a type of the engine."""
    kind: str = "text"
    """`text`, or the engine's own type."""
    forms: tuple[ValueForm, ...] = ANY
    note: Text | None = None
    pairs: str = ""
    """The column of `{key, value}` pairs that this one is a key of."""
    objects: bool = False
    """JSON texts of lists of objects, or of objects without a fixed set of keys."""
    strings: bool = False
    """JSON strings: digits among them stay texts."""
    void: bool = False
    """Without a value in any row."""
    binary: bool = False


@dataclass(frozen=True, slots=True)
class FileTable:
    """The rows of one kind of file. `relation` has `"$n"` (load number, in file order), `"$lost"`, and what the columns' SQL speaks of."""

    relation: str
    columns: tuple[TableColumn, ...]
    parts: tuple[FileRows, ...]
    count: int
    unread: tuple[tuple[str, int], ...] = ()
    """Rows without a load number: reason and count."""
    first_unread: tuple[BadRow, ...] = ()
    table: str = ""
    notes: tuple[Text, ...] = ()
    lost: int = 0

    def column(self, name: str) -> TableColumn | None:
        return next((column for column in self.columns if column.name.casefold() == name.casefold()), None)


def stage(connection: "DuckDBPyConnection", opener: Opener, places: Sequence[FilePlace], name: str) -> FileTable:
    """Read the tables of one kind, in order, into a relation `name`."""
    kind = places[0].format
    if kind in ("csv", "spreadsheet"):
        return _stage_texts(connection, opener, places, name)
    if kind == "parquet":
        return _stage_parquet(connection, places, name)
    return _stage_json(connection, places, name)


def _distinct(names: Sequence[str], source: str) -> tuple[list[str], list[Text]]:
    """Names without blanks around them; columns without one are numbered, and of two with one name the later is."""
    if len(names) > MOST_COLUMNS:
        raise refuse(
            Text(
                f"{source} has {len(names):,} columns; at most {MOST_COLUMNS:,} are read.",
                f"{source} 有 {len(names):,} 列，最多支持 {MOST_COLUMNS:,} 列。",
            ),
            Text(
                "Keys that are really values belong in a list or in rows.", "若键名其实是取值，请改用列表或拆成多行。"
            ),
        )
    clean: list[str] = []
    notes: list[Text] = []
    seen: set[str] = set()
    for position, name in enumerate(names, 1):
        own = name.strip().replace("\0", "") or f"column{position}"
        if own.casefold() in seen:
            number = next(n for n in range(2, MOST_COLUMNS + 2) if f"{own} {n}".casefold() not in seen)
            notes.append(
                Text(
                    f"{source} has two columns that are one name (names ignore case): the second {own!r} is called {own} {number!r} here".replace(
                        f"{own} '{number}'", f"'{own} {number}'"
                    ),
                    f"{source} 有两列同名（不区分大小写）：第二个 {own!r} 改称 {own} {number}",
                )
            )
            own = f"{own} {number}"
        seen.add(own.casefold())
        clean.append(own)
    return clean, notes


# Texts: CSV and sheets.


def _stage_texts(
    connection: "DuckDBPyConnection", opener: Opener, places: Sequence[FilePlace], table: str
) -> FileTable:
    headings: list[list[str]] = []
    notes: list[Text] = [note for place in places for note in place.notes]
    for place in places:
        names, more = _distinct(place.names, str(place.path))
        headings.append(names)
        notes += more
    folders = list(dict.fromkeys(name for place in places for name, _ in place.folders))
    union: dict[str, str] = {}
    for names in [*headings, folders]:
        for name in names:
            union.setdefault(name.casefold(), name)
    keys = list(union)
    connection.execute(f"CREATE TEMP TABLE {table} ({', '.join(f'c{i} VARCHAR' for i in range(len(union)))})")
    parts: list[FileRows] = []
    bad: list[BadRow] = []
    counts: dict[str, int] = {}
    loaded = 0
    for place, names in zip(places, headings, strict=True):
        extra = {name: value for name, value in place.folders if name.casefold() not in {n.casefold() for n in names}}
        targets = [keys.index(name.casefold()) for name in [*names, *extra]]
        count = _insert(connection, opener, place, table, targets, list(extra.values()))
        left_out, unread = _left_out(connection, place, len(names))
        parts.append(FileRows(str(place.path), loaded, left_out))
        loaded += count
        for row in unread:
            counts[row.reason] = counts.get(row.reason, 0) + 1
        bad += unread[: FIRST_ROWS - len(bad)]
    escaped = any(place.escape for place in places)
    columns = [TableColumn(name, f"c{i}") for i, name in enumerate(union.values())]
    relation = f'(SELECT rowid AS "$n", FALSE AS "$lost", * FROM {table})'
    if escaped:
        listed = ", ".join(f"{_unescaped(f'c{i}')} AS c{i}" for i in range(len(columns)))
        relation = f'(SELECT rowid AS "$n", FALSE AS "$lost", {listed} FROM {table})'
    return FileTable(
        relation, tuple(columns), tuple(parts), loaded, tuple(counts.items()), tuple(bad), table, tuple(notes)
    )


def _unescaped(x: str) -> str:
    r"""SQL of a field in which `\n`, `\t`, `\\` and `\N` have their meaning."""
    steps = x
    for written, character in (
        ("\\\\", "\x01"),
        ("\\n", "\n"),
        ("\\t", "\t"),
        ("\\r", "\r"),
        ("\\0", ""),
        ("\x01", "\\"),
    ):
        steps = f"replace({steps}, {literal(written)}, {literal(character)})"
    return f"CASE WHEN {x} = '\\N' THEN NULL WHEN contains({x}, '\\') THEN {steps} ELSE {x} END"


_REGULAR = Text(
    "Check that the file is complete, and that quotes are doubled inside quoted values.",
    "请检查：文件须完整，引号内的引号须写成两个。",
)


def _insert(
    connection: "DuckDBPyConnection",
    opener: Opener,
    place: FilePlace,
    table: str,
    targets: Sequence[int],
    extra: Sequence[str],
) -> int:
    """Append one file; the number of rows that went in."""
    import duckdb

    width = len(targets) - len(extra)
    columns = ", ".join(f"'f{i}': 'VARCHAR'" for i in range(width))
    # With one column, a blank line looks like a missing value; with more, the reader passes it over itself.
    not_blank = " WHERE f0 IS NOT NULL" if width == 1 else ""
    more = "".join(f", {literal(value)}" for value in extra)
    quote = "quote = '', escape = ''" if place.escape else "quote = '\"', escape = '\"', allow_quoted_nulls = false"

    def read(text: Path) -> int:
        for leftover in ("csv_errors", "csv_scans"):
            connection.execute(f"DROP TABLE IF EXISTS {leftover}")
        done = one(
            connection,
            f"INSERT INTO {table} ({', '.join(f'c{i}' for i in targets)}) SELECT *{more} FROM read_csv({engine_path(text)}, "
            f"auto_detect = false, header = {str(place.has_header).lower()}, skip = {place.skip}, delim = {literal(place.separator)}, {quote}, "
            f"compression = 'none', hive_partitioning = false, columns = {{{columns}}}, store_rejects = true, rejects_limit = 0, rejects_table = 'csv_errors', "
            f"rejects_scan = 'csv_scans'){not_blank}",
        )
        return int(done[0])

    with reading(str(place.path), "CSV", _REGULAR):
        try:
            return read(place.text)
        except duckdb.InvalidInputException as error:
            if "state machine" not in str(error):
                raise
            return read(opener.one_line_end(place.text))  # lines end in more than one way


def _left_out(connection: "DuckDBPyConnection", place: FilePlace, width: int) -> tuple[tuple[int, ...], list[BadRow]]:
    """Numbers of the rows that could not be split, and what is the matter with each.

    The reader counts lines; the row number is exact as long as no value before it holds a line break.
    """
    found = rows(
        connection,
        "SELECT line, any_value(error_type), any_value(csv_line) FROM csv_errors GROUP BY line ORDER BY line",
    )
    above = place.skip + int(place.has_header)
    bad: list[BadRow] = []
    for line, kind, text in found:
        written = (text or "").rstrip("\r\n")
        if kind == "UNQUOTED VALUE" and "\n" in written:
            # Everything up to the next quote, often the rest of the file, is inside this one value: too much to skip.
            raise refuse(
                Text(
                    f"A quote opened in line {line} of {place.path} is never closed.",
                    f"{place.path} 第 {line} 行的引号没有闭合。",
                ),
                Text("Fix that line; double quotes inside quoted values.", "请修正该行；引号内的引号须写成两个。"),
            )
        reason = {
            "TOO MANY COLUMNS": "too_many_fields",
            "MISSING COLUMNS": "too_few_fields",
            "UNQUOTED VALUE": "open_quote",
        }.get(kind, "unreadable_row")
        if '\\"' in written and reason != "too_few_fields":
            reason = "open_quote"
        fields = _fields(written, place.separator)
        shown = (
            f"{fields} of {width}: {written.strip()}"
            if reason in ("too_few_fields", "too_many_fields")
            else written.strip()
        )
        bad.append(BadRow(file=str(place.path), row=line - above, reason=reason, value=shown[:_SHOWN]))
    return tuple(line - above for line, _, _ in found), bad


def _fields(line: str, separator: str) -> int:
    try:
        return len(next(csv.reader([line], delimiter=separator), []))
    except csv.Error:
        return line.count(separator) + 1


# JSON.


_PLACES = 1_000_000
"""More than any object has keys."""
_MOST_KEYS = 300
"""Different keys of one object inside a property; more are values rather than names, and the object stays JSON text."""
_DEPTH = 6
_SCALARS = {
    "$oid": "string",
    "$date": "string",
    "$uuid": "string",
    "$symbol": "string",
    "$numberInt": "number",
    "$numberLong": "number",
    "$numberDouble": "number",
    "$numberDecimal": "number",
}


@dataclass(slots=True)
class _Node:
    """A key at some depth: the kinds of its values, and its own keys where they are objects."""

    name: str
    path: tuple[str, ...]
    kinds: set[str] = field(default_factory=set)
    inner: list["_Node"] = field(default_factory=list)


def stage_lines(
    connection: "DuckDBPyConnection", places: Sequence[FilePlace], table: str
) -> tuple[tuple[FileRows, ...], int]:
    """Read the objects of files, in order, into `table(json)`; NULL where a line is no object. Of a key given twice the last counts."""
    connection.execute(f"CREATE TEMP TABLE {table} (json JSON)")
    parts: list[FileRows] = []
    loaded = 0
    for place in places:
        with reading(str(place.path), "JSON"):
            done = one(
                connection,
                f"INSERT INTO {table} SELECT CASE WHEN json_type(json) = 'OBJECT' THEN json END FROM "
                f"read_ndjson_objects({engine_path(place.text)}, ignore_errors = true, compression = 'uncompressed', maximum_object_size = 67108864)",
            )
        parts.append(FileRows(str(place.path), loaded))
        loaded += int(done[0])
    return tuple(parts), loaded


def last_of_doubled(connection: "DuckDBPyConnection", table: str, json_sql: str = "json") -> int:
    """Rewrite the objects that give a key twice, so that the last value counts, as JSON parsers do; how many there are."""
    doubled = rows(
        connection,
        f"SELECT rowid, json FROM {table} WHERE len(json_keys({json_sql})) <> len(list_distinct(json_keys({json_sql})))",
    )
    for rowid, text in doubled:
        connection.execute(
            f"UPDATE {table} SET json = ? WHERE rowid = {int(rowid)}",
            [json.dumps(json.loads(text), ensure_ascii=False)],
        )
    return len(doubled)


def _stage_json(connection: "DuckDBPyConnection", places: Sequence[FilePlace], table: str) -> FileTable:
    lines = f"{table}_lines"
    parts, loaded = stage_lines(connection, places, lines)
    lost = int(one(connection, f"SELECT count(*) FROM {lines} WHERE json IS NULL")[0])
    if lost == loaded:
        raise refuse(
            Text(f"No line of {places[0].path} is a JSON object.", f"{places[0].path} 中没有一行是 JSON 对象。"),
            Text("Write one object on each line, or one list of objects.", "请每行写一个对象，或写成一个对象列表。"),
        )
    notes: list[Text] = []
    if doubled := last_of_doubled(connection, lines):
        notes.append(
            Text(
                f"{doubled:,} objects give a key twice; the last value counts",
                f"{doubled:,} 个对象重复给出同一键，以最后的值为准",
            )
        )
    columns, more = spread(connection, lines, table, 'rowid AS "$n", json IS NULL AS "$lost"', str(places[0].path))
    connection.execute(f"DROP TABLE {lines}")
    return FileTable(table, columns, parts, loaded, table=table, notes=(*notes, *more), lost=lost)


def spread(
    connection: "DuckDBPyConnection", lines: str, table: str, head: str, source: str, *, groups: bool = False
) -> tuple[tuple[TableColumn, ...], tuple[Text, ...]]:
    """Make `table` with the expressions `head` and a column for every key of the objects in the table `lines(json)`.

    `groups`: a list of objects becomes a list for each of their keys, as the vendor shows object groups.
    """
    root = _Node("", ())
    _grow(connection, lines, root, "json")
    leaves = [leaf for node in root.inner for leaf in _leaves(node)]
    listed = "".join(f", {_field('object', leaf.path)} AS c{i}" for i, leaf in enumerate(leaves))
    shaped = f"json_transform(json, {literal(_shape(root))})" if leaves else "NULL"
    connection.execute(
        f"CREATE TEMP TABLE {table} AS SELECT * EXCLUDE (object){listed} FROM (SELECT {head}, {shaped} AS object FROM {lines})"
    )
    names, more = _distinct([leaf.name for leaf in leaves], source)
    columns: list[TableColumn] = []
    for i, (leaf, name) in enumerate(zip(leaves, names, strict=True)):
        named = replace_name(leaf, name)
        parts = _group_columns(connection, table, f"c{i}", named) if groups and leaf.kinds == {"list"} else []
        columns += parts or _json_columns(connection, table, f"c{i}", named)
    return tuple(columns), tuple(more)


def _group_columns(connection: "DuckDBPyConnection", relation: str, x: str, node: _Node) -> list[TableColumn]:
    """A group of objects as lists, one for each key of its objects; none where the items are no objects."""
    keys = rows(
        connection,
        f"SELECT key FROM (SELECT unnest(json_keys(item)) AS key FROM (SELECT unnest(json_extract({x}, '$[*]')) AS item FROM {relation}) "
        f"WHERE json_type(item) = 'OBJECT') GROUP BY key ORDER BY key LIMIT {_MOST_KEYS}",
    )
    note = Text(
        "a group of objects: one list for each of their properties, so that it is no longer known which values belong together",
        "对象组：每个子属性各成一个列表，元素之间的对应关系不再保留",
    )
    columns = []
    for (key,) in keys:
        item = f"json_extract_string(item, {literal(_pointer(key))})"
        values = f"list_filter(list_transform(json_extract({x}, '$[*]'), lambda item: {item}), lambda value: value IS NOT NULL)"
        columns.append(
            TableColumn(
                f"{node.name}.{key}",
                f"CASE WHEN {x} IS NOT NULL THEN CAST(to_json({values}) AS VARCHAR) END",
                forms=(JSON_LIST,),
                note=note,
            )
        )
    return columns


def replace_name(node: _Node, name: str) -> _Node:
    return _Node(name, node.path, node.kinds, node.inner)


_KINDS = {
    "string": "{x}[1] = '\"'",
    "bool": "{x}[1] IN ('t', 'f')",
    "object": "{x}[1] = '{{'",
    "list": "{x}[1] = '['",
    "number": "{x}[1] NOT IN ('\"', 't', 'f', '{{', '[', 'n')",
}
_BATCH = 50


def _grow(connection: "DuckDBPyConnection", relation: str, node: _Node, value: str) -> None:
    """Give a node its keys, in order of first appearance, and those their kinds and keys."""
    found = rows(
        connection,
        "SELECT key FROM (SELECT unnest(keys) AS key, unnest(range(len(keys))) AS place, n "
        f"FROM (SELECT json_keys({value}) AS keys, rowid AS n FROM {relation})) "
        f"GROUP BY key ORDER BY min(n * {_PLACES} + place) LIMIT {MOST_COLUMNS + 1}",
    )
    keys = [row[0] for row in found]
    _check_keys(keys)
    prefix = f"{node.name}." if node.name else ""
    node.inner = [_Node(prefix + key, (*node.path, key)) for key in keys]
    for start in range(0, len(node.inner), _BATCH):
        batch = node.inner[start : start + _BATCH]
        shape = json.dumps({each.path[-1]: "JSON" for each in batch})
        sql = ", ".join(
            f"coalesce(bool_or({test.format(x=f'k{i}')}), FALSE)" for i in range(len(batch)) for test in _KINDS.values()
        )
        fields = ", ".join(
            f"CAST(struct_extract(o, {literal(each.path[-1])}) AS VARCHAR) AS k{i}" for i, each in enumerate(batch)
        )
        row = iter(
            one(
                connection,
                f"SELECT {sql} FROM (SELECT {fields} FROM (SELECT json_transform({value}, {literal(shape)}) AS o FROM {relation}))",
            )
        )
        for each in batch:
            each.kinds = {kind for kind in _KINDS if next(row)}
    for each in node.inner:
        if each.kinds == {"object"} and len(each.path) < _DEPTH:
            _grow(connection, relation, each, f"json_extract({value}, {literal(_pointer(each.path[-1]))})")
            if len(each.inner) > _MOST_KEYS or all(inner.path[-1] in _SCALARS for inner in each.inner):
                each.inner = [] if len(each.inner) > _MOST_KEYS else each.inner


def _check_keys(keys: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    for key in keys:
        if key.casefold() in seen:
            first = seen[key.casefold()]
            raise refuse(
                Text(
                    f"The objects have two columns that are one name: {first!r} and {key!r}. Names of properties ignore case.",
                    f"对象中有两个同名的键：{first!r} 与 {key!r}。属性名不区分大小写。",
                ),
                Text("Rename one of them.", "请重命名其中一个。"),
            )
        seen[key.casefold()] = key


def _pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _extended(node: _Node) -> bool:
    return node.kinds == {"object"} and bool(node.inner) and all(inner.path[-1] in _SCALARS for inner in node.inner)


def _leaves(node: _Node) -> Iterable[_Node]:
    if node.kinds == {"object"} and node.inner and not _extended(node):
        for inner in node.inner:
            yield from _leaves(inner)
    else:
        yield node


def _shape(root: _Node) -> str:
    def shape(node: _Node) -> object:
        if node.kinds == {"object"} and node.inner and not _extended(node):
            return {inner.path[-1]: shape(inner) for inner in node.inner}
        return "JSON"

    return json.dumps({node.path[-1]: shape(node) for node in root.inner})


def _field(struct: str, path: Sequence[str]) -> str:
    for key in path:
        struct = f"struct_extract({struct}, {literal(key)})"
    return struct


def _json_columns(connection: "DuckDBPyConnection", relation: str, x: str, node: _Node) -> list[TableColumn]:
    """The columns that one key becomes: one, or of pairs one for each of their keys."""
    text = f"({x} ->> '$')"
    if _extended(node):
        keys = [inner.path[-1] for inner in node.inner]
        inner = ", ".join(
            f"coalesce(json_extract_string({x}, {literal('/$date/$numberLong')}), json_extract_string({x}, '/$date'))"
            if key == "$date"
            else f"json_extract_string({x}, {literal(_pointer(key))})"
            for key in keys
        )
        numbers = all(_SCALARS[key] == "number" for key in keys)
        from mcp_server.sources.forms import EPOCHS

        return [
            TableColumn(
                node.name,
                f"coalesce({inner})",
                forms=(WHOLE, DOUBLE) if numbers else (*STRINGS, *(EPOCHS if "$date" in keys else ())),
                strings=not numbers,
            )
        ]
    if node.kinds == {"list"}:
        return _list_columns(connection, relation, x, node)
    if node.kinds == {"number"}:
        return [TableColumn(node.name, f"CAST({x} AS VARCHAR)", forms=(WHOLE, DOUBLE))]
    if node.kinds == {"bool"}:
        return [TableColumn(node.name, f"CAST({x} AS VARCHAR)", forms=(BOOL,))]
    if node.kinds == {"string"}:
        return [TableColumn(node.name, text, forms=STRINGS, strings=True)]
    if not node.kinds or (node.kinds == {"object"} and not node.inner):
        return [
            TableColumn(
                node.name,
                f"CASE WHEN CAST({x} AS VARCHAR) NOT IN ('{{}}', 'null') THEN {text} END",
                forms=(),
                objects=bool(node.kinds),
            )
        ]
    words = " / ".join(sorted(node.kinds))
    note = Text(
        f"read as text: it holds values of several kinds ({words})", f"按文本读取：其中混有多种类型的值（{words}）"
    )
    return [TableColumn(node.name, text, forms=(), note=note, strings=True)]


def _list_columns(connection: "DuckDBPyConnection", relation: str, x: str, node: _Node) -> list[TableColumn]:
    items, nested, pairs, others = one(
        connection,
        "SELECT count(*), count(CASE WHEN json_type(item) IN ('OBJECT', 'ARRAY') THEN 1 END), "
        "count(CASE WHEN json_type(item) = 'OBJECT' AND json_exists(item, '$.key') AND json_exists(item, '$.value') THEN 1 END), "
        "count(CASE WHEN json_type(item) NOT IN ('VARCHAR', 'NULL', 'OBJECT', 'ARRAY') THEN 1 END) "
        f"FROM (SELECT unnest(json_extract({x}, '$[*]')) AS item FROM {relation})",
    )
    text = f"CAST({x} AS VARCHAR)"
    if items and pairs == items:
        return _pair_columns(connection, relation, x, node.name)
    if nested:
        note = Text("lists of objects are kept as JSON text", "对象列表按 JSON 文本保留")
        return [TableColumn(node.name, text, forms=(), note=note, objects=True)]
    plain = (
        Text(f"{others:,} items that are no strings are read as their text", f"{others:,} 个非字符串元素按文本读取")
        if others
        else None
    )
    return [TableColumn(node.name, text, forms=(JSON_LIST,), note=plain, void=not items)]


def _pair_columns(connection: "DuckDBPyConnection", relation: str, x: str, name: str) -> list[TableColumn]:
    """A column for each key of a list of `{"key": …, "value": …}`; a typed value (`int_value` and the like) is its one value."""
    item = f"(SELECT rowid AS n, unnest(json_extract({x}, '$[*]')) AS item FROM {relation})"
    value = "json_extract(item, '$.value')"
    typed = f"coalesce({', '.join(f'''json_extract_string({value}, '$.{kind}_value')''' for kind in ('string', 'int', 'double', 'float'))}, CASE WHEN json_type({value}) <> 'OBJECT' THEN json_extract_string({value}, '$') END)"
    texts = f"json_extract_string({value}, '$.string_value') IS NOT NULL OR json_type({value}) = 'VARCHAR'"
    found = rows(
        connection,
        f"SELECT item ->> '$.key' AS key, bool_or({texts}) FROM {item} GROUP BY key ORDER BY min(n), key LIMIT {_MOST_KEYS}",
    )
    columns = []
    for key, strings in found:
        if key is None:
            continue
        picked = f"list_filter(json_extract({x}, '$[*]'), lambda item: (item ->> '$.key') = {literal(key)})[1]"
        columns.append(
            TableColumn(
                f"{name}.{key}",
                f"list_transform([{picked}], lambda item: {typed})[1]",
                forms=STRINGS if strings else (WHOLE, DOUBLE),
                pairs=name,
                strings=bool(strings),
            )
        )
    return columns


# Parquet: a view over the files; nothing is copied.


_TAKEN = frozenset({"file_row_number", "file_index", "filename"})


def _stage_parquet(connection: "DuckDBPyConnection", places: Sequence[FilePlace], table: str) -> FileTable:
    paths = [place.path for place in places]
    folders = list(dict.fromkeys(name for place in places for name, _ in place.folders))
    source_name = str(paths[0]) if len(paths) == 1 else str(paths[0].parent)
    with reading(source_name, "Parquet"):
        own = [_own_columns(connection, path) for path in paths]
        counts = [
            int(one(connection, f"SELECT num_rows FROM parquet_file_metadata({engine_path(path)})")[0])
            for path in paths
        ]
        inside = {name.casefold() for columns in own for name in columns}
        hidden = [name for name in folders if name.casefold() in inside]
        kept = [name for name in folders if name not in hidden]
        hive = "hive_partitioning = false"
        if kept and not hidden:
            types = ", ".join(f"{identifier(name)}: VARCHAR" for name in kept)
            hive = f"hive_partitioning = true, hive_types = {{{types}}}"
        source = f"read_parquet([{', '.join(map(engine_path, paths))}], union_by_name = true, {hive})"
        described = rows(connection, f"DESCRIBE SELECT * FROM {source}")
    notes = [
        Text(
            f"{name} in the names of folders is also a column; the column counts",
            f"文件夹名中的 {name} 与列同名，以列为准",
        )
        for name in hidden
    ]
    names, more = _distinct([row[0] for row in described], source_name)
    for name in names:
        if name.casefold() in _TAKEN:
            raise refuse(
                Text(
                    f"A column of {source_name} is called {name!r}, a name that the engine needs.",
                    f"{source_name} 有一列名为 {name!r}，引擎需使用该名称。",
                ),
                Text("Rename the column.", "请重命名该列。"),
            )
    firsts = [sum(counts[:i]) for i in range(len(counts))]
    offsets = f"list_extract({firsts}, CAST(file_index AS BIGINT) + 1)" if len(paths) > 1 else "0"
    listed = "".join(f", {identifier(row[0])} AS c{i}" for i, row in enumerate(described))
    connection.execute(
        f'CREATE TEMP VIEW {table} AS SELECT CAST(file_row_number + {offsets} AS BIGINT) AS "$n", FALSE AS "$lost"{listed} FROM {source}'
    )
    columns: list[TableColumn] = []
    changing = _changing(own)
    for i, (row, name) in enumerate(zip(described, names, strict=True)):
        note = changing.get(row[0])
        if note is not None:
            note = Text(f"{note.en}; read as {row[1]}", f"{note.zh}，按 {row[1]} 读取")
        columns += _engine_columns(connection, f"c{i}", name, row[1], note)
    return FileTable(
        table,
        tuple(columns),
        tuple(FileRows(str(path), first) for path, first in zip(paths, firsts, strict=True)),
        sum(counts),
        notes=(*notes, *more),
    )


def _own_columns(connection: "DuckDBPyConnection", path: Path) -> dict[str, str]:
    """Names and types of one file's own columns; those inside a struct or a list are passed over."""
    nodes = rows(connection, f"SELECT name, num_children, duckdb_type FROM parquet_schema({engine_path(path)})")
    found: dict[str, str] = {}
    below = 0
    for name, children, kind in nodes[1:]:
        if below == 0:
            found[name] = kind or "nested"
        else:
            below -= 1
        below += children or 0
    return found


def _changing(files: Sequence[dict[str, str]]) -> dict[str, Text]:
    """Columns whose type differs between the files."""
    notes: dict[str, Text] = {}
    for name in dict.fromkeys(name for file in files for name in file):
        kinds = sorted({_family(file[name]) for file in files if name in file})
        if len(kinds) > 1:
            words = " / ".join(kinds)
            notes[name] = Text(f"its type differs between the files ({words})", f"各文件中的类型不一致（{words}）")
    return notes


def _family(kind: str) -> str:
    """Types that hold each other's values exactly count as one."""
    return "integer" if kind.endswith("INT") or kind == "INTEGER" else kind.split("(", maxsplit=1)[0].lower()


def _engine_columns(
    connection: "DuckDBPyConnection", x: str, name: str, kind: str, note: Text | None = None
) -> list[TableColumn]:
    """A column of the engine's type as properties: structs flattened, what has no form of its own as text."""
    if kind.startswith("STRUCT("):
        fields = rows(connection, f"DESCRIBE SELECT unnest(CAST(NULL AS {kind}))")
        inner: list[TableColumn] = []
        for field_name, field_kind, *_ in fields:
            inner += _engine_columns(
                connection, f"struct_extract({x}, {literal(field_name)})", f"{name}.{field_name}", field_kind
            )
        return inner
    if kind == "VARCHAR" or kind.startswith("ENUM("):
        return [
            TableColumn(
                name, f"CAST({x} AS VARCHAR)", kind="VARCHAR" if kind == "VARCHAR" else "ENUM", forms=(), note=note
            )
        ]
    if kind == "BLOB":
        left = Text("binary values are left out", "二进制值不加载")
        return [TableColumn(name, x, kind="BLOB", forms=(), note=left, binary=True)]
    if kind.endswith("[]"):
        inner_kind = kind.removesuffix("[]")
        if inner_kind.startswith(("STRUCT(", "MAP(")) or inner_kind.endswith("[]"):
            return [
                TableColumn(
                    name,
                    f"CAST(to_json({x}) AS VARCHAR)",
                    forms=(),
                    objects=True,
                    note=Text("lists of objects are kept as JSON text", "对象列表按 JSON 文本保留"),
                )
            ]
        return [
            TableColumn(
                name, x if kind == "VARCHAR[]" else f"CAST({x} AS VARCHAR[])", kind="VARCHAR[]", forms=(), note=note
            )
        ]
    if kind.startswith(("MAP(", "UNION(")):
        return [TableColumn(name, f"CAST(to_json({x}) AS VARCHAR)", forms=(), objects=True)]
    if kind in ("UUID", "TIME", "TIME WITH TIME ZONE", "INTERVAL", "BIT", "TIME_NS", "JSON"):
        return [TableColumn(name, f"CAST({x} AS VARCHAR)", kind="OTHER", forms=(), note=note)]
    return [TableColumn(name, x, kind=kind, forms=(), note=note)]


def engine_reading(
    connection: "DuckDBPyConnection", table: FileTable, column: TableColumn, source: str
) -> ColumnReading:
    """How a column of the engine's type is read."""
    kind = "VARCHAR" if column.kind in ("ENUM", "OTHER") else column.kind
    return ColumnReader(connection, table.relation, source).column(column.x, SourceColumn(column.name, kind))
