"""A load says all that it left out or read otherwise."""

import re

from mcp_server.platforms.local.loading import report_lines
from mcp_server.sources.report import BadRows, ColumnNote, LoadReport
from mcp_server.text import Text

FULL = LoadReport(
    rows=1234567,
    users=89,
    skipped=(BadRows(table="event", rows=100, counts={"missing_user_id": 3}),),
    not_a_number={"event.price": 4},
    repeated_times=5,
    skipped_times=6,
    clamped_times=7,
    mixed=(ColumnNote(table="event", name="sku", text=Text("read as text", "按文本读取")),),
    unknown_user_rows=8,
    unknown_names=("events.bye", "users.hue"),
    notes=(Text("a note", "一条说明"),),
)


def test_everything_in_a_report_is_told_in_both_languages() -> None:
    for language in ("en", "zh"):
        words = "\n".join(sentence.say("zh" if language == "zh" else "en") for sentence in report_lines(FULL))
        for fact in (
            "1,234,567",
            "89",
            "3",
            "100",
            "event.price",
            "4",
            "5",
            "6",
            "7",
            "8",
            "sku",
            "events.bye",
            "users.hue",
        ):
            assert re.search(rf"(?<!\d){re.escape(fact)}(?!\d)", words), fact
        assert len(words.splitlines()) == 10
    assert "read as text" in next(t.en for t in report_lines(FULL) if "sku" in t.en)


def test_a_clean_load_says_one_thing() -> None:
    assert list(report_lines(LoadReport(rows=2, users=1))) == [
        Text("Loaded: 2 events, 1 users.", "加载完成：2 条事件，1 个用户。")
    ]
