"""The strict form: what means the same has the same hash, what does not has another (qp.md sections 1 to 4)."""

from itertools import combinations

import pytest
from pydantic import ValidationError

from mcp_server.language.model import Qp, qp_hash
from tests.language.projects import event, user


def hashed(**parts: object) -> str:
    return qp_hash(Qp.model_validate(parts))


SAME = [
    (
        {"events": [event()]},
        {"events": [event()], "event_relation": "or", "relation": "or", "event_user_relation": "or"},
    ),
    ({"events": [event()]}, {"events": [event(startTime="2024-01-01", relation="or", filts=[])], "filts": []}),
    ({"events": [event(num="1"), event(num="2")]}, {"events": [event(num="2"), event(num="1")]}),
    ({"filts": [user("city", "equal", "a", "b")]}, {"filts": [user("CITY", "equal", "b", "a", "b")]}),
    (
        {"filts": [user("city", "isNull")]},
        {"filts": [{"tableType": "user", "columnName": "city", "comparator": "isNull"}]},
    ),
    ({"filts": [user("city", "isNull")]}, {"filts": [user("city", "isNull"), user("city", "isNull")]}),
]

DIFFERENT = [
    {"events": [event()]},
    {"events": [event(num="5")]},
    {"events": [event(comparator="less")]},
    {"events": [event(eventName="login")]},
    {"events": [event(recentDay="1-8")]},
    {"events": [event(recentDay=None)]},
    {"events": [event(recentDay=None, startTime="2024-01-01")]},
    {"events": [event(recentDay=None, endTime="2024-01-01")]},
    {"events": [event(taPropQuota={"analysis": "SUM", "quota": "amount"})]},
    {"events": [event(taPropQuota={"analysis": "SUM", "quota": "price"})]},
    {"events": [event(filts=[user("city", "isNull")])]},
    {"events": [event(), event(num="5")]},
    {"events": [event(), event(num="5")], "event_relation": "or"},
    {"filts": [user("city", "isNull")]},
    {"filts": [user("city", "notNull")]},
    {"filts": [user("city", "equal", "a")]},
    {"filts": [user("city", "equal", "a", "b")]},
    {"filts": [user("city", "notEqual", "a")]},
    {"filts": [user("Level", "range", "1", "2")]},
    {"filts": [user("city", "isNull"), user("vip", "isTrue")]},
    {"filts": [user("city", "isNull"), user("vip", "isTrue")], "relation": "or"},
    {"events": [event()], "filts": [user("city", "isNull")]},
    {"events": [event()], "filts": [user("city", "isNull")], "event_user_relation": "or"},
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_changes_nothing_does_not_change_the_hash(one: dict[str, object], other: dict[str, object]):
    assert hashed(**one) == hashed(**other)


def test_what_changes_the_meaning_changes_the_hash():
    for one, other in combinations(DIFFERENT, 2):
        assert hashed(**one) != hashed(**other), (one, other)


def test_the_normalised_form_keeps_the_keys_that_were_written():
    raw = {"events": [event(relation="and")], "filts": [user("city", "isNull")]}
    assert Qp.model_validate(raw).wire() == raw


@pytest.mark.parametrize(
    "raw", [{"events": [event(recentDay=None)] * 33}, {"events": [event(recentDay="")]}, {"events": [event(num=4)]}]
)
def test_the_strict_form_converts_nothing(raw: dict[str, object]):
    with pytest.raises(ValidationError):
        Qp.model_validate(raw)
