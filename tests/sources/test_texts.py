"""What a text means agrees with a reading in plain Python, for thousands of nearly right texts."""

import json
import math
import random
import re
from datetime import UTC, datetime
from pathlib import Path

from mcp_server.engines.dialect import literal
from mcp_server.engines.duckdb.connection import connect
from mcp_server.sources.columns import Meaning, east, has_offset, passes, read

SEEDS = [
    "0", "-1", "12", "007", "+5", "1.5", "-0.25", "1e3", "1E-3", "1e400", "9007199254740993", "9223372036854775808", "1_000", "1,5", "0x1F",
    "true", "False", "TRUE", "yes", "nan", "-inf", "Infinity",
    "2024-02-29", "2023-02-29", "2024-05-01 10:20", "2024-05-01 10:20:30", "2024-05-01T10:20:30.123456789", "2024-05-01 10:20:30Z",
    "2024-05-01T10:20:30.5+08:00", "2024-05-01 10:20:30 -0330", "2024-05-01 10:20:30+08", "2024-05-01 24:00:00", "0000-01-01", "9999-12-31 23:59:59",
    "[]", '["a","b"]', '["a",null]', "[1]", '[["a"]]', '["a"', "{}", '{"a":["b"]}', "", " ", "null", "级别", "１２",
]  # fmt: skip
ORDER: tuple[Meaning, ...] = ("bool", "whole", "double", "time", "list")
ALPHABET = '0123456789.-+eE:TZ []",antrulfi'


def nearly_right(count: int) -> list[str]:
    draw = random.Random(7)
    texts = list(SEEDS)
    while len(texts) < count:
        text = list(draw.choice(SEEDS))
        for _ in range(draw.randint(1, 2)):
            at = draw.randint(0, len(text))
            text[at : at + draw.randint(0, 1)] = draw.choice(ALPHABET) * draw.randint(0, 1)
        texts.append("".join(text))
    return texts


def slow(text: str) -> dict[Meaning, object]:
    """Every meaning that the text has, with its value."""
    found: dict[Meaning, object] = {}
    if text.lower() in ("true", "false"):
        found["bool"] = text.lower() == "true"
    if re.fullmatch("[+-]?(nan|inf|infinity)", text, re.IGNORECASE | re.ASCII):
        found |= {"whole": None, "double": None}
    whole = re.fullmatch("-?(0|[1-9][0-9]*)", text)
    if whole and -(2**63) <= int(text) < 2**63:
        found["whole"] = int(text)
    if (number := slow_number(text)) is not None and not (whole and abs(int(text)) > 2**53):
        found["double"] = number
    if (moment := slow_time(text)) is not None:
        found["time"] = moment
    if text.startswith("[") and (items := slow_list(text)) is not None:
        found["list"] = items
    return found


def slow_number(text: str) -> float | None:
    if not text or text[0] not in "-0123456789" or text[-1] not in "0123456789":
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return float(value) if isinstance(value, int | float) and math.isfinite(float(value)) else None


def slow_time(text: str) -> datetime | None:
    """The clock reading, without its offset: what is left when date, hours, minutes, … are cut off one after the other."""
    try:
        moment = datetime.strptime(text[:10], "%Y-%m-%d")  # noqa: DTZ007
    except ValueError:
        return None
    rest = text[10:]
    if not re.fullmatch("[0-9-]{10}", text[:10]) or not rest:
        return None if rest or len(text) != 10 else moment
    clock = re.match("[ T]([0-9]{2}):([0-9]{2})", rest)
    if not clock or int(clock[1]) > 23 or int(clock[2]) > 59:
        return None
    moment, rest = moment.replace(hour=int(clock[1]), minute=int(clock[2])), rest[6:]
    if (seconds := re.match(":([0-9]{2})", rest)) and int(seconds[1]) < 60:
        moment, rest = moment.replace(second=int(seconds[1])), rest[3:]
        if fraction := re.match(r"\.([0-9]{1,9})", rest):
            moment, rest = moment.replace(microsecond=int(fraction[1].ljust(6, "0")[:6])), rest[len(fraction[0]) :]
    return moment if rest == "" or slow_offset(rest) is not None else None


def slow_offset(rest: str) -> int | None:
    """Minutes east of UTC."""
    if rest in ("Z", " Z"):
        return 0
    written = re.fullmatch(" ?([+-])([0-9]{2}):?([0-9]{2})?", rest)
    if not written or rest.endswith(":") or int(written[2]) > 23 or int(written[3] or 0) > 59:
        return None
    return int(written[1] + "1") * (int(written[2]) * 60 + int(written[3] or 0))


def slow_list(text: str) -> list[str | None] | None:
    try:
        items = json.loads(text)
    except ValueError:
        return None
    return items if all(isinstance(item, str | None) for item in items) else None


def test_every_meaning_of_a_text_agrees_with_a_slow_reading(tmp_path: Path) -> None:
    texts = nearly_right(4000)
    database = connect(tmp_path)
    database.execute(f"CREATE TABLE t AS SELECT unnest({literal(texts)}) AS x, unnest(range({len(texts)})) AS i")
    for meaning in ORDER:
        rows = database.execute(
            f"SELECT x, {read(meaning, 'x', offsets=True)} FROM t WHERE {passes(meaning, 'x')} ORDER BY i"
        ).fetchall()
        found = [(x, value) for x, value in rows if not (isinstance(value, float) and math.isnan(value))]
        expected = [(x, slow(x)[meaning]) for x in texts if meaning in slow(x)]
        assert len(expected) > 30
        assert found == expected, meaning


def test_offsets_agree_with_a_slow_reading(tmp_path: Path) -> None:
    texts = [text for text in nearly_right(8000) if slow_time(text) is not None]
    database = connect(tmp_path)
    rows = database.execute(
        f"SELECT x, {east('x')}, {has_offset('x')} FROM (SELECT unnest({literal(texts)}) AS x, unnest(range({len(texts)})) AS i) ORDER BY i"
    ).fetchall()
    expected = [slow_offset(re.sub(r"^.{10}([ T][0-9:.]+)?", "", text)) for text in texts]
    assert [(text, minutes, told) for text, minutes, told in rows] == [
        (text, minutes, minutes is not None) for text, minutes in zip(texts, expected, strict=True)
    ]
    assert {None, 0, 480, -210} <= set(expected)


def test_a_moment_in_utc_is_the_same_however_it_is_written(tmp_path: Path) -> None:
    texts = [
        "2024-05-01T02:20:30Z",
        "2024-05-01 10:20:30+08:00",
        "2024-05-01 10:20:30 +0800",
        "2024-05-01T10:20:30+08",
        "2024-04-30 22:50:30-0330",
    ]
    rows = connect(tmp_path).execute(
        f"SELECT {read('time', 'x', offsets=True)} - to_minutes({east('x')}) FROM (SELECT unnest({literal(texts)}) AS x)"
    )
    assert {row[0] for row in rows.fetchall()} == {datetime(2024, 5, 1, 2, 20, 30, tzinfo=UTC).replace(tzinfo=None)}
