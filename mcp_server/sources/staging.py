"""What every reader makes (rows in the engine, with their columns as written and where each came from), and the report of a load."""

import glob
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from mcp_server.engines.dialect import literal
from mcp_server.errors import InvalidArguments, LoadRefused, Problem
from mcp_server.language.metadata import Frozen, Table
from mcp_server.text import NOTHING, Text, listed

# What a load tells about itself: what was loaded, what was left out, and what was read otherwise than it looks.


FIRST_ROWS = 20
"""How many bad rows are shown one by one."""

REASONS: Mapping[str, Text] = {
    "missing_user_id": Text("`#user_id` is missing", "缺少 `#user_id`"),
    "missing_event_name": Text("`#event_name` is missing", "缺少 `#event_name`"),
    "missing_event_time": Text("`#event_time` is missing", "缺少 `#event_time`"),
    "unreadable_user_id": Text("`#user_id` is not a whole number of 64 bits", "`#user_id` 不是 64 位整数"),
    "unreadable_event_time": Text("`#event_time` cannot be read as a time", "`#event_time` 不是可识别的时间"),
    "unreadable_row": Text("the row cannot be read", "该行无法解析"),
    "duplicate_user": Text("its `#user_id` has come before", "`#user_id` 与前面的用户重复"),
    "missing_id": Text(
        "it has neither `#user_id` nor `#account_id` nor `#distinct_id`",
        "`#user_id`、`#account_id`、`#distinct_id` 均缺失",
    ),
    "unknown_type": Text("its `#type` is none of the known ones", "`#type` 不在支持的类型之内"),
    "unreadable_change": Text("a value does not fit its `#type`", "属性值与 `#type` 不匹配"),
}
"""Why a row cannot be loaded. One row has one reason: the first that holds, in the order of the checks."""


class BadRow(Frozen):
    """One row that cannot be loaded."""

    file: str
    row: int
    """Number of the row in its file, from 1; a CSV header and blank lines are not counted."""
    reason: str
    """A key of `REASONS`."""
    value: str = ""
    """What stands there, cut short; empty where nothing does."""

    def text(self) -> Text:
        shown = Text(f": {self.value!r}", f"：{self.value!r}") if self.value else NOTHING
        where = Text(f"row {self.row} of {self.file}: ", f"{self.file} 第 {self.row} 行：")
        reason = REASONS[self.reason]
        return Text(where.en + reason.en + shown.en, where.zh + reason.zh + shown.zh)


class BadRows(Frozen):
    """The rows of one table that cannot be loaded."""

    table: Table
    rows: int
    """Rows of the source in all."""
    counts: dict[str, int] = Field(default_factory=dict)
    """Reason to number of rows."""
    first: tuple[BadRow, ...] = ()

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def text(self) -> Text:
        """The counts in a sentence."""
        what = Text("events", "事件数据") if self.table == "event" else Text("users", "用户数据")
        reasons = listed(
            [Text(f"{n:,} × {REASONS[r].en}", f"{REASONS[r].zh}（{n:,} 行）") for r, n in self.counts.items()]
        )
        return Text(
            f"{self.total:,} of {self.rows:,} rows of the {what.en} cannot be loaded: {reasons.en}.",
            f"{what.zh}共 {self.rows:,} 行，其中 {self.total:,} 行无法加载：{reasons.zh}。",
        )


class ColumnNote(Frozen):
    """A column that was read as something else than most of its values look like."""

    table: Table
    name: str
    text: Text


class LoadReport(Frozen):
    """The account of one load; goes to the user and is kept with the data."""

    rows: int
    """Event rows loaded."""
    users: int
    skipped: tuple[BadRows, ...] = ()
    """Bad rows that were left out (only with `skip_bad_rows`)."""
    not_a_number: dict[str, int] = Field(default_factory=dict)
    """`event.name` or `user.name` to how many NaN or infinite values became missing ones."""
    repeated_times: int = 0
    """Local times in an hour that a clock change repeats; the first of the two was taken."""
    skipped_times: int = 0
    """Local times in an hour that a clock change skips; moved forward by the length of the gap."""
    clamped_times: int = 0
    """Times beyond the years 1 to 9999, which were moved to the nearest time that can be written."""
    mixed: tuple[ColumnNote, ...] = ()
    unknown_user_rows: int = 0
    """Event rows whose `#user_id` no user has; they select nobody."""
    unknown_names: tuple[str, ...] = ()
    """Names of the metadata file that the data does not have, as `events.name` and the like."""
    notes: tuple[Text, ...] = ()


def refuse(message: Text, next_step: Text = NOTHING) -> LoadRefused:
    """The error for files that cannot be loaded at all."""
    return LoadRefused(message.then(Text("Nothing was loaded.", "未加载任何数据。")), next_step=next_step)


def refuse_rows(found: Sequence[BadRows]) -> LoadRefused:
    """The error for bad rows: counts by reason, and the first of them as problems."""
    message = NOTHING
    for bad in found:
        message = message.then(bad.text())
    problems = [
        Problem("/events" if bad.table == "event" else "/users", row.reason, row.text(), got=row.value)
        for bad in found
        for row in bad.first
    ]
    return LoadRefused(
        message.then(Text("Nothing was loaded.", "未加载任何数据。")),
        next_step=Text(
            "Mend these rows, or load the others with --skip-bad-rows.",
            "请修正这些行；也可以加 --skip-bad-rows 跳过它们，只加载其余的行。",
        ),
        problems=problems[:FIRST_ROWS],
    )


def refuse_ids(problems: Sequence[Problem]) -> InvalidArguments:
    """The error for ids that cannot be imported."""
    return InvalidArguments(
        Text("The ids can't be imported; nothing was saved.", "无法导入这些 ID；未保存任何内容。"),
        next_step=Text("Mend what is listed and call again.", "请按所列问题修正后重新调用。"),
        problems=problems,
    )


# What every reader makes: rows in the engine, with their columns as they were written and where each row came from.
#
# CSV becomes a table of texts, newline-delimited JSON a table of JSON texts, Parquet stays in its files and keeps its
# types. What the columns mean is decided afterwards, in `columns.py`.


TEXT = "text"
JSON = "json"
"""Kinds of a column that still has to be typed; any other kind but the next is the engine's own type."""
INSTANT = "instant"
"""A TIMESTAMP that is an instant already."""

MOST_COLUMNS = 2000
"""Columns of one table; ten times what the vendor allows. More is a sign of keys that are really values."""


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """One column of the source. In the staged relation column number i is called `c{i}`."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class FileRows:
    """The rows of one file."""

    file: str
    first: int
    """Load number of its first row."""
    left_out: tuple[int, ...] = ()
    """Numbers (from 1, rising) of the rows that the reader could not split into columns; they have no load number."""

    def row_number(self, load_number: int) -> int:
        """Number of a row in this file, from 1, the left-out ones counted."""
        number = load_number - self.first + 1
        for gap in self.left_out:
            if gap > number:
                break
            number += 1
        return number


@dataclass(frozen=True, slots=True)
class Staged:
    """The rows of one source.

    `relation` is a table or view with `"$n"` (load number, from 0 in file order), `"$lost"` (true where the row itself
    could not be read) and `c0`, `c1`, … in the order of `columns`.
    """

    relation: str
    columns: tuple[SourceColumn, ...]
    parts: tuple[FileRows, ...]
    unread: int = 0
    """Rows that never got a load number, in all."""
    first_unread: tuple[BadRow, ...] = ()
    table: str = ""
    """The temporary table behind the relation, which may be dropped when its values have been read."""
    notes: tuple[tuple[str, Text], ...] = ()
    """What the reader has to say of columns: name and text."""

    def place(self, load_number: int) -> tuple[str, int]:
        """File and row number of a load number."""
        part = self.parts[bisect_right([p.first for p in self.parts], load_number) - 1]
        return part.file, part.row_number(load_number)


def engine_path(path: Path) -> str:
    """A path as a literal; the engine would take brackets and stars in it for a pattern."""
    return literal(glob.escape(str(path)))


def check_names(names: Sequence[str], source: str) -> tuple[str, ...]:
    """The names of a source's columns without blanks around them; LoadRefused where one is impossible or stands twice."""
    if len(names) > MOST_COLUMNS:
        raise refuse(
            Text(
                f"{source} has {len(names):,} columns; at most {MOST_COLUMNS:,} are read.",
                f"{source} 有 {len(names):,} 列，最多支持 {MOST_COLUMNS:,} 列。",
            ),
            Text(
                "Keys that are really values belong into a list or into rows.",
                "若键名其实是取值，请改用列表或拆成多行。",
            ),
        )
    clean: list[str] = []
    seen: dict[str, str] = {}
    for position, name in enumerate(names, 1):
        stripped = name.strip()
        if not stripped or "\0" in stripped:
            raise refuse(
                Text(
                    f"Column {position} of {source} has no usable name: {name!r}.",
                    f"{source} 第 {position} 列的列名不可用：{name!r}。",
                ),
                Text("Give it a name, or remove the column.", "请为该列命名，或删除该列。"),
            )
        if stripped.casefold() in seen:
            raise _one_name(source, seen[stripped.casefold()], name)
        seen[stripped.casefold()] = name
        clean.append(stripped)
    return tuple(clean)


def _one_name(source: str, first: str, second: str) -> LoadRefused:
    return refuse(
        Text(
            f"{source} has two columns that are one name: {first!r} and {second!r}. Names of properties ignore case.",
            f"{source} 有两列同名：{first!r} 与 {second!r}。属性名不区分大小写。",
        ),
        Text("Rename one of them.", "请重命名其中一列。"),
    )


_CHECK_FILE = Text("Check that the file is complete and undamaged.", "请检查文件是否完整、未损坏。")


@contextmanager
def reading(source: str, format_name: str, next_step: Text = _CHECK_FILE) -> Iterator[None]:
    """Turn what the engine says about a file into an error that names it; a stop or a lack of memory passes through."""
    import duckdb

    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.InterruptException):
        raise
    except duckdb.Error as error:
        first = str(error).splitlines()[0].rstrip(".")
        raise refuse(
            Text(
                f"{source} cannot be read as {format_name}: {first}.", f"{source} 无法按 {format_name} 读取：{first}。"
            ),
            next_step,
        ) from None
