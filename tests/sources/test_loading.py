"""The generation that a load makes: metadata, report, times, names, and nothing left behind when it fails."""

import json
from datetime import date, datetime
from pathlib import Path

import pytest

from mcp_server.language.metadata import Metadata, Names
from mcp_server.sources.loading import LoadOptions, Sources
from mcp_server.sources.report import LoadReport
from tests.sources.loads import HEAD, TIME, events_csv, load, ndjson, refused, write

NEW_YORK = LoadOptions("7", "America/New_York", date(2024, 12, 1))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def shop(tmp_path: Path) -> Sources:
    """Three users, two events, every type."""
    events = [
        {
            "#user_id": 1,
            "#event_name": "pay",
            "#event_time": "2024-05-01 10:00:00",
            "amount": 6.5,
            "item": "a",
            "tags": ["x", "y", "x"],
        },
        {
            "#user_id": 1,
            "#event_name": "pay",
            "#event_time": "2024-05-03 10:00:00",
            "amount": 10,
            "item": "b",
            "first": True,
        },
        {
            "#user_id": 2,
            "#event_name": "pay",
            "#event_time": "2024-05-02 10:00:00.250",
            "item": "b",
            "tags": ["y"],
            "due": "2024-06-01",
        },
        {
            "#user_id": 2,
            "#event_name": "login",
            "#event_time": "2024-05-02 09:00:00",
            "item": "c",
            "due": "2024-06-02 12:00:00",
        },
        {"#user_id": 9, "#event_name": "login", "#event_time": "2024-04-30 09:00:00"},
    ]
    users = [{"#user_id": 3}, {"#user_id": 2, "level": 4}, {"#user_id": 1, "level": 3}]
    return Sources(ndjson(tmp_path / "e.ndjson", events), ndjson(tmp_path / "u.ndjson", users))


def test_events_are_counted_with_their_users_and_times(tmp_path: Path) -> None:
    metadata = load(tmp_path, shop(tmp_path)).built.metadata
    assert (metadata.users, metadata.rows, metadata.project_id, metadata.zone) == (3, 5, "1", "Asia/Shanghai")
    assert [(e.name, e.count, e.users, e.first, e.last) for e in metadata.events] == [
        ("login", 2, 1, "2024-04-30 09:00:00", "2024-05-02 09:00:00"),
        ("pay", 3, 2, "2024-05-01 10:00:00", "2024-05-03 10:00:00"),
    ]


def test_properties_tell_what_they_hold(tmp_path: Path) -> None:
    loaded = load(tmp_path, shop(tmp_path))
    amount, item, tags, due = (loaded.property(name) for name in ("amount", "item", "tags", "due"))
    assert (amount.low, amount.high, amount.distinct, amount.scale, amount.events) == ("6.5", "10", 2, None, ("pay",))
    assert amount.null_share == pytest.approx(1 / 3)
    assert (item.top, item.distinct, item.events) == ((("b", 2), ("a", 1), ("c", 1)), 3, ("login", "pay"))
    assert item.null_share == pytest.approx(1 / 5)
    assert item.values_known
    assert (tags.top, tags.distinct) == ((("y", 2), ("x", 1)), 2), "rows are counted, not items"
    assert (due.low, due.high) == ("2024-06-01 00:00:00", "2024-06-02 12:00:00")
    assert loaded.property("first").top == (("true", 1),)
    level = loaded.property("level", "user")
    assert (level.low, level.high, level.events, level.scale) == ("3", "4", (), 0)
    assert level.null_share == pytest.approx(1 / 3)


def test_system_properties_are_properties_with_names(tmp_path: Path) -> None:
    loaded = load(tmp_path, shop(tmp_path))
    names = [(p.table, p.name, p.type) for p in loaded.built.metadata.properties]
    assert names[:3] == [
        ("event", "#user_id", "number"),
        ("event", "#event_name", "string"),
        ("event", "#event_time", "time"),
    ]
    assert ("user", "#user_id", "number") in names
    assert loaded.property("#event_time").names.zh == "事件时间"
    assert loaded.property("#event_name").top == (("pay", 3), ("login", 2))
    assert loaded.property("#event_time").high == "2024-05-03 10:00:00"


def test_only_twenty_values_are_listed_and_no_endless_one(tmp_path: Path) -> None:
    values = [f"v{i:02}" for i in range(25)] + ["v07", "x" * 3000, "x" * 3000]
    path = events_csv(tmp_path, *(f"1,a,{TIME},{value}" for value in values), head=f"{HEAD},x")
    found = load(tmp_path, Sources(path)).property("x")
    assert found.top == (("v07", 2), *((f"v{i:02}", 1) for i in range(20) if i != 7))
    assert found.distinct == 26
    assert not found.values_known


def test_today_is_the_fixed_day_or_the_day_of_the_zone(tmp_path: Path) -> None:
    sources = shop(tmp_path)
    fixed = load(tmp_path, sources, NEW_YORK, name="a").built.metadata
    assert (fixed.today, fixed.as_of) == (date(2024, 12, 1), date(2024, 12, 1))
    real = load(tmp_path, sources, name="b").built.metadata
    assert real.as_of is None
    assert real.today >= date(2025, 1, 1)


def test_repeated_skipped_and_impossible_times_are_counted(tmp_path: Path) -> None:
    times = [
        "2024-03-10 02:30:00",
        "2024-11-03 01:30:00",
        "2024-11-03T01:30:00-04:00",
        "9999-12-31 23:59:59",
        "0001-01-01",
        "",
    ]
    path = events_csv(tmp_path, *(f"1,a,{TIME},{t}" for t in times), head=f"{HEAD},t")
    loaded = load(tmp_path, Sources(path), NEW_YORK)
    report = loaded.built.report
    assert (report.repeated_times, report.skipped_times, report.clamped_times) == (1, 1, 1)
    moments = loaded.values("t")
    assert moments[:3] == [at("2024-03-10 07:30:00"), at("2024-11-03 05:30:00"), at("2024-11-03 05:30:00")]
    assert moments[3:] == [at("9999-12-31 23:59:59.999999"), at("0001-01-01 04:56:02"), None]
    assert (loaded.property("t").low, loaded.property("t").high[:10]) == ("0001-01-01 00:00:00", "9999-12-31")


def test_display_names_come_from_the_metadata_file(tmp_path: Path) -> None:
    names = {
        "events": {"pay": {"en": "Payment", "zh": "付款"}, "Pay": {"en": "x"}},
        "event_properties": {"AMOUNT": {"en": "Amount", "zh": "金额", "remark_zh": "元"}, "nope": {}},
        "user_properties": {"level": {"en": "Level"}, "#user_id": {"en": "Player"}},
    }
    path = tmp_path / "names.json"
    write(path, "\ufeff" + json.dumps(names))
    sources = shop(tmp_path)
    loaded = load(tmp_path, Sources(sources.events, sources.users, metadata=path))
    assert loaded.built.metadata.event_by_name["pay"].names == Names(en="Payment", zh="付款")
    assert loaded.property("amount").names == Names(en="Amount", zh="金额", remark_zh="元")
    assert loaded.property("#user_id", "user").names.en == "Player"
    assert loaded.property("#user_id", "event").names.en == "User ID"
    assert loaded.built.report.unknown_names == ("events.Pay", "event_properties.nope")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("{", "not as expected", "one JSON object"),
        ('{"event": {}}', "event:", "'events'"),
        ('{"events": {"pay": {"remark": "x"}}}', "events.pay.remark", "'remark_en'"),
        ('{"events": {"pay": "Payment"}}', "events.pay", "one JSON object"),
    ],
)
def test_a_wrong_metadata_file_is_refused(tmp_path: Path, text: str, message: str, hint: str) -> None:
    path = tmp_path / "names.json"
    write(path, text)
    error = refused(tmp_path, Sources(shop(tmp_path).events, metadata=path))
    assert message in error.message.en
    assert hint in error.next_step.en


def test_a_missing_metadata_file_is_refused(tmp_path: Path) -> None:
    assert (
        "cannot be read" in refused(tmp_path, Sources(shop(tmp_path).events, metadata=tmp_path / "no.json")).message.en
    )


def test_without_a_users_file_the_ids_of_the_events_are_the_users(tmp_path: Path) -> None:
    loaded = load(tmp_path, Sources(shop(tmp_path).events))
    assert loaded.rows("FROM users") == [(1,), (2,), (9,)]
    assert "(3)" in loaded.built.report.notes[0].en
    assert loaded.built.report.unknown_user_rows == 0


def test_users_alone_can_be_loaded(tmp_path: Path) -> None:
    loaded = load(tmp_path, Sources(users=shop(tmp_path).users))
    assert (loaded.built.metadata.rows, loaded.built.metadata.users, loaded.built.metadata.events) == (0, 3, ())
    assert loaded.property("#event_name").null_share == 1.0
    assert loaded.rows("FROM events") == []


def test_report_and_metadata_survive_json(tmp_path: Path) -> None:
    built = load(tmp_path, shop(tmp_path)).built
    assert LoadReport.model_validate_json(built.report.model_dump_json()) == built.report
    assert Metadata.model_validate_json(built.metadata.model_dump_json()) == built.metadata


def test_bad_events_and_bad_users_are_told_together(tmp_path: Path) -> None:
    users = write(tmp_path / "u.csv", "#user_id\n1\n1\n")
    error = refused(tmp_path, Sources(events_csv(tmp_path, f",a,{TIME}", f"1,a,{TIME}"), users))
    assert "1 of 2 rows of the events" in error.message.en
    assert "1 of 2 rows of the users" in error.message.en
    assert [problem.path for problem in error.problems] == ["/events", "/users"]


def test_a_file_that_exists_is_never_written_over(tmp_path: Path) -> None:
    sources = shop(tmp_path)
    first = load(tmp_path, sources)
    before = first.path.read_bytes()
    with pytest.raises(FileExistsError):
        load(tmp_path, sources)
    assert first.path.read_bytes() == before


def test_too_many_event_names_are_refused(tmp_path: Path) -> None:
    path = events_csv(tmp_path, *(f"1,e{i},{TIME}" for i in range(5001)))
    assert "5,001 different event names" in refused(tmp_path, Sources(path)).message.en


def test_progress_never_falls_and_ends_at_one(tmp_path: Path) -> None:
    told = load(tmp_path, shop(tmp_path)).progress
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0.0, 1.0)


def test_a_load_prints_nothing_and_leaves_only_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    sources = shop(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))
    loaded = load(tmp_path, sources)
    assert set(tmp_path.rglob("*")) - before - {tmp_path / "temp"} == {loaded.path}
    assert capfd.readouterr() == ("", "")


def test_hostile_names_and_values_are_only_names_and_values(tmp_path: Path) -> None:
    names = ['a"; DROP TABLE users; --', "'", "select", "c0", "v0", "$n", "$lost", "x" * 300, "级 别"]
    system = {"#user_id": 1, "#event_name": "'; DROP TABLE events; --", "#event_time": TIME}
    path = ndjson(tmp_path / "it's [1].ndjson", [system | {name: name for name in names}])
    loaded = load(tmp_path, Sources(path))
    assert [loaded.property(name).top for name in names] == [((name, 1),) for name in names]
    assert loaded.built.metadata.events[0].name == "'; DROP TABLE events; --"
