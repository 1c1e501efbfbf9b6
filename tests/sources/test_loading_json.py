"""Newline-delimited JSON: a value is what JSON says it is; strings may all be times, never numbers."""

from datetime import datetime
from pathlib import Path

import pytest

from mcp_server.sources.loading import LoadOptions, Sources
from tests.sources.loads import TIME, load, ndjson, one_key, refused, write

SKIP = LoadOptions("1", "Asia/Shanghai", skip_bad_rows=True)
SYSTEM = {"#user_id": 1, "#event_name": "a", "#event_time": TIME}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


COLUMNS: dict[str, tuple[list[object], str, list[object]]] = {
    "whole": ([1, -5, 2**63 - 1], "BIGINT", [1, -5, 2**63 - 1]),
    "double": ([1, 2.5, 1e300], "DOUBLE", [1.0, 2.5, 1e300]),
    "too long": ([2**64, 1], "VARCHAR", [str(2**64), "1"]),
    "bool": ([True, None, False], "BOOLEAN", [True, None, False]),
    "time": (
        [TIME, "2024-05-01T10:00:00.5+01:00"],
        "TIMESTAMP",
        [at("2024-05-01 02:00:00"), at("2024-05-01 09:00:00.5")],
    ),
    "digits": (["1", "2"], "VARCHAR", ["1", "2"]),
    "truth": (["true", "false"], "BOOLEAN", [True, False]),
    "empty": (["", "a"], "VARCHAR", ["", "a"]),
    "list": ([["a", None, "é\u4e2d"], [], None], "VARCHAR[]", [["a", None, "é\u4e2d"], [], None]),
    "numbers": ([[1, 2.5, "x", True]], "VARCHAR[]", [["1", "2.5", "x", "true"]]),
    "mixed": (["a", 1, True, [1]], "VARCHAR", ["a", "1", "true", "[1]"]),
    'q"uo.te': ([1], "BIGINT", [1]),
    "级别": (["a\\b\n\u0000c"], "VARCHAR", ["a\\b\n\u0000c"]),
    "#vp@x": ([float("nan"), 1.5, float("inf")], "DOUBLE", [None, 1.5, None]),
}


def test_a_property_has_the_type_that_all_its_values_have(tmp_path: Path) -> None:
    rows = max(len(values) for values, _, _ in COLUMNS.values())
    objects = [SYSTEM | {name: v[i] for name, (v, _, _) in COLUMNS.items() if i < len(v)} for i in range(rows)]
    loaded = load(tmp_path, Sources(ndjson(tmp_path / "events.ndjson", objects)))
    for name, (_, kind, values) in COLUMNS.items():
        quoted = name.replace('"', '""')
        found = (loaded.property(name).type, loaded.values(quoted))
        kinds = {
            "BIGINT": "number",
            "DOUBLE": "number",
            "BOOLEAN": "bool",
            "TIMESTAMP": "time",
            "VARCHAR": "string",
            "VARCHAR[]": "list",
        }
        assert found == (kinds[kind], values + [None] * (rows - len(values))), name
    report = loaded.built.report
    assert report.not_a_number == {"event.#vp@x": 2}
    notes = {note.name: note.text.en for note in report.mixed}
    assert set(notes) == {"too long", "numbers", "mixed"}
    assert notes["mixed"] == "read as text: it holds values of several kinds (bool / list / number / string)"
    assert notes["numbers"] == "3 items that are no strings are read as their text"


def test_system_columns_are_read_as_what_they_are(tmp_path: Path) -> None:
    objects = [
        {"#user_id": "9007199254740993", "#event_name": 7, "#event_time": TIME, "#account_id": 5},
        {"#user_id": 2**63 - 1, "#event_name": "b", "#event_time": "2024-05-01T10:00:00Z", "#account_id": "005"},
    ]
    loaded = load(tmp_path, Sources(ndjson(tmp_path / "e.jsonl", objects)))
    assert loaded.values("#user_id") == [9007199254740993, 2**63 - 1]
    assert loaded.values("#event_name") == ["7", "b"]
    assert loaded.values("#account_id") == ["5", "005"]
    assert loaded.values("#event_time") == [at("2024-05-01 02:00:00"), at("2024-05-01 10:00:00")]


def test_lines_that_are_no_objects_are_bad_rows(tmp_path: Path) -> None:
    good = '{"#user_id": 1, "#event_name": "a", "#event_time": "2024-05-01"}'
    lines = [
        good,
        "",
        "{broken",
        "[1]",
        '"text"',
        good + good,
        '{"#user_id": 2.5, "#event_name": "a", "#event_time": "2024-05-01"}',
        good,
    ]
    path = write(tmp_path / "e.ndjson", "\n".join(lines))
    error = refused(tmp_path, Sources(path))
    assert [(p.code, p.message.en.split(" of ")[0]) for p in error.problems] == [
        ("unreadable_row", "row 2"),
        ("unreadable_row", "row 3"),
        ("unreadable_row", "row 4"),
        ("unreadable_row", "row 5"),
        ("unreadable_user_id", "row 6"),
    ]
    assert load(tmp_path, Sources(path), SKIP).values("#user_id") == [1, 1]


def test_rows_are_numbered_in_their_own_file(tmp_path: Path) -> None:
    ndjson(tmp_path / "e1.ndjson", [SYSTEM, SYSTEM])
    ndjson(tmp_path / "e2.ndjson", [SYSTEM, {"#user_id": 1}])
    problem = refused(tmp_path, Sources(str(tmp_path / "e*.ndjson"))).problems[0]
    assert problem.message.en.startswith(f"row 2 of {tmp_path / 'e2.ndjson'}")


def test_objects_become_columns_and_lists_of_objects_texts(tmp_path: Path) -> None:
    loaded = load(tmp_path, one_key(tmp_path, {"a": 1, "b": {"c": "x"}}, {"a": 2}))
    assert (loaded.values("x.a"), loaded.values("x.b.c")) == ([1, 2], ["x", None])
    assert load(tmp_path, one_key(tmp_path, 1, {"a": 1}), name="mixed").values("x") == ["1", '{"a":1}']
    assert load(tmp_path, one_key(tmp_path, [{"a": 1}]), name="list").values("x") == ['[{"a":1}]']


def test_of_a_key_given_twice_the_last_counts(tmp_path: Path) -> None:
    text = '{"#user_id": 1, "#event_name": "a", "#event_time": "2024-05-01", "x": 1, "x": 2}\n'
    assert load(tmp_path, Sources(write(tmp_path / "e.ndjson", text))).values("x") == [2]


def test_names_that_differ_in_case_only_are_refused(tmp_path: Path) -> None:
    path = ndjson(tmp_path / "e.ndjson", [SYSTEM | {"Level": 1}, SYSTEM | {"level": 2}])
    message = refused(tmp_path, Sources(path)).message.en
    assert "'Level'" in message
    assert "'level'" in message


def test_too_many_keys_are_refused(tmp_path: Path) -> None:
    path = ndjson(tmp_path / "e.ndjson", [SYSTEM | {f"user{i}": 1 for i in range(2000)}])
    assert "2,001 columns" in refused(tmp_path, Sources(path)).message.en


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    line = b'{"#user_id": 1, "#event_name": "a", "#event_time": "2024-05-01"}\r\n'
    path = write(tmp_path / "e.ndjson", b"\xef\xbb\xbf" + line * 2)
    loaded = load(tmp_path, Sources(path))
    assert loaded.built.report.rows == 2


def test_another_encoding_is_read(tmp_path: Path) -> None:
    line = '{"#user_id": 1, "#event_name": "登录", "#event_time": "2024-05-01"}\n'
    loaded = load(tmp_path, Sources(write(tmp_path / "e.ndjson", line.encode("gbk"))))
    assert loaded.values("#event_name") == ["登录"]


@pytest.mark.parametrize("text", ["[\n{line}\n]", "[{line}, {line}]", '{"data": {"items": [{line}]}, "total": 1}'])
def test_lists_of_objects_are_read(tmp_path: Path, text: str) -> None:
    line = '{"#user_id": 1, "#event_name": "a", "#event_time": "2024-05-01"}'
    loaded = load(tmp_path, Sources(write(tmp_path / "e.json", text.replace("{line}", line))))
    assert set(loaded.values("#user_id")) == {1}


def test_json_without_a_list_of_objects_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "e.json", '{\n  "#user_id": 1\n}')
    assert "no list of objects" in refused(tmp_path, Sources(path)).message.en


def test_users_may_come_as_json_beside_events_of_another_format(tmp_path: Path) -> None:
    events = write(tmp_path / "e.csv", f"#user_id,#event_name,#event_time\n1,a,{TIME}\n3,a,{TIME}\n")
    users = ndjson(tmp_path / "u.ndjson", [{"#user_id": 2, "tags": ["x"]}, {"#user_id": 1, "vip": True}])
    loaded = load(tmp_path, Sources(events, users))
    assert loaded.rows("FROM users") == [(1, None, True), (2, ["x"], None)]
    assert loaded.built.report.unknown_user_rows == 1
