"""What the log keeps of arguments: who was meant can be recognised, never read."""

import json
from typing import Any

import pytest

from mcp_server.consent.redacting import MOST_ITEMS, MOST_LOGGED, MOST_TEXT, cleaned, redacted

KEY = b"k" * 32


def kept(key: bytes = KEY, **arguments: object) -> Any:
    return json.loads(redacted(arguments, key))


def test_plain_arguments_are_kept() -> None:
    arguments = {
        "cluster": "vip",
        "wait_seconds": 20.5,
        "dry_run": False,
        "cluster_types": ["a", "b"],
        "start_time": "2026-11-23 00:00:00",
        "remarks": "给七月活动用",
    }
    assert kept(**arguments) == arguments


@pytest.mark.parametrize("name", ["token", "app_secret", "api_key", "Authorization", "session", "password"])
def test_secrets_are_left_out(name: str) -> None:
    assert "canary" not in redacted({name: "canary", "more": {name: ["canary"]}}, KEY)


@pytest.mark.parametrize(
    "people",
    [
        {"ids": ["1001", "1002"]},
        {"phones": "13800138000"},
        {"members": [13800138000]},
        {"list": ["13800138000", "x"]},
        {"remarks": "call 13800138000 or ann@example.com"},
        {"qp": {"filts": [{"columnName": "#user_id", "comparator": "equal", "ftv": ["1001"]}]}},
        {"qp": json.dumps({"filts": [{"columnName": "mobile_no", "ftv": ["13800138000"]}]})},
    ],
)
def test_people_are_not_named(people: dict[str, object]) -> None:
    words = redacted(people, KEY)
    assert not any(person in words for person in ("1001", "1002", "13800138000", "ann@"))


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ('the user\'s `city` is one of "13800138000", "a@b.com"', "the user's `city` is one of \"***\", \"***\""),
        ('the user\'s `#account_id` is one of "u-1", "u-2"; `level` is 3', "the user's `#account_id` is one of ***, ***; `level` is 3"),
        ("用户的 `openid` 等于 \"o1\"、\"o2\" 中的任一个", "用户的 `openid` 等于 ***、*** 中的任一个"),
        ("the user's `#user_id` equals 1001", "the user's `#user_id` equals ***"),
        ("Refreshed vip (id 3) at 2026-11-22 15:37:26: 1,234,567 users.", "Refreshed vip (id 3) at 2026-11-22 15:37:26: 1,234,567 users."),
    ],
)  # fmt: skip
def test_what_was_said_of_an_act_names_no_people(said: str, kept: str) -> None:
    assert cleaned(said) == kept


def test_a_list_of_people_is_its_count_and_a_hash_whatever_its_order() -> None:
    one, other = kept(ids=["a", "b", "c"])["ids"], kept(ids=["c", "a", "b"])["ids"]
    assert one == other
    assert one["count"] == 3
    assert one["hash"] != kept(ids=["a", "b"])["ids"]["hash"]
    assert one["hash"] != kept(b"x" * 32, ids=["a", "b", "c"])["ids"]["hash"], "the hash is that of one workspace"


def test_long_lists_and_texts_are_cut_at_the_edge() -> None:
    fits, longer = [f"v{i}" for i in range(MOST_ITEMS)], [f"v{i}" for i in range(MOST_ITEMS + 1)]
    assert kept(values=fits)["values"] == fits
    assert kept(values=longer)["values"]["count"] == MOST_ITEMS + 1
    assert kept(remarks="x" * MOST_TEXT)["remarks"] == "x" * MOST_TEXT
    assert kept(remarks="x" * (MOST_TEXT + 1))["remarks"].endswith(f"({MOST_TEXT + 1})")
    assert kept(qp={f"k{i}": "x" * 100 for i in range(100)})["size"] > MOST_LOGGED


def test_hostile_values_are_written_all_the_same() -> None:
    deep: object = []
    for _ in range(5000):
        deep = [deep]
    for value in ("\ud800", {"\ud800": 1}, 10**5000, [10**5000] * 30, float("nan"), deep, "a@" * 50_000, "[" * 5000):
        redacted({"qp": value}, KEY).encode()
