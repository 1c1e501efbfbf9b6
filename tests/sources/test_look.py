"""Look, then load: what is worked out, what is asked, the mapping, and the cases that real files brought."""

import gzip
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from mcp_server.cli import main
from mcp_server.errors import LoadRefused
from mcp_server.sources.loading import LoadOptions, Sources
from mcp_server.sources.mapping import parse_mapping, read_mapping, write_mapping
from tests.asking_duckdb import rows_of
from tests.sources.loads import TIME, load, ndjson, refused, write

SHANGHAI = LoadOptions("1", "Asia/Shanghai")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def table(tmp_path: Path, head: str, *lines: str, name: str = "orders.csv") -> Sources:
    return Sources(files=[write(tmp_path / name, "\n".join([head, *lines]) + "\n")])


# Ids are what they are


def test_text_ids_become_accounts_with_numbers_that_stay(tmp_path: Path) -> None:
    sources = table(tmp_path, "buyer_id,event,time", f"u_2,buy,{TIME}", f"u_1,buy,{TIME}", f"u_2,buy,{TIME}")
    first = load(tmp_path, sources)
    assert first.rows('SELECT "#user_id", "#account_id" FROM users ORDER BY 1') == [(1, "u_2"), (2, "u_1")]
    assert first.rows('SELECT "#user_id", "#account_id" FROM events ORDER BY "$row"') == [
        (1, "u_2"),
        (2, "u_1"),
        (1, "u_2"),
    ]
    assert any("#account_id" in note.zh for note in first.built.report.notes)
    later = table(tmp_path, "buyer_id,event,time", f"u_0,buy,{TIME}", f"u_1,buy,{TIME}")
    second = load(tmp_path, later, previous=first.path, name="second")
    assert second.rows('SELECT "#user_id", "#account_id" FROM users ORDER BY 1') == [(2, "u_1"), (3, "u_0")]


def test_a_mapped_text_column_just_works(tmp_path: Path) -> None:
    sources = table(tmp_path, "buyer,what,time", f"a@b.c,buy,{TIME}")
    loaded = load(tmp_path, Sources(sources.files[0], columns={"user_id": "buyer", "event_name": "what"}))
    assert loaded.rows('SELECT "#account_id", "#event_name" FROM events') == [("a@b.c", "buy")]


def test_a_device_belongs_to_the_first_person_it_is_seen_with(tmp_path: Path) -> None:
    lines = [f",d1,open,{TIME}", "a,d1,login,2024-05-02", ",d2,open,2024-05-03", "b,d1,login,2024-05-04"]
    loaded = load(tmp_path, table(tmp_path, "user_id,device_id,event,time", *lines))
    assert [row[0] for row in loaded.rows('SELECT "#user_id" FROM events ORDER BY "#event_time"')] == [1, 1, 2, 3]


def test_users_and_events_of_several_files_are_told_apart(tmp_path: Path) -> None:
    orders = write(
        tmp_path / "orders.csv", f"customer_id,event,time,sum\nc1,buy,{TIME},5\nc1,buy,{TIME},6\nc2,buy,{TIME},7\n"
    )
    people = write(tmp_path / "customers.csv", "customer_id,city,birthday\nc1,上海,1990-01-02\nc2,北京,1991-03-04\n")
    loaded = load(tmp_path, Sources(files=[orders, people]))
    assert [section.role for section in loaded.built.mapping.files] == ["events", "users"]
    assert loaded.rows('SELECT "#account_id", city FROM users ORDER BY 1') == [("c1", "上海"), ("c2", "北京")]


def test_several_files_of_events_are_one_table(tmp_path: Path) -> None:
    head = "#user_id,#event_name,#event_time,amount"
    first = write(tmp_path / "a.csv", f"{head},city\n1,buy,{TIME},5,p\n2,buy,{TIME},6,q\n")
    second = write(
        tmp_path / "b.csv", f"{head},vip\n1,pay,{TIME},5.5,true\n3,pay,{TIME},6.5,maybe\n2,pay,{TIME},7,true\n"
    )
    loaded = load(tmp_path, Sources([first, second]))
    assert loaded.rows('SELECT "#user_id", amount, city, vip FROM events ORDER BY "$row"') == [
        (1, 5.0, "p", None), (2, 6.0, "q", None), (1, 5.5, None, "true"), (3, 6.5, None, "maybe"), (2, 7.0, None, "true"),
    ]  # fmt: skip
    assert [note.name for note in loaded.built.report.mixed] == ["vip"]


# Events


def test_a_constant_event_name(tmp_path: Path) -> None:
    sources = table(tmp_path, "user_id,time", f"1,{TIME}")
    named = Sources(files=sources.files, event_names=["order"])
    assert load(tmp_path, named).values("#event_name") == ["order"]


def test_an_order_with_several_rows_is_asked_for_and_counts_once(tmp_path: Path) -> None:
    head = "order_id,customer_id,created_at,total,item"
    lines = [f"A1,7,{TIME},30,x", f"A1,7,{TIME},30,y", f"A2,8,{TIME},5,z", f"A3,7,{TIME},6,z"]
    sources = table(tmp_path, head, *lines)
    assert [problem.path for problem in refused(tmp_path, sources).problems] == ["/once_per"]
    once = load(tmp_path, Sources(files=sources.files, answers={"once_per": "order_id", "each_row": "line"}))
    assert once.rows('SELECT "#event_name", count(*), sum(total) FROM events GROUP BY 1 ORDER BY 1') == [
        ("line", 4, 71),
        ("order", 3, 41),
    ]
    rows = load(tmp_path, Sources(files=sources.files, answers={"once_per": ""}), name="rows")
    assert rows.built.report.rows == 4


def test_several_times_of_a_row_become_several_events(tmp_path: Path) -> None:
    lines = [f"1,{TIME},2024-05-02", f"2,{TIME},"]
    loaded = load(tmp_path, table(tmp_path, "user_id,created_at,paid_at", *lines))
    assert loaded.rows('SELECT "#event_name", count(*) FROM events GROUP BY 1 ORDER BY 1') == [("order", 2), ("pay", 1)]


def test_rows_of_several_kinds_are_split_by_the_words_of_the_question(tmp_path: Path) -> None:
    lines = [
        {"type": "track", "userId": "a", "event": "buy", "timestamp": "2024-05-01T10:00:00Z"},
        {"type": "identify", "userId": "a", "traits": {"plan": "pro"}, "timestamp": "2024-05-01T10:00:00Z"},
        {"type": "page", "userId": "a", "timestamp": "2024-05-01T10:00:00Z"},
    ]
    path = ndjson(tmp_path / "e.jsonl", lines)
    assert [problem.path for problem in refused(tmp_path, Sources(files=[path])).problems] == ["/only"]
    answer = "events: type = track; users: type = identify"
    loaded = load(tmp_path, Sources(files=[path], answers={"only": answer}))
    assert loaded.rows('SELECT "#event_name" FROM events') == [("buy",)]
    assert loaded.rows('SELECT "#account_id", "traits.plan" FROM users') == [("a", "pro")]


def test_names_are_given_where_the_file_has_none(tmp_path: Path) -> None:
    path = write(tmp_path / "cdr.csv", f"015,{TIME},5\n016,{TIME},7\n015,{TIME},8\n")
    answers = {"names": "src,start,seconds", "user": "src", "event_name": "call"}
    loaded = load(tmp_path, Sources(files=[path], answers=answers))
    assert loaded.rows('SELECT "#account_id", sum(seconds) FROM events GROUP BY 1 ORDER BY 1') == [
        ("015", 13),
        ("016", 7),
    ]


# Values


@pytest.mark.parametrize(
    ("fields", "kind", "values"),
    [
        (["2026/11/3 9:05", "2026/11/13"], "TIMESTAMP", [at("2026-11-03 01:05"), at("2026-11-12 16:00")]),
        (["2026年11月3日", "2026年1月13日"], "TIMESTAMP", [at("2026-11-02 16:00"), at("2026-01-12 16:00")]),
        (
            ["2026-11-03 09:05:00 UTC", "2026-11-04 00:00:00 UTC"],
            "TIMESTAMP",
            [at("2026-11-03 09:05"), at("2026-11-04")],
        ),
        (["13.11.2026 12:44", "1.2.2026"], "TIMESTAMP", [at("2026-11-13 04:44"), at("2026-01-31 16:00")]),
        (["¥1", "918.77元", "-5"], "DOUBLE", [1.0, 918.77, -5.0]),
        (["12.5%", "0.6%"], "DOUBLE", [0.125, 0.006]),
        (["是", "否", "是"], "BOOLEAN", [True, False, True]),
        (["Y", "N"], "BOOLEAN", [True, False]),
        (["13800138000", "13900139000"], "VARCHAR", ["13800138000", "13900139000"]),
        (["254秒", "3秒"], "DOUBLE", [254.0, 3.0]),
        (["NULL", "5", "\\N", "6"], "BIGINT", [None, 5, None, 6]),
        (["无", "5"], "BIGINT", [None, 5]),
        (["'007", "'008"], "VARCHAR", ["007", "008"]),
        (['"=""00123"""', '"=""5"""'], "VARCHAR", ["00123", "5"]),
        ([" a ", "b\t"], "VARCHAR", ["a", "b"]),
    ],
)
def test_forms_of_values(tmp_path: Path, fields: list[str], kind: str, values: list[object]) -> None:
    lines = [f"{i},a,{TIME},{field}" for i, field in enumerate(fields)]
    loaded = load(tmp_path, table(tmp_path, "user_id,event,time,x", *lines))
    assert (loaded.kind("x"), loaded.values("x")) == (kind, values)


def test_day_and_month_are_never_guessed(tmp_path: Path) -> None:
    sources = table(tmp_path, "user_id,event,time", "1,a,01/02/2026", "1,a,03/04/2026")
    error = refused(tmp_path, sources)
    assert [problem.path for problem in error.problems] == ["/columns.time.read"]
    assert "month-day-year" in error.problems[0].expected.zh
    wrong = refused(tmp_path, Sources(files=sources.files, answers={"columns.time.read": "year"}))
    assert "month-day-year" in wrong.next_step.zh
    answered = Sources(files=sources.files, answers={"columns.time.read": "day-month-year"})
    assert load(tmp_path, answered).values("#event_time")[0] == at("2026-01-31 16:00")


@pytest.mark.parametrize("value", ["1793696700", "1793696700000", "1793696700000000"])
def test_epochs_are_read_as_event_times(tmp_path: Path, value: str) -> None:
    sources = Sources(write(tmp_path / "e.csv", f"#user_id,#event_name,#event_time\n1,open,{value}\n"))
    assert load(tmp_path, sources).values("#event_time") == [at("2026-11-03 09:05")]


def test_types_and_columns_are_overruled(tmp_path: Path) -> None:
    sources = table(tmp_path, "user_id,event,time,x,y", f"1,a,{TIME},5,6")
    loaded = load(tmp_path, Sources(files=sources.files, types={"x": "text"}, leave_out=["y"]))
    assert loaded.values("x") == ["5"]
    assert [p.name for p in loaded.built.metadata.properties if not p.name.startswith("#")] == ["x"]
    wrong = refused(tmp_path, Sources(files=sources.files, leave_out=["z"]))
    assert "--leave-out" in wrong.message.en


def test_digits_that_a_spreadsheet_shortened_are_reported(tmp_path: Path) -> None:
    loaded = load(
        tmp_path, table(tmp_path, "user_id,event,time,card_no", f"1,a,{TIME},1.38E+10", f"2,a,{TIME},1.39E+10")
    )
    assert any("1.38E+10" in note.text.zh for note in loaded.built.report.mixed)


# Files


def test_packed_files_are_known_by_their_content(tmp_path: Path) -> None:
    text = f"user_id,event,time\n1,a,{TIME}\n"
    packed = tmp_path / "export.data"
    packed.write_bytes(gzip.compress(text.encode("gb18030")))
    assert load(tmp_path, Sources(files=[str(packed)])).values("#user_id") == [1]
    rows_of(
        f"COPY (SELECT 2 AS user_id, 'a' AS event, '{TIME}' AS time) TO '{tmp_path / 'e.csv.zst'}' (COMPRESSION zstd)"
    )
    assert load(tmp_path, Sources(files=[str(tmp_path / "e.csv.zst")]), name="zst").values("#user_id") == [2]


def test_folders_are_read_with_the_columns_of_their_names(tmp_path: Path) -> None:
    for day in ("2026-11-01", "2026-11-02"):
        folder = tmp_path / "events" / f"dt={day}"
        folder.mkdir(parents=True)
        write(folder / "part.csv", f"user_id,event,time\n1,a,{day} 10:00:00\n")
        write(folder / "_SUCCESS", "")
    loaded = load(tmp_path, Sources(files=[str(tmp_path / "events")]))
    assert sorted(loaded.values("dt")) == [at("2026-10-31 16:00"), at("2026-11-01 16:00")]


def test_an_address_says_what_to_do(tmp_path: Path) -> None:
    assert "curl" in refused(tmp_path, Sources(files=["https://example.com/a.csv"])).next_step.zh


def test_bad_rows_say_what_is_the_matter(tmp_path: Path) -> None:
    head = "#user_id,#event_name,#event_time,amount,note"
    lines = [
        f"1,open,{TIME},5",
        f"2,open,{TIME},6,hello,extra",
        f'3,open,{TIME},7,"say \\"hi\\""',
        f"4,open,{TIME},8,ok",
    ]
    error = refused(tmp_path, Sources(write(tmp_path / "events.csv", "\n".join([head, *lines]) + "\n")))
    assert [problem.code for problem in error.problems] == ["too_few_fields", "too_many_fields", "open_quote"]
    assert "4 of 5" in error.problems[0].got


PEAK = """
import resource, sys
from mcp_server.cli import main
main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
def test_memory_grows_with_the_columns_and_not_with_their_square(tmp_path: Path) -> None:
    """200 columns of 20 rows took 5.6 GB when all tests of all columns were one statement."""
    names = [f"p{i:03}" for i in range(200)]
    lines = [",".join([f"{n},a,{TIME}", *(f"word{n}" for _ in names)]) for n in range(20)]
    path = write(
        tmp_path / "wide.csv", "\n".join([f"#user_id,#event_name,#event_time,{','.join(names)}", *lines]) + "\n"
    )
    command = [sys.executable, "-c", PEAK, "load", path, "--workspace", str(tmp_path / "w")]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    assert int(done.stdout.splitlines()[-1]) < 600


# The vendor's SDK logs


def track(**more: Any) -> dict[str, Any]:
    line = {
        "#type": "track",
        "#account_id": "a",
        "#time": "2026-11-03 09:05:00",
        "#event_name": "pay",
        "properties": {},
    }
    return line | {f"#{key}" if key != "properties" else key: value for key, value in more.items()}


def test_a_log_needs_no_ending_and_files_count_by_their_numbers(tmp_path: Path) -> None:
    ndjson(tmp_path / "log.2026-11-30-11_10", [{**track(type="user_set"), "properties": {"level": 10}}])
    ndjson(tmp_path / "log.2026-11-30-11_2", [{**track(type="user_set"), "properties": {"level": 2}}, track()])
    loaded = load(tmp_path, Sources(files=[str(tmp_path / "log.*")]))
    assert loaded.values("level", "users") == [10]


def test_first_checks_and_uuids_count_once(tmp_path: Path) -> None:
    lines = [track(event_name="first", first_check_id="d", properties={"n": n}) for n in (1, 2)]
    lines += [track(event_name="other", first_check_id="d"), track(uuid="u"), track(uuid="u"), track(), track()]
    loaded = load(tmp_path, Sources(files=[ndjson(tmp_path / "log.jsonl", lines)]))
    assert loaded.rows('SELECT "#event_name", count(*) FROM events GROUP BY 1 ORDER BY 1') == [
        ("first", 1),
        ("other", 1),
        ("pay", 3),
    ]
    assert loaded.rows("SELECT n FROM events WHERE n IS NOT NULL") == [(1,)]
    assert sum("#uuid" in note.en or "#first_check_id" in note.en for note in loaded.built.report.notes) == 2


def test_updates_and_overwrites_fold_into_one_event(tmp_path: Path) -> None:
    lines = [
        track(type="track_update", event_id="o1", event_name="order", properties={"status": "new", "price": 5}),
        track(
            type="track_update",
            event_id="o1",
            event_name="order",
            time="2026-11-03 10:05:00",
            properties={"status": "paid"},
        ),
        track(
            type="track_overwrite",
            event_id="o2",
            event_name="order",
            time="2026-11-03 10:05:00",
            properties={"status": "done"},
        ),
        track(type="track_update", event_id="o3", event_name="order", properties={"price": 1}),
        track(
            type="track_overwrite",
            event_id="o3",
            event_name="order",
            time="2026-11-03 11:00:00",
            properties={"status": "x"},
        ),
    ]
    loaded = load(tmp_path, Sources(files=[ndjson(tmp_path / "log.jsonl", lines)]))
    found = loaded.rows('SELECT "#event_id", status, price, "#event_time" FROM events ORDER BY 1')
    assert found == [
        ("o1", "paid", 5, at("2026-11-03 01:05")),
        ("o2", "done", None, at("2026-11-03 02:05")),
        ("o3", "x", None, at("2026-11-03 01:05")),
    ]


def test_objects_and_groups_of_a_log(tmp_path: Path) -> None:
    lines = [
        track(properties={"amount": 6, "cart": {"sku": "k1", "n": 2}, "lines": [{"sku": "k1"}, {"sku": "k2"}]}),
        track(),
    ]
    loaded = load(tmp_path, Sources(files=[ndjson(tmp_path / "log.jsonl", lines)]))
    assert loaded.values("cart.sku") == ["k1", None]
    assert loaded.values("lines.sku") == [["k1", "k2"], None]


# Mappings


def test_a_mapping_repeats_a_load_and_an_open_one_names_its_line(tmp_path: Path) -> None:
    sources = table(tmp_path, "user_id,event,time", "1,a,01/02/2026")
    mapping = tmp_path / "shop.toml"
    assert main(["look", sources.files[0], "--mapping", str(mapping), "--workspace", str(tmp_path / "w")]) == 0
    text = mapping.read_text(encoding="utf-8")
    line = (
        text.splitlines().index('"time" = { type = "time", read = "?" }  # one of: day-month-year, month-day-year') + 1
    )
    with pytest.raises(LoadRefused, match=f"line {line}"):
        read_mapping(mapping)
    mapping.write_text(text.replace('read = "?"', 'read = "day-month-year"'), encoding="utf-8")
    loaded = load(tmp_path, Sources(mapping=read_mapping(mapping), base=tmp_path))
    assert loaded.values("#event_time") == [at("2026-01-31 16:00")]
    assert parse_mapping(write_mapping(loaded.built.mapping), "x") == loaded.built.mapping


def test_a_file_that_lacks_a_column_of_the_mapping_is_refused(tmp_path: Path) -> None:
    made = load(tmp_path, table(tmp_path, "user_id,event,time,x", f"1,a,{TIME},5")).built.mapping
    table(tmp_path, "user_id,event,time,y", f"1,a,{TIME},5")
    assert "no column x" in refused(tmp_path, Sources(mapping=made, base=tmp_path)).message.en


def test_a_value_that_does_not_fit_the_mapping_is_a_bad_row(tmp_path: Path) -> None:
    made = load(tmp_path, table(tmp_path, "user_id,event,time,x", f"1,a,{TIME},5")).built.mapping
    table(tmp_path, "user_id,event,time,x", f"1,a,{TIME},5", f"1,a,{TIME},soon")
    error = refused(tmp_path, Sources(mapping=made, base=tmp_path))
    assert [(problem.code, problem.got) for problem in error.problems] == [("unreadable_value", "x = soon")]


def test_answers_are_remembered_for_the_next_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = ["--workspace", str(tmp_path / "w")]
    first = table(tmp_path, "user_id,event,time", "1,a,01/02/2026", name="day_20261101.csv").files[0]
    assert main(["load", first, *workspace]) == 1
    assert "columns.time.read" in capsys.readouterr().err
    assert main(["load", first, "--answer", "columns.time.read=day-month-year", *workspace]) == 0
    second = table(tmp_path, "user_id,event,time", "1,a,03/04/2026", name="day_20261102.csv").files[0]
    assert main(["load", second, "--replace", *workspace]) == 0, "the day is another one, so replacing is said"


def test_doctor_makes_no_workspace(tmp_path: Path) -> None:
    missing = tmp_path / "mistyped"
    main(["doctor", "--workspace", str(missing)])
    assert not missing.exists()
