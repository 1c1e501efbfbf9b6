"""The vendor's tracking format: events, users added up from their changes, ids that stay the same over loads."""

import random
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from mcp_server.sources.loading import LoadOptions, Sources
from tests.sources.loads import Loaded, events_csv, load, ndjson, refused, write

SKIP = LoadOptions("1", "Asia/Shanghai", skip_bad_rows=True)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def line(kind: str, second: int, properties: dict[str, object] | None = None, **keys: object) -> dict[str, object]:
    """One line; `account`, `visitor` and `user_id` are the ids, other keys stand at the top."""
    ids = {"account": "#account_id", "visitor": "#distinct_id", "user_id": "#user_id"}
    named = {ids.get(key, key): value for key, value in keys.items()}
    time = f"2024-05-01 10:{second // 60:02}:{second % 60:02}"
    return {"#type": kind, "#time": time} | named | ({"properties": properties} if properties is not None else {})


def track(
    second: int, name: str = "e", properties: dict[str, object] | None = None, **keys: object
) -> dict[str, object]:
    return line("track", second, properties or {}, **keys) | {"#event_name": name}


def load_lines(
    tmp_path: Path,
    lines: Sequence[object],
    options: LoadOptions = SKIP,
    previous: Path | None = None,
    name: str = "one",
) -> Loaded:
    return load(tmp_path, Sources(ndjson(tmp_path / f"{name}.ndjson", lines)), options, previous=previous, name=name)


def test_track_lines_become_events(tmp_path: Path) -> None:
    lines = [
        track(5, "pay", {"amount": 6.5, "#os": "iOS"}, account="a", **{"#ip": "1.2.3.4", "#uuid": "u1"}),
        track(1, "open", {"tags": ["x"], "amount": 1}, account="a", visitor="d"),
    ]
    loaded = load_lines(tmp_path, lines, LoadOptions("1"))
    assert loaded.rows('SELECT "#event_name", "#event_time", "#account_id", "#distinct_id", amount, "#os", "#ip", "#uuid", tags FROM events ORDER BY "$row"') == [
        ("pay", at("2024-05-01 02:00:05"), "a", None, 6.5, "iOS", "1.2.3.4", "u1", None),
        ("open", at("2024-05-01 02:00:01"), "a", "d", 1.0, None, None, None, ["x"]),
    ]  # fmt: skip
    assert loaded.rows('SELECT "#user_id", "#account_id", "#distinct_id" FROM users') == [(1, "a", "d")]


@pytest.mark.parametrize(
    ("keys", "properties", "utc"),
    [
        ({}, {}, "2024-05-01 02:00:00"),
        ({"#zone_offset": 0}, {}, "2024-05-01 10:00:00"),
        ({}, {"#zone_offset": -3.5}, "2024-05-01 13:30:00"),
        ({"#zone_offset": "5.75"}, {}, "2024-05-01 04:15:00"),
        ({"#time": "2024-05-01 10:00:00.123"}, {"#zone_offset": 9}, "2024-05-01 01:00:00.123"),
        ({"#time": "2024-05-01"}, {"#zone_offset": 8}, "2024-04-30 16:00:00"),
        ({"#time": "2024-05-01T10:00:00Z"}, {"#zone_offset": 8}, "2024-05-01 10:00:00"),
    ],
)
def test_time_is_read_with_its_zone_offset(
    tmp_path: Path, keys: dict[str, object], properties: dict[str, object], utc: str
) -> None:
    loaded = load_lines(tmp_path, [track(0, "e", properties, account="a") | keys])
    assert loaded.values("#event_time") == [at(utc)]


def one_user(tmp_path: Path, *changes: tuple[str, dict[str, object]]) -> dict[str, Any]:
    """What the changes of one user, a second apart, add up to."""
    lines = [line(kind, second, properties, account="a") for second, (kind, properties) in enumerate(changes)]
    loaded = load_lines(tmp_path, lines, LoadOptions("1"))
    names = [row[0] for row in loaded.rows("SELECT column_name FROM duckdb_columns() WHERE table_name = 'users'")]
    found = dict(zip(names, loaded.rows("FROM users")[0], strict=True))
    return {name: value for name, value in found.items() if not name.startswith("#")}


def test_changes_add_up(tmp_path: Path) -> None:
    assert one_user(
        tmp_path,
        ("user_setOnce", {"first": "2024-01-01", "a": 1}),
        ("user_set", {"a": 2, "b": "x", "n": 9007199254740993, "gone": True}),
        ("user_setOnce", {"first": "2025-01-01", "b": "y"}),
        ("user_add", {"a": 3, "n": 2, "coins": 0.1}),
        ("user_add", {"coins": 0.2}),
        ("user_append", {"tags": ["p", "q"]}),
        ("user_uniq_append", {"tags": ["q", "r", "r"]}),
        ("user_append", {"tags": ["q"]}),
        ("user_unset", {"gone": 0}),
        ("user_set", {"b": None}),
    ) == {
        "first": at("2023-12-31 16:00:00"),
        "a": 5,
        "b": "x",
        "n": 9007199254740995,
        "coins": 0.30000000000000004,
        "tags": ["p", "q", "r", "q"],
    }


def test_a_set_or_unset_begins_anew(tmp_path: Path) -> None:
    assert one_user(
        tmp_path,
        ("user_add", {"a": 5, "b": 5}),
        ("user_append", {"t": ["x"]}),
        ("user_unset", {"a": 1, "t": 1}),
        ("user_set", {"b": 1}),
        ("user_add", {"a": 2, "b": 2}),
        ("user_uniq_append", {"t": ["x", "y"]}),
    ) == {"a": 2, "b": 3, "t": ["x", "y"]}


def test_order_is_by_time_and_then_by_file(tmp_path: Path) -> None:
    lines = [
        line("user_set", 20, {"a": "late"}, account="a"),
        line("user_set", 10, {"a": "early", "b": "early"}, account="a"),
        line("user_set", 20, {"b": "first"}, account="a"),
        line("user_set", 20, {"b": "second"}, account="a"),
    ]
    loaded = load_lines(tmp_path, lines)
    assert loaded.rows("SELECT a, b FROM users") == [("late", "second")]


def test_a_deleted_user_is_no_user_unless_something_follows(tmp_path: Path) -> None:
    lines = [
        line("user_set", 1, {"x": 1}, account="gone"),
        track(2, account="gone"),
        line("user_del", 3, account="gone"),
        line("user_set", 1, {"x": 1, "y": 1}, account="back"),
        line("user_del", 2, account="back"),
        line("user_set", 3, {"y": 2}, account="back"),
        line("user_set", 1, {"x": 3}, account="seen"),
        line("user_del", 2, account="seen"),
        track(3, account="seen"),
    ]
    loaded = load_lines(tmp_path, lines)
    assert loaded.rows('SELECT "#account_id", y FROM users ORDER BY 1') == [("back", 2), ("seen", None)]
    assert loaded.built.report.unknown_user_rows == 1
    assert "x" not in {p.name for p in loaded.built.metadata.properties_of("user")}


def test_changes_that_do_not_fit_are_bad_rows(tmp_path: Path) -> None:
    lines = [
        line("user_set", 1, {"name": "Li", "level": 1, "tags": ["x"]}, account="a"),
        line("user_add", 2, {"name": 1, "level": 2}, account="a"),
        line("user_append", 3, {"level": ["x"]}, account="a"),
        line("user_add", 4, {"level": "5"}, account="a"),
        line("user_append", 5, {"tags": "y"}, account="a"),
        line("user_add", 6, {"tags": 1}, account="a"),
        line("user_add", 7, {"new": "text"}, account="b"),
        line("user_append", 8, {"new": ["t"]}, account="b"),
    ]
    path = ndjson(tmp_path / "e.ndjson", lines)
    error = refused(tmp_path, Sources(path))
    assert [(p.code, p.message.en.split(" of ")[0], p.got) for p in error.problems] == [
        ("unreadable_change", "row 2", "name: 1"),
        ("unreadable_change", "row 3", 'level: ["x"]'),
        ("unreadable_change", "row 4", 'level: "5"'),
        ("unreadable_change", "row 5", 'tags: "y"'),
        ("unreadable_change", "row 6", "tags: 1"),
        ("unreadable_change", "row 7", 'new: "text"'),
    ]
    loaded = load(tmp_path, Sources(path), SKIP)
    assert loaded.rows('SELECT "#account_id", name, level, tags, new FROM users') == [
        ("a", "Li", 3, ["x"], None),
        ("b", None, None, None, ["t"]),
    ]


def test_lines_that_cannot_be_loaded_are_counted_by_reason(tmp_path: Path) -> None:
    lines: list[object] = [
        track(1, account="a"),
        [1],
        {"#time": "2024-05-01 10:00:00", "#account_id": "a"},
        line("track_update", 1, {}, account="a") | {"#event_name": "pay"},
        track(1),
        track(1, account="", visitor=""),
        track(1, user_id="x"),
        line("track", 1, {}, account="a"),
        track(1, account="a") | {"#time": "soon"},
        track(1, account="a") | {"#time": None},
        track(1, account="a") | {"#zone_offset": "east"},
        track(1, account="a") | {"#zone_offset": float("nan")},
        track(1, account="a") | {"#zone_offset": 1e300},
        track(1, account="a") | {"properties": [1]},
    ]
    path = ndjson(tmp_path / "e.ndjson", lines)
    error = refused(tmp_path, Sources(path))
    assert "13 of 14 rows" in error.message.en
    assert [(p.code, p.got) for p in error.problems] == [
        ("unreadable_row", ""),
        ("unknown_type", ""),
        ("missing_event_id", ""),
        ("missing_id", ""),
        ("missing_id", ""),
        ("unreadable_user_id", "x"),
        ("missing_event_name", ""),
        ("unreadable_event_time", "soon"),
        ("missing_event_time", ""),
        ("unreadable_event_time", "2024-05-01 10:00:01?"),
        ("unreadable_event_time", "2024-05-01 10:00:01?"),
        ("unreadable_event_time", "2024-05-01 10:00:01?"),
        ("unreadable_row", ""),
    ]
    assert load(tmp_path, Sources(path), SKIP).built.report.rows == 1


def users_of(loaded: Loaded) -> list[tuple[Any, ...]]:
    return loaded.rows('SELECT "#user_id", "#account_id", "#distinct_id" FROM users')


def test_a_visitor_belongs_to_the_first_account_it_is_seen_with(tmp_path: Path) -> None:
    lines = [
        track(1, visitor="phone"),
        track(2, visitor="other"),
        track(3, account="b", visitor="phone"),
        track(4, account="a", visitor="phone"),
        track(5, visitor="phone"),
        track(6, account="b"),
    ]
    loaded = load_lines(tmp_path, lines)
    assert loaded.values("#user_id") == [1, 2, 1, 3, 1, 1]
    assert users_of(loaded) == [(1, "b", "phone"), (2, None, "other"), (3, "a", "phone")]


def test_given_ids_are_kept_and_new_ones_do_not_collide(tmp_path: Path) -> None:
    lines = [
        track(1, account="new"),
        track(2, account="known", user_id=41),
        track(3, account="known"),
        track(4, user_id=7),
        track(5, user_id=2**63 - 1),
    ]
    assert load_lines(tmp_path, lines).values("#user_id") == [42, 41, 41, 7, 2**63 - 1]


def test_ids_stay_the_same_over_loads(tmp_path: Path) -> None:
    first = load_lines(tmp_path, [track(1, account="a"), track(2, visitor="v"), track(3, visitor="w")], name="first")
    assert first.values("#user_id") == [1, 2, 3]
    lines = [
        track(1, account="z"),
        track(2, account="y", visitor="v"),
        track(3, visitor="w"),
        track(4, account="a"),
        track(5, visitor="v"),
    ]
    second = load_lines(tmp_path, lines, previous=first.path, name="second")
    assert second.values("#user_id") == [4, 2, 3, 1, 2], "y takes over the id that its visitor had"
    third = load_lines(tmp_path, [track(1, visitor="v"), track(2, account="q")], previous=second.path, name="third")
    assert third.values("#user_id") == [2, 5]


def test_ids_outlive_a_load_of_another_format(tmp_path: Path) -> None:
    first = load_lines(tmp_path, [track(1, account="b"), track(2, account="a")], name="first")
    csv = Sources(events_csv(tmp_path, "5,a,2024-05-01"))
    second = load(tmp_path, csv, previous=first.path, name="second")
    third = load_lines(tmp_path, [track(1, account="a")], previous=second.path, name="third")
    assert third.values("#user_id") == [2]


def test_events_and_users_may_be_in_files_of_their_own(tmp_path: Path) -> None:
    events = ndjson(tmp_path / "e.ndjson", [track(1, account="a")])
    users = ndjson(tmp_path / "u.ndjson", [line("user_set", 1, {"x": 1}, account="a")])
    loaded = load(tmp_path, Sources(events, users))
    assert (loaded.values("#user_id"), loaded.rows('SELECT "#user_id", x FROM users')) == ([1], [(1, 1)])


def test_other_formats_and_mappings_do_not_mix_with_it(tmp_path: Path) -> None:
    events = ndjson(tmp_path / "e.ndjson", [track(1, account="a")])
    users = write(tmp_path / "u.csv", "#user_id\n1\n")
    assert "not in the tracking format" in refused(tmp_path, Sources(events, users)).message.en
    assert "--map" in refused(tmp_path, Sources(events, columns={"user_id": "x"})).message.en


def test_a_file_of_users_alone_has_no_events(tmp_path: Path) -> None:
    loaded = load_lines(tmp_path, [line("user_set", 1, {"x": 1}, visitor="v")], LoadOptions("1"))
    assert (loaded.built.metadata.rows, users_of(loaded)) == (0, [(1, None, "v")])


# An independent, slow reading: line by line, in plain Python.


def slow_users(lines: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Account to its properties."""
    users: dict[str, dict[str, Any]] = {}
    for each in sorted(lines, key=lambda each: each["#time"]):
        if each["#type"] == "user_del":
            users.pop(each["#account_id"], None)
            continue
        user = users.setdefault(each["#account_id"], {})
        for key, value in each["properties"].items():
            slow_change(user, each["#type"], key, value)
    return users


def slow_change(user: dict[str, Any], kind: str, key: str, value: Any) -> None:
    if kind == "user_unset":
        user.pop(key, None)
    elif kind == "user_set" or (kind == "user_setOnce" and key not in user):
        user[key] = value
    elif kind == "user_add":
        user[key] = user.get(key, 0) + value
    elif kind == "user_append":
        user[key] = [*user.get(key, []), *value]
    elif kind == "user_uniq_append":
        for item in value:
            if item not in user.get(key, []):
                user[key] = [*user.get(key, []), item]


def random_lines(seed: int) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    lines = []
    for _ in range(300):
        kind = draw.choice(
            [
                "user_set",
                "user_setOnce",
                "user_add",
                "user_unset",
                "user_append",
                "user_uniq_append",
                "user_set",
                "user_add",
                "user_del",
            ]
        )
        number, texts = (
            {draw.choice("nm"): draw.randint(-5, 5)},
            {draw.choice("st"): [draw.choice("xyz") for _ in range(draw.randint(1, 3))]},
        )
        properties = {"user_add": number, "user_append": texts, "user_uniq_append": texts}.get(kind, number | texts)
        lines.append(
            line(kind, draw.randint(0, 99), None if kind == "user_del" else properties, account=draw.choice("abcdef"))
        )
    return lines


@pytest.mark.parametrize("seed", range(6))
def test_a_slow_reading_finds_the_same_users(tmp_path: Path, seed: int) -> None:
    lines = random_lines(seed)
    loaded = load_lines(tmp_path, lines, LoadOptions("1"))
    found = {
        who: {key: value for key, value in zip("nmst", values, strict=True) if value is not None}
        for who, *values in loaded.rows('SELECT "#account_id", n, m, s, t FROM users')
    }
    assert found == slow_users(lines)
