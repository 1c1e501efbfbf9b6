"""Files of ids, the nasty ones among them: what is read, whom it matches, and what is said about it."""

import csv
import io
import random
import re
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import duckdb
import pytest

from mcp_server.engines.base import DataFile
from mcp_server.engines.duckdb.engine import Engine
from mcp_server.errors import Interrupted, InvalidArguments
from mcp_server.language.metadata import Property
from mcp_server.sources.ids import CHUNK, IdCounts, IdFile, IdTarget, match_ids, private_copy
from tests.asking_duckdb import rows_of

ACCOUNT = Property(table="user", name="account", type="string")
NUMBER = Property(table="user", name="number", type="number", scale=0)
PRICE = Property(table="user", name="price", type="number", scale=2)
RATIO = Property(table="user", name="ratio", type="number")

USERS = """CREATE TABLE users AS SELECT * FROM (VALUES
  (1::BIGINT, 'a', 1::BIGINT, 1.50::DECIMAL(9, 2), 0.5::DOUBLE), (2, 'b', 9007199254740993, 2.00, 1e15), (3, 'c', -3, 0.05, -1.25),
  (4, 'é', 4, NULL, NULL), (5, '张三', NULL, 7.10, 3.0), (6, '00123', 123, NULL, NULL), (7, 'shared', 7, NULL, NULL), (8, 'shared', 8, NULL, NULL),
  (9, 'x,y', 9, NULL, NULL), (10, 'q"r', 10, NULL, NULL), (11, 'NULL', 11, NULL, NULL), (12, NULL, 12, NULL, NULL)
) t("#user_id", account, number, price, ratio)"""


class Silent:
    """A control that lets everything pass, and notes what it is told."""

    def __init__(self) -> None:
        self.interrupted = False
        self.reports: list[float] = []

    def report(self, percent: float) -> None:
        self.reports.append(percent)

    def on_interrupt(self, callback: Callable[[], None]) -> None: ...


class Reader:
    """Reads files of ids against the users above."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, count()
        self.engine = Engine(folder / "spill")
        path = folder / "data.duckdb"
        with duckdb.connect(str(path)) as db:
            db.execute(USERS)
            db.execute('CREATE TABLE events AS SELECT 1::BIGINT AS "#user_id" LIMIT 0')
        self.data = DataFile(path, users_complete=True)

    def temp(self, suffix: str) -> Path:
        return self._folder / f"{next(self._numbers)}{suffix}"

    def copy(self, content: bytes, control: Silent | None = None) -> IdFile:
        return private_copy(io.BytesIO(content), len(content), self.temp, control or Silent())

    def read(
        self, content: bytes | str, column: Property = ACCOUNT, *, tag: bool = False, others: tuple[Property, ...] = ()
    ) -> tuple[IdCounts, list[tuple[object, ...]]]:
        """The counts, and the users with their values."""
        file = self.copy(content.encode() if isinstance(content, str) else content)
        counts, out = match_ids(
            self.engine, self.data, file, IdTarget(column, tag), others=others, temp=self.temp, control=Silent()
        )
        rows = rows_of(f"SELECT * FROM '{out}' ORDER BY 1")
        assert len(rows) == counts.users
        return counts, rows

    def users(self, content: bytes | str, column: Property = ACCOUNT) -> list[object]:
        return [row[0] for row in self.read(content, column)[1]]

    def refused(self, content: bytes | str, **more: bool) -> str:
        with pytest.raises(InvalidArguments) as caught:
            self.read(content, **more)
        (problem,) = caught.value.problems
        return problem.code


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    made = Reader(tmp_path_factory.mktemp("ids"))
    yield made
    made.engine.close()


@pytest.mark.parametrize(
    ("content", "users", "rows"),
    [
        (b"a\nb\n", [1, 2], 2),
        (b"a\nb", [1, 2], 2),
        (b"a\r\nb\r\n", [1, 2], 2),
        (b"a\rb\r", [1, 2], 2),
        (b"a\r\nb\nc\n", [1, 2, 3], 3),
        (b"a\r\r\nb\r\r\n", [1, 2], 2),
        (b"\xef\xbb\xbfa\nb\n", [1, 2], 2),
        (b"\n\na\n\n \t \nb\n\n", [1, 2], 2),
        (b" a \n\tb\n", [1, 2], 2),
        ("a\u3000\n\u00a0b\n".encode(), [1, 2], 2),
        (b'"a"\n"b"\n', [1, 2], 2),
        (b'"a"\r\n"b"\r\n', [1, 2], 2),
        (b' "a" \n', [1], 1),
        (b'"q""r"\n', [10], 1),
        (b'q"r\na\n', [1, 10], 2),
        (b'"x,y"\n', [9], 1),
        (b'"x,y"', [9], 1),
        (b"a\na\nb\na\n", [1, 2], 4),
        (b"00123\n123\n1e5\n", [6], 3),
        (b"NULL\nnull\n\\N\n", [11], 3),
        (b"a,\nb,\n", [1, 2], 2),
        (b'a,""\n""\nb\n', [1, 2], 2),
        ("张三\né\n".encode(), [4, 5], 2),
        (b"a\n" + b"x" * 300_000 + b"\n", [1], 2),
        (b"shared\n", [7, 8], 1),
        (b"#a\na\n", [1], 2),
    ],
)  # fmt: skip
def test_a_file_is_read_for_what_it_says(reader: Reader, content: bytes, users: list[int], rows: int) -> None:
    counts, found = reader.read(content)
    assert [row[0] for row in found] == users
    assert counts.rows == rows


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("张三\na\n".encode(), "utf-8"),
        ("张三\na\n".encode("utf-8-sig"), "utf-8-bom"),
        ("张三\na\n".encode("gbk"), "gbk"),
        ("张三\na\n".encode("utf-16"), "utf-16-le"),
        ("\ufeff张三\na\n".encode("utf-16-be"), "utf-16-be"),
        ("a\n张三\n".encode("utf-16-le"), "utf-16-le"),
        ("a\n张三\n".encode("utf-16-be"), "utf-16-be"),
    ],
)
def test_encodings_are_told_apart_and_mean_the_same(reader: Reader, content: bytes, encoding: str) -> None:
    assert reader.copy(content).encoding == encoding
    assert reader.users(content) == [1, 5]


def test_the_same_text_is_the_same_content_in_every_encoding(reader: Reader) -> None:
    text = "张三\na\n"
    copies = [reader.copy(text.encode(code)) for code in ("utf-8", "utf-8-sig", "gbk", "utf-16")]
    assert len({copy.content_hash for copy in copies}) == 1
    assert reader.copy(b"a\n").content_hash != copies[0].content_hash


def test_characters_that_lie_across_two_pieces_of_a_file_are_whole(reader: Reader) -> None:
    for codec in ("utf-8", "gbk"):
        content = b"a" * (CHUNK - 1) + "张\n张三\n".encode(codec)
        assert reader.users(content) == [5]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "ids_empty"),
        (b"\n \n\t\n", "ids_empty"),
        (b"\xef\xbb\xbf", "ids_empty"),
        (b"a\nb\n\xff\xff\xff\nc\n", "ids_encoding"),
        ("a\n".encode("utf-16") + b"x", "ids_encoding"),
        (b"PK\x03\x04\x14\x00", "ids_not_text"),
        (b"PAR1....", "ids_not_text"),
        (b'a\n"b\nc\nd\n', "ids_quote"),
        (b'a\nb\n"c', "ids_quote"),
        (b'"a"x\nb\n', "ids_quote"),
        (b'a\n"b\nc\n"d\ne\n', "ids_quote"),
        (b"a\n" + b"x" * (3 << 20) + b"\n", "ids_line"),
    ],
)
def test_what_is_no_list_of_ids_is_refused(reader: Reader, content: bytes, code: str) -> None:
    assert reader.refused(content) == code


def test_a_refusal_names_the_line(reader: Reader) -> None:
    for content, line in ((b"a\nb\n\xff\xff\xff\nc\n", 3), (b'a\nb\nc\n"d\ne', 4)):
        with pytest.raises(InvalidArguments) as caught:
            reader.read(content)
        assert f"ine {line} " in caught.value.problems[0].message.en


def test_lines_that_quotes_join_are_counted_with_the_first_of_them(reader: Reader) -> None:
    counts, found = reader.read(b'a\n"b\nc\nd"\na\n"x\r\ny"\n')
    assert (counts.swallowed.first, counts.swallowed.lines) == (2, 5)
    assert (counts.rows, [row[0] for row in found]) == (4, [1])


def test_swallowed_lines_of_a_large_file_are_found(reader: Reader) -> None:
    rows = (b"x" * 999 + b"\n") * 9000  # more than the engine reads in one piece
    counts, _ = reader.read(b'"a"\n' + rows + b'"b\nc"\nb\n')
    assert (counts.swallowed.first, counts.swallowed.lines) == (9002, 2)
    assert counts.rows == 9003


def test_ids_that_match_nobody_are_counted_and_only_a_few_shown(reader: Reader) -> None:
    counts, _ = reader.read("".join(f"u{i}\n" for i in range(9)) + "a\nu1\n,value\n")
    assert (counts.rows, counts.unmatched, counts.distinct, counts.unmatched_ids) == (12, 11, 11, 10)
    assert counts.examples == ("u0", "u1", "u2", "u3", "u4")


def test_a_tags_last_value_wins_and_empty_ones_are_not_assigned(reader: Reader) -> None:
    counts, found = reader.read("a,gold\nb,\na,silver\nc,1\na,\nzz,x\nzz,\nc,1\nshared,s\n", tag=True)
    assert found == [(1, "silver"), (3, "1"), (7, "s"), (8, "s")]
    assert (counts.rows, counts.no_value, counts.unmatched, counts.conflicts) == (9, 3, 2, 1)
    assert counts.matched_users == 5


def test_a_tags_values_stand_as_they_are(reader: Reader) -> None:
    _, found = reader.read('a, 5 \nb,"x,y"\nc,"say ""hi"""\n', tag=True)
    assert found == [(1, " 5 "), (2, "x,y"), (3, 'say "hi"')]


def test_the_last_value_of_many_rows_is_the_last_of_the_file(reader: Reader) -> None:
    _, found = reader.read("".join(f"{'abc'[i % 3]},{i}\n" for i in range(300_000)), tag=True)
    assert found == [(1, "299997"), (2, "299998"), (3, "299999")]


def test_columns_after_the_last_one_are_counted(reader: Reader) -> None:
    assert reader.read("a,1\nb\nc,2\n")[0].more_columns == 2
    assert reader.read("a,1,x\nb,2\n", tag=True)[0].more_columns == 1


@pytest.mark.parametrize(
    ("column", "content", "users"),
    [
        (NUMBER, "1\n+4\n-3\n007\n", [1, 3, 4, 7]),
        (NUMBER, "123.0\n9.\n", [6, 9]),
        (NUMBER, "9007199254740993\n9007199254740992\n", [2]),
        (NUMBER, "1.5\n1e0\nx\n99999999999999999999999999999999999999999\n", []),
        (PRICE, "1.5\n2\n0.05\n7.1000\n", [1, 2, 3, 5]),
        (PRICE, "1.499\n1.501\n0.051\n", []),
        (RATIO, "0.5\n1e15\n-1.25\n3\n", [1, 2, 3, 5]),
        (RATIO, "nan\ninf\n0.50001\n", []),
    ],
)
def test_numbers_match_by_value_and_exactly(reader: Reader, column: Property, content: str, users: list[int]) -> None:
    assert reader.users(content, column) == users


def test_two_ways_to_write_a_number_are_one_id(reader: Reader) -> None:
    counts, _ = reader.read("1\n01\n1.0\n", NUMBER)
    assert (counts.rows, counts.distinct, counts.users) == (3, 1, 1)


def test_what_unmatched_ids_look_like_is_told(reader: Reader) -> None:
    counts, _ = reader.read("account\na;1\nb\tx\nc|2\n张三，x\n1.23E+15\nz\x00z\n")
    assert counts.first == "account"
    assert dict(counts.delimiters) == {";": 1, "tab": 1, "|": 1, "，": 1}
    assert counts.rounded == ("1.23E+15", 1)
    assert counts.zero_bytes == 1


def test_a_first_line_that_matches_is_no_header(reader: Reader) -> None:
    assert reader.read("a\nzz\n")[0].first == ""


def test_ids_of_another_property_are_recognised_when_none_matches(reader: Reader) -> None:
    assert reader.read("9\n10\n", others=(PRICE, NUMBER))[0].elsewhere == "number"
    assert reader.read("nobody\n", others=(PRICE, NUMBER))[0].elsewhere == ""


def test_a_copy_that_is_interrupted_stops(reader: Reader) -> None:
    control = Silent()
    control.interrupted = True
    with pytest.raises(Interrupted):
        reader.copy(b"a\n", control)


def test_progress_grows_to_the_end_of_the_file(reader: Reader) -> None:
    control = Silent()
    reader.copy(b"a\n" * CHUNK, control)
    assert control.reports == [50.0, 100.0]


def test_quoted_files_are_split_like_the_standard_library_does(reader: Reader) -> None:
    """Two readers, 60 random files: the same ids, or both refuse."""
    chance = random.Random(7)
    for _ in range(60):
        text = "".join(chance.choice('ab"",\n\n') for _ in range(chance.randint(1, 10)))
        try:
            rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if any(row)]
        except csv.Error:
            assert reader.refused(text) == "ids_quote", repr(text)
            continue
        expected = [row for row in rows if row[0].strip() or (len(row) > 1 and row[1])]
        if not expected:
            assert reader.refused(text) == "ids_empty", repr(text)
            continue
        counts, _ = reader.read(text)
        assert counts.rows == len(expected), repr(text)
        assert counts.distinct == len({row[0].strip() for row in expected}), repr(text)


# line ends


def test_a_lone_cr_changes_no_id(reader: Reader) -> None:
    """The engine dropped the first character after it before, so that 17 selected the user 7."""
    counts, rows = reader.read("30\r\n4\r17\r\n123\r\n", NUMBER)
    assert (counts.rows, counts.unmatched, rows) == (4, 2, [(4,), (6,)])


def test_an_end_of_a_line_between_two_chunks_is_one(reader: Reader) -> None:
    blank = b" " * (CHUNK - 3)
    for end in (b"\r\n", b"\r", b"\n"):
        assert reader.users(blank + b"a" + end[:1].rjust(2) + end[1:] + b"b" + end) == [1, 2]


def _plainly(text: str) -> list[str]:
    """The ids of a text, by the simplest reading there is."""
    lines = re.sub("\r\n?", "\n", text)
    return [row[0].strip() for row in csv.reader(io.StringIO(lines), strict=True) if row and row[0].strip()]


@pytest.mark.parametrize("seed", range(60))
def test_mixes_of_line_ends_quotes_blanks_and_encodings_are_read_plainly(reader: Reader, seed: int) -> None:
    chance = random.Random(seed)
    known = {"a": 1, "b": 2, "c": 3, "é": 4, "张三": 5, "00123": 6, "17": None, "7": None, "x,y": 9}
    text = ""
    for _ in range(chance.randint(1, 40)):
        value = chance.choice([*known, ""])
        quoted = "," in value or chance.random() < 0.3
        text += f'"{value}"' if quoted else chance.choice(["", " ", "\t"]) + value + chance.choice(["", " "])
        text += chance.choice(["\r", "\n", "\r\n", "\r\r\n", "\n\r"])
    text += chance.choice(["", "b"])
    encoding = chance.choice(["utf-8", "utf-8-sig", "utf-16", "gb18030"])
    expected = _plainly(text)
    if not expected:
        return
    counts, rows = reader.read(text.encode(encoding))
    assert counts.rows == len(expected)
    assert [row[0] for row in rows] == sorted({known[value] for value in expected if known[value]})
    assert counts.unmatched == sum(known[value] is None for value in expected)
