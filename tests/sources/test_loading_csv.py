"""CSV: empty is missing, `""` is the empty string, and a type is decided by every value of its column."""

from datetime import datetime
from pathlib import Path

import pytest

from mcp_server.sources.loading import LoadOptions, Sources
from tests.sources.loads import HEAD, SHANGHAI, TIME, events_csv, load, one_column, refused, write

SKIP = LoadOptions("1", "Asia/Shanghai", skip_bad_rows=True)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


# fmt: off
COLUMNS: dict[str, tuple[list[str], str, list[object]]] = {
    "whole": (["1", "-5", "0", ""], "BIGINT", [1, -5, 0, None]),
    "longest": (["9223372036854775807", "-9223372036854775808"], "BIGINT", [2**63 - 1, -(2**63)]),
    "long": (["9007199254740993"], "BIGINT", [9007199254740993]),
    "double": (["1", "2.5", "1e3", "-0.1"], "DOUBLE", [1.0, 2.5, 1000.0, -0.1]),
    "bool": (["true", "FALSE", "True", ""], "BOOLEAN", [True, False, True, None]),
    "time": (["2024-05-01", "2024-05-01 10:00:00.250"], "TIMESTAMP", [at("2024-04-30 16:00:00"), at("2024-05-01 02:00:00.250")]),
    "instant": (["2024-05-01T10:00:00Z", "2024-05-01 10:00:00", "2024-05-01 10:00+0530"], "TIMESTAMP", [at("2024-05-01 10:00:00"), at("2024-05-01 02:00:00"), at("2024-05-01 04:30:00")]),
    "texts": (['"[""a"",null]"', "[]", ""], "VARCHAR[]", [["a", None], [], None]),
    "zeros": (["007", "8"], "VARCHAR", ["007", "8"]),
    "plus": (["+5", "8"], "VARCHAR", ["+5", "8"]),
    "hex": (["0x1F", "8"], "VARCHAR", ["0x1F", "8"]),
    "too_long": (["12345678901234567890", "8"], "VARCHAR", ["12345678901234567890", "8"]),
    "inexact": (["9007199254740993", "1.5"], "VARCHAR", ["9007199254740993", "1.5"]),
    "empty_string": (["1", '""'], "BIGINT", [1, None]),
    "words": (["a", '""', "", '" b "', "级别"], "VARCHAR", ["a", "", None, "b", "级别"]),
    "numbers_in_lists": (['"[1,2]"', "[3]"], "VARCHAR[]", [["1", "2"], ["3"]]),
    "no_day": (["2024-02-30", "2024-02-01"], "VARCHAR", ["2024-02-30", "2024-02-01"]),
    "not_numbers": (["nan", "1.5", "-Infinity"], "DOUBLE", [None, 1.5, None]),
    "only_words": (["nan", "inf"], "VARCHAR", ["nan", "inf"]),
}
# fmt: on


def test_a_column_has_the_type_that_all_its_values_have(tmp_path: Path) -> None:
    """Each entry of `COLUMNS`: the fields as the file writes them, the type they give, and the values."""
    rows = max(len(fields) for fields, _, _ in COLUMNS.values())
    lines = [f"1,a,{TIME}," + ",".join(f[i] if i < len(f) else "" for f, _, _ in COLUMNS.values()) for i in range(rows)]
    loaded = load(tmp_path, Sources(events_csv(tmp_path, *lines, head=f"{HEAD},{','.join(COLUMNS)}")))
    found = {name: (loaded.kind(name), loaded.values(name)) for name in COLUMNS}
    assert found == {
        name: (kind, values + [None] * (rows - len(values))) for name, (_, kind, values) in COLUMNS.items()
    }
    assert loaded.built.report.not_a_number == {"event.not_numbers": 2}


def test_one_value_in_the_last_of_many_rows_decides(tmp_path: Path) -> None:
    """A sample would call the column a number."""
    loaded = load(tmp_path, one_column(tmp_path, *["5"] * 30_000, "unknown"))
    assert loaded.kind("x") == "VARCHAR"
    assert [(note.name, note.table) for note in loaded.built.report.mixed] == [("x", "event")]
    assert "1 of 30,001 values" in loaded.built.report.mixed[0].text.en
    assert "'unknown'" in loaded.built.report.mixed[0].text.zh


def test_ordinary_text_needs_no_note(tmp_path: Path) -> None:
    assert load(tmp_path, one_column(tmp_path, "a", "b", "7")).built.report.mixed == ()


def test_ids_of_accounts_are_always_text(tmp_path: Path) -> None:
    users = write(tmp_path / "users.csv", "#user_id,#account_id,#distinct_id,level\n1,00123,7,3\n2,5,,4\n")
    loaded = load(tmp_path, Sources(events_csv(tmp_path, f"1,a,{TIME}"), users))
    assert loaded.values("#account_id", "users") == ["00123", "5"]
    assert loaded.values("#distinct_id", "users") == ["7", None]
    assert loaded.kind("level", "users") == "BIGINT"


def test_an_event_name_is_text_whatever_it_looks_like(tmp_path: Path) -> None:
    loaded = load(tmp_path, Sources(events_csv(tmp_path, f"1,007,{TIME}")))
    assert loaded.values("#event_name") == ["007"]


@pytest.mark.parametrize(
    ("delimiter", "end", "start"), [(",", "\r\n", ""), (";", "\n", "\ufeff"), ("\t", "\r\n", "\ufeff"), ("|", "\n", "")]
)
def test_delimiters_line_ends_and_byte_order_marks(tmp_path: Path, delimiter: str, end: str, start: str) -> None:
    lines = [HEAD + ",x", f'1,a,{TIME},"say ""hi"""', "", f"2,b,{TIME},"]
    path = write(tmp_path / "events.csv", start + end.join(line.replace(",", delimiter) for line in lines))
    loaded = load(tmp_path, Sources(path))
    assert loaded.values("x") == ['say "hi"', None]


def test_values_may_hold_line_breaks_and_delimiters(tmp_path: Path) -> None:
    loaded = load(tmp_path, one_column(tmp_path, '"one\ntwo, three"', "four"))
    assert loaded.values("x") == ["one\ntwo, three", "four"]


def test_a_packed_file_loads_too(tmp_path: Path) -> None:
    import gzip

    path = write(tmp_path / "events.csv.gz", gzip.compress(f"{HEAD}\n1,a,{TIME}\n".encode()))
    assert load(tmp_path, Sources(path)).built.report.rows == 1


def test_files_of_a_glob_count_on_and_may_differ_in_columns(tmp_path: Path) -> None:
    events_csv(tmp_path, f"1,a,{TIME},5", head=f"{HEAD},x", name="day1.csv")
    write(tmp_path / "day2.csv", f"y,#event_time,#event_name,#user_id\nz,{TIME},b,2\n")
    loaded = load(tmp_path, Sources(str(tmp_path / "day*.csv")))
    assert loaded.rows('SELECT "$row", "#user_id", x, y FROM events ORDER BY 1') == [(0, 1, 5, None), (1, 2, None, "z")]


def test_a_name_with_brackets_is_no_pattern(tmp_path: Path) -> None:
    events_csv(tmp_path, f"2,b,{TIME}", name="e1.csv")
    path = events_csv(tmp_path, f"1,a,{TIME}", name="e[1].csv")
    assert load(tmp_path, Sources(path)).values("#user_id") == [1]


def test_bad_rows_are_counted_and_the_first_are_named(tmp_path: Path) -> None:
    path = events_csv(
        tmp_path,
        f"1,a,{TIME}",
        f",a,{TIME}",
        f"x7,a,{TIME}",
        f"1,,{TIME}",
        '1,"",' + TIME,
        "1,a,",
        "1,a,yesterday",
        "1.0,a,",
        f"2,b,{TIME}",
    )
    error = refused(tmp_path, Sources(path))
    assert error.code == "load_refused"
    assert "7 of 9 rows" in error.message.en
    assert "1 × `#user_id` is missing, 2 × `#event_name` is missing, 1 × `#event_time` is missing" in error.message.en
    assert "--skip-bad-rows" in error.next_step.en
    assert [(problem.code, problem.got) for problem in error.problems] == [
        ("missing_user_id", ""),
        ("unreadable_user_id", "x7"),
        ("missing_event_name", ""),
        ("missing_event_name", ""),
        ("missing_event_time", ""),
        ("unreadable_event_time", "yesterday"),
        ("unreadable_user_id", "1.0"),
    ]
    assert error.problems[1].message.en == f"row 3 of {path}: `#user_id` is not a whole number of 64 bits: 'x7'"


def test_at_most_twenty_bad_rows_are_named(tmp_path: Path) -> None:
    error = refused(tmp_path, Sources(events_csv(tmp_path, *[f",a,{TIME}"] * 50, f"1,a,{TIME}")))
    assert "50 of 51 rows" in error.message.en
    assert [problem.message.en.split(" of ")[0] for problem in error.problems] == [f"row {n}" for n in range(1, 21)]


def test_bad_rows_can_be_skipped_and_stay_counted(tmp_path: Path) -> None:
    path = events_csv(tmp_path, f",a,{TIME}", f"1,a,{TIME}", "1,a,soon", f"2,b,{TIME}")
    loaded = load(tmp_path, Sources(path), SKIP)
    assert loaded.values("#user_id") == [1, 2]
    assert [(bad.table, bad.rows, bad.counts) for bad in loaded.built.report.skipped] == [
        ("event", 4, {"missing_user_id": 1, "unreadable_event_time": 1})
    ]
    assert [row.row for row in loaded.built.report.skipped[0].first] == [1, 3]


def test_nothing_is_loaded_where_all_rows_are_bad(tmp_path: Path) -> None:
    assert (
        "2 of 2 rows" in refused(tmp_path, Sources(events_csv(tmp_path, f",a,{TIME}", f",b,{TIME}")), SKIP).message.en
    )


def test_rows_with_a_wrong_number_of_fields_are_bad(tmp_path: Path) -> None:
    path = events_csv(tmp_path, f"1,a,{TIME}", "2,b", f"3,c,{TIME},surplus", f",d,{TIME}", f"4,e,{TIME}")
    error = refused(tmp_path, Sources(path))
    assert [(p.code, p.message.en.split(" of ")[0]) for p in error.problems] == [
        ("too_few_fields", "row 2"),
        ("too_many_fields", "row 3"),
        ("missing_user_id", "row 4"),
    ]
    assert "3 of 5 rows" in error.message.en
    assert load(tmp_path, Sources(path), SKIP).values("#user_id") == [1, 4]


def test_a_quote_that_never_closes_is_not_skipped(tmp_path: Path) -> None:
    """It would swallow every row behind it."""
    path = events_csv(tmp_path, f'1,"a,{TIME}', f"2,b,{TIME}", f"3,c,{TIME}")
    assert "line 2" in refused(tmp_path, Sources(path), SKIP).message.en


def test_of_users_with_one_id_the_first_is_kept(tmp_path: Path) -> None:
    users = write(tmp_path / "users.csv", "#user_id,level\n5,1\n7,2\n5,3\n,4\n5,5\n")
    sources = Sources(events_csv(tmp_path, f"5,a,{TIME}"), users)
    error = refused(tmp_path, sources)
    assert [(p.code, p.path, p.got) for p in error.problems] == [
        ("duplicate_user", "/users", "5"),
        ("missing_user_id", "/users", ""),
        ("duplicate_user", "/users", "5"),
    ]
    loaded = load(tmp_path, sources, SKIP)
    assert loaded.rows('SELECT "#user_id", level FROM users') == [(5, 1), (7, 2)]
    assert loaded.built.report.skipped[0].counts == {"missing_user_id": 1, "duplicate_user": 2}


def test_blank_lines_are_no_rows_in_a_file_of_one_column_either(tmp_path: Path) -> None:
    users = write(tmp_path / "users.csv", "#user_id\n5\n\n7\n\n")
    assert load(tmp_path, Sources(users=users)).values("#user_id", "users") == [5, 7]


def test_a_header_may_hold_a_line_break(tmp_path: Path) -> None:
    loaded = load(tmp_path, Sources(events_csv(tmp_path, f"1,a,{TIME},5", head=f'{HEAD},"two\nlines"')))
    assert loaded.property("two\nlines").high == "5"


def test_identical_event_rows_are_all_kept(tmp_path: Path) -> None:
    assert load(tmp_path, Sources(events_csv(tmp_path, *[f"1,a,{TIME}"] * 3))).built.metadata.rows == 3


@pytest.mark.parametrize("encoding", ["gbk", "utf-16", "utf-16-be", "big5"])
def test_other_encodings_are_read(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "events.csv", f"{HEAD},x\n1,登入,{TIME},這是中文的內容\n".encode(encoding, "replace"))
    assert load(tmp_path, Sources(path)).values("x") in (
        ["這是中文的內容"],
        ["這是中文的內容".encode(encoding, "replace").decode(encoding)],
    )


def test_one_character_far_down_decides_the_encoding(tmp_path: Path) -> None:
    text = (f"{HEAD},x\n" + f"1,a,{TIME},b\n" * 20_000).encode() + f"1,a,{TIME},中文\n".encode("gbk")
    loaded = load(tmp_path, Sources(write(tmp_path / "events.csv", text)))
    assert loaded.values("x")[-1] == "中文"
    assert loaded.built.mapping.files[0].encoding == "gb18030"


def test_an_encoding_that_is_named_must_fit(tmp_path: Path) -> None:
    path = write(tmp_path / "events.csv", f"{HEAD},x\n1,a,{TIME},中文\n".encode("gbk"))
    assert "is not utf-8 text" in refused(tmp_path, Sources(path, encoding="utf-8")).message.en


def test_lines_may_end_in_any_mix(tmp_path: Path) -> None:
    text = f"{HEAD}\r\n1,a,{TIME}\n2,a,{TIME}\r3,a,{TIME}\n"
    assert load(tmp_path, Sources(write(tmp_path / "ends.csv", text))).values("#user_id") == [1, 2, 3]


def test_a_name_given_twice_is_told_apart(tmp_path: Path) -> None:
    loaded = load(tmp_path, Sources(write(tmp_path / "twice.csv", f"{HEAD},Level,level,\n1,a,{TIME},1,2,\n")))
    assert (loaded.values("Level"), loaded.values("level 2")) == ([1], [2])
    assert any("level 2" in note.zh for note in loaded.built.report.notes)


def test_columns_are_recognised_by_their_names(tmp_path: Path) -> None:
    loaded = load(tmp_path, Sources(events_csv(tmp_path, f"1,a,{TIME}", head="userid,event,timestamp")))
    assert loaded.rows("FROM events") == [(1, "a", at("2024-05-01 02:00:00"), 0)]


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("empty.csv", "", "is empty"),
        ("blank.csv", "\n\n", "holds no line"),
        ("head.csv", HEAD + "\n", "holds no rows"),
        ("open.csv", f'"{HEAD}\n1,a,{TIME}\n', "header of"),
        ("cut.csv.gz", "\x1f", "cannot be read"),
        ("events.xlsx", "PK", "cannot be read as a workbook"),
        ("row.csv", f"{HEAD},$row\n1,a,{TIME},5\n", "$row"),
    ],
)
def test_files_that_cannot_be_loaded_say_why(tmp_path: Path, name: str, text: str, word: str) -> None:
    assert word in refused(tmp_path, Sources(write(tmp_path / name, text))).message.en


def test_a_missing_file_suggests_the_nearest(tmp_path: Path) -> None:
    events_csv(tmp_path, f"1,a,{TIME}", name="purchases.csv")
    error = refused(tmp_path, Sources(str(tmp_path / "purchase.csv")))
    assert "There is no file" in error.message.en
    assert "purchases.csv" in error.next_step.en


@pytest.mark.parametrize("path", ["", "a\0.csv", "\udce9.csv", "a\nb.csv"])
def test_impossible_paths_are_refused(tmp_path: Path, path: str) -> None:
    refused(tmp_path, Sources(path)).message.en.encode()


def test_an_empty_folder_and_an_empty_pattern_are_refused(tmp_path: Path) -> None:
    assert "no file in the folder" in refused(tmp_path, Sources(str(tmp_path))).message.en
    assert "There is no file" in refused(tmp_path, Sources(str(tmp_path / "*.csv"))).message.en


def test_files_of_different_formats_are_refused(tmp_path: Path) -> None:
    events_csv(tmp_path, f"1,a,{TIME}", name="a.csv")
    write(tmp_path / "a.ndjson", "{}")
    assert "different formats" in refused(tmp_path, Sources(str(tmp_path / "a.*"))).message.en


def test_other_column_names_are_mapped(tmp_path: Path) -> None:
    path = events_csv(tmp_path, f"1,a,{TIME},9", head="customer_id,type,ts,x")
    columns = {"user_id": "customer_id", "#event_name": "type", "event_time": "TS"}
    loaded = load(tmp_path, Sources(path, columns=columns))
    assert loaded.rows("FROM events") == [(1, "a", at("2024-05-01 02:00:00"), 9, 0)]


def test_a_mapped_name_may_stand_in_one_file_only(tmp_path: Path) -> None:
    users = write(tmp_path / "users.csv", "#user_id,mail\n1,a@b\n")
    events = events_csv(tmp_path, f"1,a,{TIME}", head="uid,#event_name,#event_time")
    loaded = load(tmp_path, Sources(events, users, {"user_id": "uid", "account_id": "mail"}))
    assert loaded.rows("FROM users") == [(1, "a@b")]


@pytest.mark.parametrize(
    ("head", "columns", "message", "next_step"),
    [
        (
            "customer,#event_name,#event_time",
            {"user_id": "customers"},
            "No file has the column 'customers'",
            "Did you mean customer",
        ),
        ("#user_id,#event_name,#event_time", {"user": "x"}, "'user' is no system column", "#user_id"),
        ("#user_id,#event_name,#event_time", {"account_id": "mail"}, "No file has the column 'mail'", "--map"),
        ("#user_id,uid,#event_time", {"user_id": "uid", "event_name": "uid"}, "both #user_id and 'uid'", "rename"),
        ("x,uid,#event_time", {"user_id": "uid", "event_name": "uid"}, "cannot be both", "Map each"),
    ],
)
def test_missing_and_wrongly_mapped_columns_say_what_to_do(
    tmp_path: Path, head: str, columns: dict[str, str], message: str, next_step: str
) -> None:
    error = refused(tmp_path, Sources(events_csv(tmp_path, f"1,a,{TIME}", head=head), columns=columns))
    assert message in error.message.en
    assert next_step in error.next_step.en


def test_system_names_ignore_case_and_blanks(tmp_path: Path) -> None:
    loaded = load(tmp_path, Sources(events_csv(tmp_path, f"1,a,{TIME}", head="#User_ID, #event_name ,#event_time")))
    assert loaded.values("#user_id") == [1]


def test_no_file_and_a_wrong_zone_are_refused(tmp_path: Path) -> None:
    assert "No files" in refused(tmp_path, Sources()).message.en
    error = refused(tmp_path, one_column(tmp_path, "1"), LoadOptions("1", "Asia/Shangai"))
    assert "Asia/Shanghai" in error.next_step.en


def test_rows_are_kept_in_physical_order(tmp_path: Path) -> None:
    path = events_csv(
        tmp_path, "3,b,2024-01-02", "1,a,2024-01-03", "2,b,2024-01-01", "9,a,2024-01-03", "5,a,2024-01-01"
    )
    loaded = load(tmp_path, Sources(path), SHANGHAI)
    assert loaded.rows('SELECT "#event_name", "#user_id", "$row" FROM events') == [
        ("a", 5, 4),
        ("a", 1, 1),
        ("a", 9, 3),
        ("b", 2, 2),
        ("b", 3, 0),
    ]
