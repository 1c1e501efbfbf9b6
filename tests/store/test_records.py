"""Rows and records: each field from the column of its name, by its type, and written back the same."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Literal

import pytest

from mcp_server.language.metadata import Metadata
from mcp_server.store.records import insert, reader, update, written
from mcp_server.text import Text

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Inner:
    day: date
    size: int


@dataclass(frozen=True)
class Everything:
    id: int
    name: str
    kind: Literal["a", "b"]
    share: float
    at: datetime
    until: datetime | None
    facts: Mapping[str, object]
    spans: tuple[tuple[int, int], ...]
    error: Text
    inner: Inner | None
    missing: Inner | None
    metadata: Metadata
    double: int


def test_a_row_of_every_type_is_read_back_as_it_was_written() -> None:
    metadata = Metadata(project_id="1", today=date(2026, 7, 1))
    columns: dict[str, object] = {
        "id": 1, "name": "买家", "kind": "a", "share": 0.5, "at": NOON, "until": None, "facts": {"用": [1, None]},
        "spans": ((0, 60), (90, 100)), "error_en": "Broken", "error_zh": "损坏", "day": date(2026, 2, 28), "size": 7,
        "metadata": metadata,
    }  # fmt: skip
    with closing(sqlite3.connect(":memory:")) as db:
        db.row_factory = sqlite3.Row
        db.execute(f"CREATE TABLE t ({', '.join(columns)})")
        insert(db, "t", **columns)
        select = 'SELECT *, day AS "inner.day", size AS "inner.size", NULL AS "missing.day", 1 AS "missing.size" FROM t'
        read = reader(Everything, double=lambda row: row["size"] * 2)
        assert read(db.execute(select).fetchone()) == Everything(
            1, "买家", "a", 0.5, NOON, None, {"用": [1, None]}, ((0, 60), (90, 100)), Text("Broken", "损坏"),
            Inner(date(2026, 2, 28), 7), None, metadata, 14,
        )  # fmt: skip
        assert update(db, "t", "id = ? AND size = ?", (1, 7), size=8, until=NOON)
        assert not update(db, "t", "id = ?", (2,), size=9)
        assert (read(db.execute(select).fetchone()).double, read(db.execute(select).fetchone()).until) == (16, NOON)


def test_times_are_written_so_that_the_order_of_texts_is_that_of_time() -> None:
    in_shanghai = NOON.astimezone(timezone(timedelta(hours=8)))
    assert written(in_shanghai) == written(NOON) == "2026-07-01T12:00:00.000000+00:00"
    assert str(written(NOON)) < str(written(NOON + timedelta(microseconds=1)))
    assert written(datetime(2026, 7, 1, 20, 0, 0, 999)) == "2026-07-01 20:00:00"


@pytest.mark.parametrize("value", [object(), b"bytes", frozenset({"1"})])
def test_what_no_column_holds_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="no column holds"):
        written(value)


def test_a_field_that_no_column_can_hold_is_refused_before_anything_is_read() -> None:
    @dataclass
    class Wrong:
        members: set[int]

    with pytest.raises(KeyError):
        reader(Wrong)
