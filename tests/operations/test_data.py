"""Files looked at and loaded from a chat: questions, answers, consent, and nothing of people in the answers."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp_types import ElicitResult

from mcp_server.app import build
from mcp_server.errors import (
    ApprovalNeeded,
    ChangedMeanwhile,
    ConfigurationError,
    InvalidArguments,
    LoadRefused,
    NotFound,
)
from mcp_server.operations.operation import NOBODY, KnownAnswer
from mcp_server.settings import Settings
from tests.operations.desk import Desk, Watch, opened, times

ORDERS = """order_no,buyer,phone,paid_at,amount
1001,u_001,13800138000,2026/11/03 09:05:00,12.50
1002,u_002,13900139000,2026/11/04 10:00:00,8
1003,u_001,13800138000,2026/11/25 18:30:00,7
"""
ANSWERS = ["user=buyer", "event_name=order"]


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Desk]:
    """A process on a workspace without data."""
    yield from opened(tmp_path / "workspace")


def put(desk: Desk, name: str, content: str | bytes) -> Path:
    path = desk.app.settings.workspace / "imports" / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def loaded(desk: Desk, content: str = ORDERS, name: str = "orders.csv", **more: Any) -> Any:
    put(desk, name, content)
    return desk("load_file", **{"files": [name], "answers": ANSWERS, **more})


def test_without_data_the_next_step_is_a_file_in_a_folder(empty: Desk) -> None:
    step = empty.refused("describe_data").next_step.en
    assert "load_file" in step
    assert str(empty.app.settings.workspace / "imports") in step
    assert "Put a file" in empty("look_at_file").next
    put(empty, "orders.csv", ORDERS)
    seen = empty("look_at_file")
    assert [line.partition(" (")[0] for line in seen.waiting] == [
        str(empty.app.settings.workspace / "imports" / "orders.csv")
    ]


def test_the_demo_data_needs_no_file_and_no_terminal(empty: Desk) -> None:
    assert empty("look_at_file", files=["demo"]).questions == ()
    made = empty("load_file", files=["demo"])
    assert (made.rows, made.users) == (69_659, 23_570)
    seen = empty("describe_data", search="购买")
    assert seen.today == "1998-07-01"
    assert seen.events[0].display_name


def test_a_look_says_how_a_file_is_read_and_names_nobody(empty: Desk) -> None:
    put(empty, "orders.csv", ORDERS)
    for desk in (empty, empty.speaking("zh")):
        seen = desk("look_at_file", files=["orders.csv"], answers=ANSWERS)
        (row,) = seen.files
        assert (row.file, row.role, row.rows, row.user, row.event) == ("orders.csv", "events", 3, "buyer", "order")
        assert row.time == "paid_at"
        assert "phone: text" in row.columns
        assert "amount: number" in row.columns
        for value in ("u_001", "13800138000", "12.5"):
            assert value not in seen.model_dump_json()


def test_a_question_comes_with_its_choices_and_is_asked_once(empty: Desk) -> None:
    put(empty, "days.csv", "uid,day,amount\nu1,03/04/2026,1\nu2,05/06/2026,2\nu1,07/08/2026,3\n")
    seen = empty("look_at_file", files=["days.csv"])
    asked = {question.key: question for question in seen.questions}
    assert asked["columns.day.read"].must
    assert len(asked["columns.day.read"].choices) == 2
    answers = ["columns.day.read=" + asked["columns.day.read"].choices[0]]
    refused = empty.refused("load_file", files=["days.csv"], answers=[])
    assert isinstance(refused, LoadRefused)
    assert "answers" in refused.next_step.en
    assert "columns.day.read" in refused.next_step.en
    assert "columns.day.read" not in {
        q.key for q in empty("look_at_file", files=["days.csv"], answers=answers).questions
    }
    assert empty("load_file", files=["days.csv"], answers=answers).rows == 3
    again = empty("look_at_file", files=["days.csv"])
    assert [q.key for q in again.questions if q.must] == [], "the mapping of the last load answers it"


def test_the_first_load_adds_and_needs_nobody(empty: Desk) -> None:
    nobody = Desk(empty.app, ask=NOBODY)
    tried = loaded(nobody, dry_run=True)
    assert tried.dry_run
    assert tried.changes == ()
    assert empty.refused("describe_data").code == "no_data"
    made = loaded(nobody)
    assert (made.rows, made.users, made.first_day, made.last_day) == (3, 2, "2026-11-03", "2026-11-25")
    assert {e.event for e in nobody("describe_data").events} == {"order"}
    buyers = nobody.create("buyers", {"events": [times("greater", "1", "order")]})
    assert nobody("get_refresh_progress", cluster="buyers", wait_seconds=20).cluster.users_num == 1, buyers


def test_a_later_load_replaces_and_says_what(empty: Desk) -> None:
    loaded(empty)
    empty.create("buyers", {"events": [times("greater", "1", "order")]})
    other = ORDERS.partition("1002")[0].replace("2026/11/03", "2026/12/01").replace(",amount", ",price")
    tried = loaded(empty, other, answers=["user=buyer", "event_name=pay"], dry_run=True)
    assert tried.rows == 1
    words = "\n".join((*tried.changes, *(row.message for row in tried.warnings)))
    for part in ("3 → 1", "2 → 1", "2026-11-03 to 2026-11-25", "2026-12-01", "order", "amount", "buyers", "overlap"):
        assert part in words, part
    assert loaded(empty.speaking("zh"), other, answers=["user=buyer", "event_name=pay"], dry_run=True).warnings
    with pytest.raises(ApprovalNeeded):
        loaded(Desk(empty.app, ask=NOBODY), other, answers=["user=buyer", "event_name=pay"])
    assert empty("describe_data").event_rows == 3
    assert loaded(empty, other, answers=["user=buyer", "event_name=pay"]).rows == 1
    assert empty("describe_data").event_rows == 1


def test_consent_holds_for_the_file_that_was_shown(empty: Desk) -> None:
    loaded(empty)

    class Meanwhile(KnownAnswer):
        """Says yes, after the file was exchanged."""

        async def __call__(self, question: Any, /) -> Any:
            put(empty, "orders.csv", ORDERS + "1004,u_009,13700137000,2026/11/26 08:00:00,1\n")
            return await super().__call__(question)

    with pytest.raises(ChangedMeanwhile):
        loaded(Desk(empty.app, ask=Meanwhile()), ORDERS + "1004,u_003,13700137000,2026/11/26 08:00:00,1\n")
    assert empty("describe_data").event_rows == 3


def test_a_bad_row_is_named_without_its_value(empty: Desk) -> None:
    put(
        empty,
        "events.csv",
        "#user_id,#event_name,#event_time\n1,buy,2026-11-03\nzhang@example.com,buy,2026-11-04\n2,buy,2026-11-05\n",
    )
    error = empty.refused("load_file", files=["events.csv"], answers=["columns.#user_id=number"])
    text = str((error.message, error.next_step, error.problems))
    assert "zhang" not in text
    assert "row 2 of events.csv" in text
    assert str(empty.app.settings.workspace / "tmp") not in text


@pytest.mark.parametrize("path", ["/etc/passwd", "../catalog.sqlite", "nowhere.csv"])
def test_files_come_from_the_folders_alone(empty: Desk, path: str) -> None:
    for tool in ("look_at_file", "load_file"):
        error = empty.refused(tool, files=["ok.csv", path])
        assert isinstance(error, InvalidArguments)
        assert "/files/1" in [problem.path for problem in error.problems]


def test_a_workbook_and_a_second_file_load_together(empty: Desk) -> None:
    put(empty, "people.csv", "buyer,city\nu_001,上海\nu_002,北京\nu_003,广州\n")
    put(empty, "orders.csv", ORDERS)
    made = empty("load_file", files=["orders.csv", "people.csv"], answers=["user=buyer", "orders.csv:event_name=order"])
    assert (made.rows, made.users) == (3, 3)


@pytest.mark.parametrize("answer", ["buyer", "=x"])
def test_an_answer_is_a_pair(empty: Desk, answer: str) -> None:
    put(empty, "orders.csv", ORDERS)
    assert isinstance(empty.refused("look_at_file", files=["orders.csv"], answers=[answer]), InvalidArguments)


def test_the_data_of_a_remote_platform_is_not_loaded_here(desk: Desk) -> None:
    from dataclasses import replace

    remote = Desk(replace(desk.app, deps=replace(desk.app.deps, data=None)))
    assert isinstance(remote.refused("look_at_file"), ConfigurationError)


def test_a_person_in_a_client_answers_the_question_of_a_load(tmp_path: Path) -> None:
    """Over a real connection: the form holds what would go, and only its yes counts."""
    asked: list[str] = []

    async def answer(context: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        field = next(iter(params.requested_schema["properties"]))
        return ElicitResult(action="accept", content={field: "yes"})

    async def talk() -> None:
        async with Client(app.server(), elicitation_callback=answer) as client:
            arguments = {"files": ["orders.csv"], "answers": ANSWERS}
            first = await client.call_tool("load_file", arguments)
            assert not first.is_error, first
            again = await client.call_tool("load_file", arguments | {"answers": ["user=buyer", "event_name=pay"]})
            assert not again.is_error, again

    app = build(Settings(workspace=tmp_path / "workspace", threads=2))
    try:
        (tmp_path / "workspace" / "imports" / "orders.csv").write_text(ORDERS, encoding="utf-8")
        anyio.run(talk)
        assert len(asked) == 1
        assert "3 → 3" in asked[0]
        assert "order" in asked[0]
        log = app.deps.required_ledger().entries(limit=5, tool="load_file")
        assert [entry.outcome for entry in log] == ["done", "done"]
    finally:
        app.close()


def test_a_load_is_undone_and_the_undo_too(empty: Desk) -> None:
    assert empty.refused("restore_data").code == "no_data"
    loaded(empty)
    assert isinstance(empty.refused("restore_data"), NotFound)
    loaded(empty, answers=["user=buyer", "event_name=pay"])
    tried = empty.speaking("zh")("restore_data", dry_run=True)
    assert "恢复" in tried.message
    assert tried.rows == 3
    assert {e.event for e in empty("describe_data").events} == {"pay"}
    with pytest.raises(ApprovalNeeded):
        Desk(empty.app, ask=NOBODY)("restore_data")
    assert empty("restore_data").users == 2
    assert {e.event for e in empty("describe_data").events} == {"order"}
    assert empty.create("buyers", {"events": [times("greater", "1", "order")]})
    empty("restore_data")
    assert {e.event for e in empty("describe_data").events} == {"pay"}
    assert [e.outcome for e in empty.app.deps.required_ledger().entries(limit=9, tool="restore_data")] == ["done"] * 2


def test_the_data_before_a_load_is_kept_for_seven_days(tmp_path: Path) -> None:
    for desk in opened(tmp_path / "workspace"):
        loaded(desk)
        first = desk.catalog.workspace.absolute(desk.catalog.generation("1").parts[0])
        loaded(desk, answers=["user=buyer", "event_name=pay"])
        now = datetime.now(UTC)
        desk.catalog.clock = Watch(now + timedelta(days=6, hours=23))
        desk.app.tidy()
        assert first.is_file()
        assert desk("restore_data", dry_run=True).rows == 3
        desk.catalog.clock = Watch(now + timedelta(days=7, hours=1))
        assert isinstance(desk.refused("restore_data"), NotFound)
        desk.app.tidy()
        assert not first.exists()


def test_what_was_kept_is_given_up_by_purge(empty: Desk) -> None:
    loaded(empty)
    loaded(empty, answers=["user=buyer", "event_name=pay"])
    empty.app.purge("")
    assert isinstance(empty.refused("restore_data"), NotFound)
    assert empty("describe_data").event_rows == 3


def test_the_data_says_how_old_it_is_also_after_an_undo(empty: Desk) -> None:
    loaded(empty)
    empty.catalog.clock = Watch(datetime.now(UTC) + timedelta(days=3))
    seen = empty("describe_data")
    assert (seen.age_days, seen.first_day, seen.last_day) == (3, "2026-11-03", "2026-11-25")
    loaded(empty, answers=["user=buyer", "event_name=pay"])
    assert empty("describe_data").age_days == 0
    empty("restore_data")
    again = empty("describe_data")
    assert (again.age_days, again.loaded_at) == (3, seen.loaded_at)
