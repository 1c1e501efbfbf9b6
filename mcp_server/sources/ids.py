"""A file of ids: read into a private copy in plain UTF-8, and matched with the users of a project (qp.md section 7)."""

import codecs
import csv
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from mcp_server.engines.base import Control, DataFile, Progress, StageControl
from mcp_server.engines.dialect import Tables, identifier, literal
from mcp_server.engines.duckdb.connection import PARQUET, one, rows
from mcp_server.engines.duckdb.engine import Engine
from mcp_server.errors import Interrupted, Problem
from mcp_server.language.metadata import Metadata, Property
from mcp_server.language.problems import finding
from mcp_server.sources.forms import PHONE_NAME
from mcp_server.sources.report import refuse_ids
from mcp_server.text import Text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


# From an opened file of ids to a private copy in plain UTF-8
#
# A byte-order mark decides the encoding; without one, zero bytes in every other place mean UTF-16, strict UTF-8 is
# UTF-8, and the rest is GB18030 (which includes GBK) or refused.

PATH = "/path"
CHUNK: Final = 1 << 20
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_BINARY: Final = {
    b"PK\x03\x04": Text("an Excel workbook or a ZIP archive", "Excel 工作簿或 ZIP 压缩包"),
    b"\xd0\xcf\x11\xe0": Text("an old Excel workbook", "旧版 Excel 工作簿"),
    b"PAR1": Text("a Parquet file", "Parquet 文件"),
    b"\x1f\x8b": Text("a gzip archive", "gzip 压缩文件"),
    b"%PDF": Text("a PDF document", "PDF 文档"),
}
"""How other files begin that people send as CSV."""
_ODD = b"\t"


@dataclass(frozen=True, slots=True)
class IdFile:
    """The private copy, and what its bytes show."""

    path: Path
    encoding: str
    """`utf-8`, `utf-8-bom`, `utf-16-le`, `utf-16-be` or `gbk`."""
    content_hash: str
    """Of the text as UTF-8 without a byte-order mark: the same in every encoding."""
    quoted: bool
    """It has a quotation mark."""
    odd_blanks: bool
    """It may hold blanks other than the space, which cost more to strip."""


def private_copy(source: IO[bytes], size: int, temp: Callable[[str], Path], control: Progress) -> IdFile:
    """Copy an opened file of ids as UTF-8. `temp` gives paths for the copy; progress counts to 100.

    Raises InvalidArguments for what is no text, Interrupted, and OSError where the disk is full.
    """
    start = source.read(CHUNK)
    for mark, what in _BINARY.items():
        if start.startswith(mark):
            raise refuse_ids([finding("ids_not_text", PATH, expected=what)])
    encoding = _marked(start)
    if not encoding:
        try:
            return _written(_as_utf8(_chunks(source, size, control)), "utf-8", temp(".csv"))
        except UnicodeDecodeError:
            encoding = "gbk"
    codec = "gb18030" if encoding == "gbk" else encoding.removesuffix("-bom")
    skip = len(_UTF8_MARK) if encoding == "utf-8-bom" else 2 if _has_utf16_mark(start) else 0
    return _written(_decoded(_chunks(source, size, control, skip), codec), encoding, temp(".csv"))


def _marked(start: bytes) -> str:
    """Return the encoding that the first bytes show for sure; "" where they do not."""
    if start.startswith(_UTF8_MARK):
        return "utf-8-bom"
    if _has_utf16_mark(start):
        return "utf-16-le" if start.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
    pairs = len(start) // 2
    odd, even = start[1 : 2 * pairs : 2].count(0), start[0 : 2 * pairs : 2].count(0)
    if pairs and max(odd, even) > 0.4 * pairs and not min(odd, even):
        return "utf-16-le" if odd else "utf-16-be"
    return ""


def _has_utf16_mark(start: bytes) -> bool:
    return start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))


def _chunks(source: IO[bytes], size: int, control: Progress, skip: int = 0) -> Iterator[bytes]:
    """Yield the file from `skip` on, with progress."""
    source.seek(skip)
    done = skip
    while chunk := source.read(CHUNK):
        if control.interrupted:
            raise Interrupted(_STOPPED)
        yield chunk
        done += len(chunk)
        control.report(100 * min(1.0, done / max(size, 1)))


_STOPPED = Text("The import was stopped; nothing was saved.", "导入已中止；未保存任何内容。")


def _as_utf8(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the bytes as they are; UnicodeDecodeError once they are not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for chunk in chunks:
        decoder.decode(chunk)
        yield chunk
    decoder.decode(b"", final=True)


def _decoded(chunks: Iterator[bytes], codec: str) -> Iterator[bytes]:
    """Yield the text as UTF-8. InvalidArguments with the line where it is not in this encoding."""
    decoder = codecs.getincrementaldecoder(codec)()
    lines = 1
    last = b""
    try:
        for chunk in chunks:
            last = chunk
            text = decoder.decode(chunk)
            lines += text.count("\n")
            yield text.encode()
        last = b""
        yield decoder.decode(b"", final=True).encode()
    except UnicodeDecodeError as error:
        lines += last[: max(error.start, 0)].count(b"\n") if codec in ("gb18030", "utf-8") else 0
        raise refuse_ids([finding("ids_encoding", PATH, line=lines)]) from None


def _settled(chunks: Iterator[bytes], update: Callable[[bytes], None]) -> Iterator[bytes]:
    """Yield the text with lines that end in LF: of mixed ends, the engine drops the first character after a lone CR.

    The hash is of the text as it was.
    """
    held = b""
    for chunk in chunks:
        update(chunk)
        text = held + chunk
        held = b"\r" if text.endswith(b"\r") else b""  # a LF may follow in the next chunk
        yield text.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if held:
        yield b"\n"


def _written(chunks: Iterator[bytes], encoding: str, path: Path) -> IdFile:
    digest = hashlib.sha256()
    quoted = odd = False
    with path.open("wb") as copy:
        for chunk in _settled(chunks, digest.update):
            copy.write(chunk)
            quoted = quoted or b'"' in chunk
            odd = odd or not chunk.isascii() or _ODD in chunk
    return IdFile(path, encoding, digest.hexdigest()[:32], quoted, odd)


# The careful reading of a file that has quotation marks: slower than the engine's, exact about lines
#
# The engine splits such a file as long as every quote is closed and no value goes over several lines. Elsewhere this
# reading finds the line in which it goes wrong, and how many lines a value has swallowed.

COLUMNS: Final = 3
"""Id, value, and what comes after them, which is only counted."""
_LOOK_EVERY: Final = 20_000


@dataclass(frozen=True, slots=True)
class Swallowed:
    """Values that go over several lines: where the first begins, and how many lines all of them take in."""

    first: int = 0
    lines: int = 0


def rewritten(path: Path, out: Path, control: Progress) -> Swallowed:
    """Write the rows again with every value between quotes, three to a line. InvalidArguments at a quote that does not fit."""
    swallowed = Swallowed()
    with path.open(encoding="utf-8", newline="") as source, out.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target, quoting=csv.QUOTE_ALL, lineterminator="\n")
        for number, (begins, ends, row) in enumerate(records(source)):
            if number % _LOOK_EVERY == 0 and control.interrupted:
                raise Interrupted(_STOPPED)
            if any(row):
                writer.writerow((row + [""] * COLUMNS)[:COLUMNS])
            if any("\n" in value or "\r" in value for value in row):
                swallowed = Swallowed(swallowed.first or begins, swallowed.lines + ends - begins + 1)
    return swallowed


def records(source: Iterator[str]) -> Iterator[tuple[int, int, list[str]]]:
    """Yield first line, last line and values of every record."""
    reader = csv.reader(source, strict=True)
    begins = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise refuse_ids([finding("ids_quote", PATH, line=begins)]) from None
        yield begins, reader.line_num, row
        begins = reader.line_num + 1


# Warnings about the file itself, wherever its ids are matched

_ONE = Text("one", "一")
_TWO = Text("two", "两")
_HEADERS = frozenset(
    ("id", "ids", "uid", "userid", "user", "account", "accountid", "distinctid", "openid", "编号", "用户", "用户id", "账号", "账号id")
)  # fmt: skip
"""Names of first lines that are no ids, without case and marks."""


def about_the_file(
    encoding: str, swallowed: Swallowed, more_columns: int, *, tag: bool, valueless: bool
) -> Iterator[Problem]:
    """Yield warnings. `more_columns`: rows with more than the columns that are read; `valueless`: a tag's file without any value."""
    if encoding == "gbk":
        yield finding("ids_encoding_gbk", PATH)
    if swallowed.lines:
        yield finding("ids_swallowed", PATH, line=swallowed.first, lines=f"{swallowed.lines:,}")
    if more_columns:
        yield finding("ids_more_columns", PATH, expected=_TWO if tag else _ONE, n=f"{more_columns:,}")
    if valueless:
        yield finding("ids_value_missing", PATH)


_COUNTED = Text(
    "looks like a header. Such files have none: it was counted as an id. Remove it if it is one.",
    "像是表头。此类文件不带表头，该行已按 ID 计入。若确为表头，请删除。",
)
_SKIPPED = Text("is a header: it was not counted.", "为表头，未计入。")


def header_names(column: str, metadata: Metadata) -> frozenset[str]:
    """Return first lines that are headers, without case and marks: names of properties, and usual names of ids."""
    prop = metadata.property("user", column)
    names = {p.name for p in metadata.properties_of("user")} | ({prop.names.en, prop.names.zh} if prop else set())
    return _HEADERS | {plain for name in names if (plain := _plain(name))}


def about_the_header(first: str, column: str, metadata: Metadata) -> Iterator[Problem]:
    """Yield a warning where the first id, which was counted, is the name of a property, or a usual name of ids."""
    if _plain(first) in header_names(column, metadata):
        yield finding("ids_header", PATH, got=first, note=_COUNTED)


def about_a_skipped_header(first: str) -> Problem:
    return finding("ids_header", PATH, got=first, note=_SKIPPED)


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


# Ids against the user table: read, matched and counted in the engine
#
# The rows are grouped by id while they are read, and the groups joined with the users once; all counts come from
# these two tables. Only the users go to a file; at most a few ids that match nobody leave the engine as text.

SHOWN_IDS: Final = 5
"""Ids that match nobody and are shown: only a few, for a list of people must not be spread."""
_PROBED: Final = 1000
"""Ids that are looked for in other properties when none matches."""
_LONGEST_LINE: Final = 2 << 20
_BUFFER: Final = 8 << 20
"""The engine splits a file into pieces of this size, one to a thread at a time."""
BLANKS: Final = " \t\r\n\v\f\x00\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u202f\u205f\u3000\ufeff"
DELIMITERS: Final = {";": ";", "\t": "tab", "|": "|", "\uff0c": "\uff0c"}
"""What people write instead of a comma, and the name it is shown by."""


@dataclass(frozen=True, slots=True)
class IdTarget:
    """What the ids are values of, and whether they come with values of a tag."""

    column: Property
    tag: bool
    headers: frozenset[str] = frozenset()
    """First lines that are headers where no user has them, as `header_names` gives them."""


@dataclass(frozen=True, slots=True)
class IdCounts:
    """What a file of ids holds and which users it selects."""

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
    """Ids with different values."""
    matched_users: int
    """Users who have one of the ids, with or without a value."""
    examples: tuple[str, ...] = ()
    first: str = ""
    """The first id, where no user has it."""
    delimiters: tuple[tuple[str, int], ...] = ()
    """Other delimiters in unmatched ids, with the number of ids."""
    rounded: tuple[str, int] = ("", 0)
    """Unmatched ids that a spreadsheet has shortened: one of them, and their number."""
    zero_bytes: int = 0
    elsewhere: str = ""
    """Where no id matches: the user property that has most of them."""
    swallowed: Swallowed = field(default_factory=Swallowed)
    header: str = ""
    """The first line, where it is a header: it is not counted."""
    nearly: tuple[tuple[str, int], ...] = ()
    """Changes (keys of `CHANGES`, or a property) with which many of the unmatched ids would match, and how many of them."""
    looked_at: int = 0
    """Unmatched ids that were tried so."""


def match_ids(
    engine: Engine,
    data: DataFile,
    file: IdFile,
    wanted: IdTarget,
    *,
    others: tuple[Property, ...],
    temp: Callable[[str], Path],
    control: Control,
) -> tuple[IdCounts, Path]:
    """Count, and write the selected users to a Parquet file (`user_id`, of a tag also `value`).

    `others` are the properties in which ids are looked for that match nobody. InvalidArguments where the file cannot
    be split into rows or holds no id.
    """
    stages = StageControl(control)
    out = temp(".parquet")

    def work(own: "DuckDBPyConnection", tables: Tables) -> IdCounts:
        swallowed = _read(own, file, wanted, temp, stages)
        stages.stage(60, 90)
        own.execute(_matched_sql(tables, wanted))
        header = _without_header(own, wanted.headers)
        counts = replace(_counted(own, tables, wanted, others, swallowed), header=header)
        if counts.unmatched * 10 > counts.rows:
            looked_at, nearly = _nearly(own, tables, wanted.column, others if counts.matched_users else ())
            counts = replace(counts, looked_at=looked_at, nearly=nearly)
        stages.stage(90, 99)
        columns, given = ("user_id, value", " AND value IS NOT NULL") if wanted.tag else ("user_id", "")
        selected = f"SELECT {columns} FROM matched WHERE user_id IS NOT NULL{given}"
        own.execute(f"COPY ({selected}) TO {literal(str(out))} ({PARQUET})")
        return counts

    return engine.look(data, work, stages), out


def _read(
    own: "DuckDBPyConnection", file: IdFile, wanted: IdTarget, temp: Callable[[str], Path], stages: StageControl
) -> Swallowed:
    """Read the rows into the table `ids`, one row for each different id, and the first id into `first_id`."""
    import duckdb

    stages.stage(0, 60)
    try:
        # Without quotes nothing can go wrong but the length of a line.
        strict = "true" if file.quoted else "false"
        _group(
            own,
            _csv(file.path, '"' if file.quoted else "", f", null_padding = true, strict_mode = {strict}"),
            wanted,
            file,
        )
        if not file.quoted or not one(own, f"SELECT count(*) FROM ids WHERE over_lines OR {_BREAK.format('id')}")[0]:
            return Swallowed()
    except duckdb.Error as error:
        if "CSV Error" not in str(error):  # an error about the file has no class of its own
            raise
        if not file.quoted:
            raise refuse_ids([finding("ids_line", PATH, most=_LONGEST_LINE >> 20)]) from error
    careful = temp(".csv")
    swallowed = rewritten(file.path, careful, stages)
    _group(own, _csv(careful, '"'), wanted, replace(file, odd_blanks=True))  # a value may be nothing but a line break
    return swallowed


def _group(own: "DuckDBPyConnection", source: str, wanted: IdTarget, file: IdFile) -> None:
    text = f"coalesce(trim(c1{f', {literal(BLANKS)}' if file.odd_blanks else ''}), '')"
    key = _key(text, wanted.column)
    own.execute(
        f"CREATE OR REPLACE TEMP TABLE ids AS {_ids_sql(source, text, key, tag=wanted.tag, quoted=file.quoted)}"
    )
    own.execute(f"CREATE OR REPLACE TEMP TABLE first_id AS SELECT {key} AS id FROM {source} WHERE {text} <> '' LIMIT 1")


def _csv(path: Path, quote: str, more: str = "") -> str:
    """Return SQL of the rows of a file as three columns of texts."""
    mark = literal(quote)
    return (
        f"read_csv({literal(str(path))}, header = false, auto_detect = false, delim = ',', quote = {mark}, escape = {mark}, "
        f"columns = {{'c1': 'VARCHAR', 'c2': 'VARCHAR', 'c3': 'VARCHAR'}}, max_line_size = {_LONGEST_LINE}, "
        f"buffer_size = {_BUFFER}{more})"
    )


_VALUE: Final = "nullif(c2, '')"
_BREAK: Final = "contains({0}, chr(10)) OR contains({0}, chr(13))"


def _ids_sql(source: str, text: str, key: str, *, tag: bool, quoted: bool) -> str:
    """Return the rows that are not blank, by id; of a tag with the last value of each."""
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


PHONE_FORM: Final = (
    r"regexp_replace(regexp_replace({0}, '[\s\-.()]', '', 'g'), '^(?:\+|00)?86(1[3-9][0-9]{{9}})$', '\1')"
)
"""A phone number in one form, as SQL: no blanks and marks, and mobile numbers of China without the country code."""


def is_phone(column: Property) -> bool:
    """Whether the values of a property are phone numbers, by its name."""
    return column.type == "string" and bool(re.search(PHONE_NAME, column.name))


def _key(text: str, column: Property) -> str:
    """Return the id in the one way in which a value of the column is written; what is no such number stays as it is."""
    if is_phone(column):
        return PHONE_FORM.format(text)
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
    if is_phone(column):
        return PHONE_FORM.format(name)
    if column.type != "number":
        return name
    return f"CAST(CAST({name} AS {'DOUBLE' if column.scale is None else f'DECIMAL(38, {column.scale})'}) AS VARCHAR)"


def _matched_sql(tables: Tables, wanted: IdTarget) -> str:
    """Return the table `matched`: a row for each user who has one of the ids, and one for each id that nobody has."""
    user = f"u.{identifier('#user_id')}"
    return (
        f"CREATE TEMP TABLE matched AS SELECT {user} AS user_id, i.value,"
        f" CASE WHEN {user} IS NULL THEN i.rows END AS rows, CASE WHEN {user} IS NULL THEN i.id END AS id"
        f" FROM ids AS i LEFT JOIN {tables.users} AS u ON {_of_user(wanted.column)} = i.id"
    )


def _without_header(own: "DuckDBPyConnection", headers: frozenset[str]) -> str:
    """Take the first line out where it is a header and no user's id; return it."""
    first = own.execute("SELECT m.id FROM matched AS m WHERE m.id = (SELECT id FROM first_id)").fetchone()
    if first is None or _plain(first[0]) not in headers:
        return ""
    for table in ("ids", "matched"):
        own.execute(f"DELETE FROM {table} WHERE id = ? AND rows = 1", [first[0]])
        own.execute(f"UPDATE {table} SET rows = rows - 1 WHERE id = ?", [first[0]])
    own.execute("DELETE FROM first_id")
    return str(first[0])


CHANGES: Final = {
    "change zeros": "ltrim({0}, '0')",
    "change code": r"regexp_replace({0}, '^(\+|00)?86', '')",
    "change case": "lower({0})",
    "change blanks": r"regexp_replace({0}, '[\s\-.()]', '', 'g')",
}
"""What often differs between two lists of the same ids, as SQL that takes it off."""
_TRIED: Final = 10_000


def _nearly(
    own: "DuckDBPyConnection", tables: Tables, column: Property, others: tuple[Property, ...]
) -> tuple[int, tuple[tuple[str, int], ...]]:
    """How many unmatched ids were tried, and with which changes, or as values of which property, half of them would match."""
    sample = f"(SELECT DISTINCT id FROM matched WHERE id <> '' LIMIT {_TRIED})"
    looked_at = int(one(own, f"SELECT count(*) FROM {sample}")[0])
    found: list[tuple[str, int]] = []
    if column.type == "string":
        for name, change in CHANGES.items():
            theirs = f"SELECT {change.format(_of_user(column))} FROM {tables.users} AS u"
            n = one(
                own,
                f"SELECT count(*) FROM {sample} AS s WHERE {change.format('s.id')} <> '' AND {change.format('s.id')} IN ({theirs})",
            )[0]
            found.append((name, int(n)))
    for other in others:
        n = one(
            own, f"SELECT count(*) FROM {sample} AS s WHERE s.id IN (SELECT {_of_user(other)} FROM {tables.users} AS u)"
        )[0]
        found.append((other.name, int(n)))
    return looked_at, tuple((name, n) for name, n in found if n * 2 >= looked_at)


def _counted(
    own: "DuckDBPyConnection",
    tables: Tables,
    wanted: IdTarget,
    others: tuple[Property, ...],
    swallowed: Swallowed,
) -> IdCounts:
    in_all, distinct, valued, more, conflicts = one(
        own,
        "SELECT coalesce(sum(rows), 0)::BIGINT, count(*), coalesce(sum(valued), 0)::BIGINT,"
        " coalesce(sum(more), 0)::BIGINT, count(*) FILTER (conflict) FROM ids",
    )
    if not in_all:
        raise refuse_ids([finding("ids_empty", PATH)])
    matched, with_value, unmatched, unmatched_ids = one(
        own,
        "SELECT count(user_id), count(value) FILTER (user_id IS NOT NULL), coalesce(sum(rows), 0)::BIGINT, count(id)"
        " FROM matched",
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
        examples=tuple(r[0] for r in rows(own, f"SELECT id FROM matched WHERE id <> '' ORDER BY id LIMIT {SHOWN_IDS}")),
        elsewhere="" if matched else _elsewhere(own, tables, others),
        swallowed=swallowed,
        **(_about_unmatched(own) if unmatched else {}),
    )


def _about_unmatched(own: "DuckDBPyConnection") -> dict[str, Any]:
    """Return what the ids that nobody has look like, as fields of `IdCounts`."""
    marks = ", ".join(f"count(*) FILTER (contains(id, {literal(mark)}))" for mark in DELIMITERS)
    zero_bytes, rounded, example, *delimited = one(
        own,
        f"SELECT count(*) FILTER (contains(id, chr(0))), count(*) FILTER ({_ROUNDED}), min(id) FILTER ({_ROUNDED}), {marks}"
        " FROM matched WHERE id IS NOT NULL",
    )
    first = own.execute("SELECT m.id FROM matched AS m WHERE m.id = (SELECT id FROM first_id)").fetchone()
    return {
        "first": first[0] if first else "",
        "zero_bytes": zero_bytes,
        "rounded": (example or "", rounded),
        "delimiters": tuple((shown, n) for shown, n in zip(DELIMITERS.values(), delimited, strict=True) if n),
    }


_ROUNDED: Final = "contains(id, 'E+') AND regexp_full_match(id, '[0-9][.][0-9]+E[+][0-9]+')"


def _elsewhere(own: "DuckDBPyConnection", tables: Tables, others: tuple[Property, ...]) -> str:
    """Return the property that has most of the first ids; "" where none has any."""
    sample = f"(SELECT id FROM ids WHERE id <> '' LIMIT {_PROBED})"
    hits = {
        column.name: one(own, f"SELECT count(*) FROM {tables.users} AS u WHERE {_of_user(column)} IN {sample}")[0]
        for column in others
    }
    best = max(hits, key=lambda name: hits[name], default="")
    return best if best and hits[best] else ""
