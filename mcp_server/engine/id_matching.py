"""Uploaded ids against the user table: read, matched and counted in the engine (qp.md section 7).

The rows are grouped by id while they are read, and the groups joined with the users once; everything that is counted comes
from these two tables. Only the users go to a file; at most a few ids that match nobody leave the engine as text.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mcp_server.engine.connection import one, rows
from mcp_server.engine.dialect import Tables
from mcp_server.engine.duck import Control, DataFile, Engine
from mcp_server.engine.id_files import IdFile
from mcp_server.engine.id_rows import Swallowed, rewritten
from mcp_server.engine.quoting import identifier, literal
from mcp_server.engine.report import refuse_ids
from mcp_server.qp.metadata import Property
from mcp_server.qp.problems import finding

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SHOWN_IDS: Final = 5
"""Ids that match nobody and are shown; a list of people must not be spread."""
_PROBED: Final = 1000
"""Ids that are looked for in other properties when none matches."""
_LONGEST_LINE: Final = 2 << 20
_BUFFER: Final = 8 << 20
"""The engine splits a file into pieces of this size, one to a thread at a time."""
BLANKS: Final = " \t\r\n\v\f\x00\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u202f\u205f\u3000\ufeff"
_PARQUET: Final = "FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd"
DELIMITERS: Final = {";": ";", "\t": "tab", "|": "|", "\uff0c": "\uff0c"}
"""What people write instead of a comma, and how it is shown."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the ids are values of, and whether they come with values of a tag."""

    column: Property
    tag: bool


@dataclass(frozen=True, slots=True)
class IdCounts:
    """What a file of ids holds and whom it selects."""

    rows: int
    """Rows that are not blank."""
    distinct: int
    """Different ids."""
    users: int
    """Users selected; of a tag, users who get a value."""
    unmatched: int
    """Rows whose id no user has."""
    unmatched_ids: int
    no_value: int
    """Rows of a tag without a value."""
    more_columns: int
    conflicts: int
    """Ids that stand there with different values."""
    matched_users: int
    """Users who have one of the ids, with or without a value."""
    examples: tuple[str, ...] = ()
    first: str = ""
    """The first id, where no user has it."""
    delimiters: tuple[tuple[str, int], ...] = ()
    """Other delimiters that stand in unmatched ids, with how many."""
    rounded: tuple[str, int] = ("", 0)
    """Unmatched ids that a spreadsheet has shortened: one of them, and how many."""
    zero_bytes: int = 0
    elsewhere: str = ""
    """Where no id matches: the user property that has most of them."""
    swallowed: Swallowed = field(default_factory=Swallowed)


class Share:
    """A control whose reports count within one stage of the work, from one percentage of the whole to another."""

    def __init__(self, control: Control, low: float = 0.0, high: float = 100.0) -> None:
        self._control = control
        self._low, self._high = low, high

    def stage(self, low: float, high: float) -> None:
        self._low, self._high = low, high
        self.report(0)

    @property
    def interrupted(self) -> bool:
        return self._control.interrupted

    def report(self, percent: float) -> None:
        self._control.report(self._low + (self._high - self._low) * percent / 100)

    def on_interrupt(self, callback: Callable[[], None]) -> None:
        self._control.on_interrupt(callback)


def match_ids(
    engine: Engine,
    data: DataFile,
    file: IdFile,
    wanted: Wanted,
    *,
    others: tuple[Property, ...],
    temp: Callable[[str], Path],
    control: Control,
) -> tuple[IdCounts, Path]:
    """Count, and write the selected users to a Parquet file (`user_id`, of a tag also `value`).

    `others` are the properties in which ids are looked for that match nobody. InvalidArguments where the file cannot
    be split into rows or holds no id.
    """
    stages = Share(control)
    out = temp(".parquet")

    def work(own: "DuckDBPyConnection", tables: Tables) -> IdCounts:
        swallowed = _read(own, file, wanted, temp, stages)
        stages.stage(60, 90)
        own.execute(_found_sql(tables, wanted))
        counts = _counted(own, tables, wanted, others, swallowed)
        stages.stage(90, 99)
        chosen = "value IS NOT NULL" if wanted.tag else "TRUE"
        columns = "user_id, value" if wanted.tag else "user_id"
        own.execute(
            f"COPY (SELECT {columns} FROM found WHERE user_id IS NOT NULL AND {chosen}) TO {literal(str(out))} ({_PARQUET})"
        )
        return counts

    return engine.ask(data, work, stages), out


# reading


def _read(
    own: "DuckDBPyConnection", file: IdFile, wanted: Wanted, temp: Callable[[str], Path], stages: Share
) -> Swallowed:
    """Read the rows into the table `ids`, one row for each different id, and the first id into `first_id`."""
    import duckdb

    stages.stage(0, 60)
    try:
        _group(own, _plain(file.path, quote='"' if file.quoted else ""), wanted, file)
        if not file.quoted or not one(own, f"SELECT count(*) FROM ids WHERE over_lines OR {_BREAK.format('id')}")[0]:
            return Swallowed()
    except duckdb.Error as error:
        if "CSV Error" not in str(error):  # what it says of the file has no class of its own
            raise
        if not file.quoted:
            raise refuse_ids([finding("ids_line", "/path", most=_LONGEST_LINE >> 20)]) from error
    careful = temp(".csv")
    swallowed = rewritten(file.path, careful, stages)
    _group(own, _rewritten(careful), wanted, replace(file, odd_blanks=True))  # a value may be nothing but a line break
    return swallowed


def _group(own: "DuckDBPyConnection", source: str, wanted: Wanted, file: IdFile) -> None:
    text = f"coalesce(trim(c1{f', {literal(BLANKS)}' if file.odd_blanks else ''}), '')"
    key = _key(text, wanted.column)
    own.execute(
        f"CREATE OR REPLACE TEMP TABLE ids AS {_ids_sql(source, text, key, tag=wanted.tag, quoted=file.quoted)}"
    )
    own.execute(f"CREATE OR REPLACE TEMP TABLE first_id AS SELECT {key} AS id FROM {source} WHERE {text} <> '' LIMIT 1")


_SPLIT = (
    "header = false, auto_detect = false, columns = {'c1': 'VARCHAR', 'c2': 'VARCHAR', 'c3': 'VARCHAR'}, delim = ','"
)


def _plain(path: Path, *, quote: str) -> str:
    """A file as it came. Without quotes nothing can go wrong but the length of a line."""
    mark = literal(quote)
    return (
        f"read_csv({literal(str(path))}, {_SPLIT}, quote = {mark}, escape = {mark}, null_padding = true,"
        f" strict_mode = {'true' if quote else 'false'}, max_line_size = {_LONGEST_LINE}, buffer_size = {_BUFFER})"
    )


def _rewritten(path: Path) -> str:
    return f"read_csv({literal(str(path))}, {_SPLIT}, quote = '\"', escape = '\"', max_line_size = {_LONGEST_LINE}, buffer_size = {_BUFFER})"


_VALUE: Final = "nullif(c2, '')"
_BREAK: Final = "contains({0}, chr(10)) OR contains({0}, chr(13))"


def _ids_sql(source: str, text: str, key: str, *, tag: bool, quoted: bool) -> str:
    """The rows that are not blank, by id; of a tag with the last value that stands there."""
    columns = ["count(*) AS rows", f"count({'c3' if tag else 'c2'}) AS more"]
    if tag:
        source = f"(SELECT *, row_number() OVER () AS n FROM {source})"
        columns += [
            f"arg_max({_VALUE}, n) AS value",
            f"count({_VALUE}) AS valued",
            f"coalesce(min({_VALUE}) <> max({_VALUE}), FALSE) AS conflict",
        ]
    else:
        columns += ["NULL AS value", "0 AS valued", "FALSE AS conflict"]
    if quoted:
        columns.append(f"coalesce(bool_or({_BREAK.format('c2')}), FALSE) AS over_lines")
    where = f"{text} <> '' OR {_VALUE} IS NOT NULL"
    return f"SELECT {key} AS id, {', '.join(columns)} FROM {source} WHERE {where} GROUP BY 1"


def _key(text: str, column: Property) -> str:
    """The id in the one way in which a value of the column is written; what is no such number stays as it is."""
    if column.type != "number":
        return text
    if column.scale is None:
        number, kind = r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?", "DOUBLE"
    else:
        places = f"[0-9]{{0,{column.scale}}}" if column.scale else ""
        number, kind = rf"[+-]?[0-9]+(\.{places}0*)?", f"DECIMAL(38, {column.scale})"
    written = f"CAST(TRY_CAST({text} AS {kind}) AS VARCHAR)"
    return f"CASE WHEN regexp_full_match({text}, {literal(number)}) THEN coalesce({written}, {text}) ELSE {text} END"


def _of_user(column: Property) -> str:
    name = f"u.{identifier(column.name)}"
    if column.type != "number":
        return name
    return f"CAST(CAST({name} AS {'DOUBLE' if column.scale is None else f'DECIMAL(38, {column.scale})'}) AS VARCHAR)"


# matching


def _found_sql(tables: Tables, wanted: Wanted) -> str:
    """The table `found`: a row for each user who has one of the ids, and one for each id that nobody has."""
    user = f"u.{identifier('#user_id')}"
    return (
        f"CREATE TEMP TABLE found AS SELECT {user} AS user_id, i.value,"
        f" CASE WHEN {user} IS NULL THEN i.rows END AS rows, CASE WHEN {user} IS NULL THEN i.id END AS id"
        f" FROM ids AS i LEFT JOIN {tables.users} AS u ON {_of_user(wanted.column)} = i.id"
    )


def _counted(
    own: "DuckDBPyConnection",
    tables: Tables,
    wanted: Wanted,
    others: tuple[Property, ...],
    swallowed: Swallowed,
) -> IdCounts:
    in_all, distinct, valued, more, conflicts = one(
        own,
        "SELECT coalesce(sum(rows), 0)::BIGINT, count(*), coalesce(sum(valued), 0)::BIGINT,"
        " coalesce(sum(more), 0)::BIGINT, count(*) FILTER (conflict) FROM ids",
    )
    if not in_all:
        raise refuse_ids([finding("ids_empty", "/path")])
    matched, with_value, unmatched, unmatched_ids = one(
        own,
        "SELECT count(user_id), count(value) FILTER (user_id IS NOT NULL), coalesce(sum(rows), 0)::BIGINT, count(id)"
        " FROM found",
    )
    return IdCounts(
        rows=in_all,
        distinct=distinct,
        users=with_value if wanted.tag else matched,
        unmatched=unmatched,
        unmatched_ids=unmatched_ids,
        no_value=in_all - valued if wanted.tag else 0,
        more_columns=more,
        conflicts=conflicts,
        matched_users=matched,
        examples=tuple(r[0] for r in rows(own, f"SELECT id FROM found WHERE id <> '' ORDER BY id LIMIT {SHOWN_IDS}")),
        elsewhere="" if matched else _elsewhere(own, tables, others),
        swallowed=swallowed,
        **(_looked_at(own) if unmatched else {}),
    )


def _looked_at(own: "DuckDBPyConnection") -> dict[str, Any]:
    """What the ids look like that nobody has."""
    marks = ", ".join(f"count(*) FILTER (contains(id, {literal(mark)}))" for mark in DELIMITERS)
    found = one(
        own,
        f"SELECT count(*) FILTER (contains(id, chr(0))), count(*) FILTER ({_ROUNDED}), min(id) FILTER ({_ROUNDED}), {marks}"
        " FROM found WHERE id IS NOT NULL",
    )
    first = own.execute("SELECT f.id FROM found AS f WHERE f.id = (SELECT id FROM first_id)").fetchone()
    return {
        "first": first[0] if first else "",
        "zero_bytes": found[0],
        "rounded": (found[2] or "", found[1]),
        "delimiters": tuple((shown, n) for shown, n in zip(DELIMITERS.values(), found[3:], strict=True) if n),
    }


_ROUNDED: Final = "contains(id, 'E+') AND regexp_full_match(id, '[0-9][.][0-9]+E[+][0-9]+')"


def _elsewhere(own: "DuckDBPyConnection", tables: Tables, others: tuple[Property, ...]) -> str:
    """The property that has most of the first ids; "" where none has any."""
    sample = f"(SELECT id FROM ids WHERE id <> '' LIMIT {_PROBED})"
    hits = {
        column.name: one(own, f"SELECT count(*) FROM {tables.users} AS u WHERE {_of_user(column)} IN {sample}")[0]
        for column in others
    }
    best = max(hits, key=lambda name: hits[name], default="")
    return best if best and hits[best] else ""
