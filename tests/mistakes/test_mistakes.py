"""Each plausible mistake is answered so that a model is led right, in both languages.

Those in `expected_failures` are not yet: they have to fail here, so a mistake that leads right is taken out of the file.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.mistakes.running import (
    BEFORE,
    CHECKS,
    LANGUAGES,
    Answer,
    Mistake,
    Shop,
    checked,
    expected_failures,
    mistakes,
    opened,
    with_suggestions,
)

NOT_YET = pytest.mark.xfail(raises=AssertionError, reason="does not lead right yet (expected_failures)")
"""Strict: one that leads right fails the run until it is taken out of the file."""
ALL = [pytest.param(m, id=m.id, marks=[NOT_YET] if m.id in expected_failures() else []) for m in mistakes()]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with opened(tmp_path_factory.mktemp("mistakes")) as shop:
        yield shop


@pytest.mark.parametrize("mistake", ALL)
def test_leads_right(shop: Shop, mistake: Mistake) -> None:
    """What the answer has to be is in the mistake."""
    faults = [f"({language}) {fault}" for language in LANGUAGES for fault in shop.faults(mistake, language)]
    assert not faults, "\n\n".join([mistake.meant, mistake.sends, *faults])


def test_the_list() -> None:
    """At least seventy mistakes of different ids, each with what is right; expected failures are known and only get fewer."""
    ids = [mistake.id for mistake in mistakes()]
    assert len(ids) == len(set(ids)) >= 70
    assert all(mistake.right and mistake.meant for mistake in mistakes())
    expected = expected_failures()
    assert expected == [mistake_id for mistake_id in ids if mistake_id in expected], "not in the order of the files"
    assert len(expected) <= BEFORE.total - BEFORE.right


ROW = {"path": "/qp/filts/0/ftv/0", "code": "value_unseen", "message": "No city 上海市.", "suggestion": "上海"}
ANSWER = Answer(
    failed=False,
    text="0 of 12 users.\n2 users have no value; 3 lists are empty.\nwarnings: value_unseen",
    data={
        "users_num": 0,
        "funnel": [{"left": 9}, {"left": 2}],
        "warnings": [ROW],
        "problems": [{"path": "", "code": "ftv_count", "message": ""}],
        "repairs": [{"path": "/qp/filts/0/tableType"}],
    },
)
WRONG: dict[str, Any] = {
    "code": "not_found",
    "refused": True,
    "users": 3,
    "has": {"users_num": 3},
    "funnel": [9, 3],
    "problems": ["range_invalid"],
    "warns": ["midnight_end"],
    "warns_not": ["value_unseen"],
    "suggests": ["北京"],
    "suggests_only": [],
    "says": ["no value", "nothing of the kind"],
    "counts": {"no value": 7},
    "says_not": ["no value"],
    "repairs": ["comparator"],
    "repairs_not": ["tableType"],
}
FITS: dict[str, Any] = {
    "users": 0,
    "has": {"funnel.1.left": 2, "funnel.2.left": None},
    "funnel": [9, 2],
    "problems": ["ftv_count"],
    "warns": ["value_unseen"],
    "warns_not": ["midnight_end"],
    "suggests": ["上海"],
    "suggests_only": ["上海", "北京"],
    "says": ["NO VALUE|没有值"],
    "counts": {"no value|没有值": 2, "empty": 3},
    "says_not": ["nothing"],
    "repairs": ["tableType"],
    "repairs_not": ["comparator"],
}


@pytest.mark.parametrize("key", CHECKS)
def test_a_check_can_fail(key: str) -> None:
    assert checked(ANSWER, {key: WRONG[key]})


@pytest.mark.parametrize("key", FITS)
def test_a_check_can_pass(key: str) -> None:
    assert not checked(ANSWER, {key: FITS[key]})


def test_a_failure_is_no_success() -> None:
    """An answer that failed leads right only where that was expected, and with the right code."""
    failed = Answer(failed=True, text="There is none.", data={"code": "not_found"})
    assert checked(failed, {"says": ["there is none"]})
    assert not checked(failed, {"code": "not_found", "says": ["there is none"]})
    assert checked(failed, {"code": "invalid_arguments"})
    assert checked(failed, {"refused": False})


def test_suggestions_replace_what_is_at_their_paths() -> None:
    """A value, a part of a definition, and a key's name."""
    sent = {"clusterName": "vip", "qp": {"filts": [{"ftv": ["上海市"]}], "recentDay": 7}}
    findings = [
        ROW,
        {"path": "/qp/recentDay", "code": "window_invalid", "suggestion": "7"},
        {"path": "/qp/events", "code": "key_missing", "suggestion": '[{"num": "1"}]'},
        {"path": "/clusterName", "code": "argument_unknown", "suggestion": "cluster_name"},
        {"path": "/qp", "code": "selects_nobody"},
    ]
    assert with_suggestions(sent, findings) == {
        "cluster_name": "vip",
        "qp": {"filts": [{"ftv": ["上海"]}], "recentDay": "7", "events": [{"num": "1"}]},
    }
    assert sent["clusterName"] == "vip", "the call itself is as it was sent"


def test_a_wrong_answer_is_seen(shop: Shop) -> None:
    """From one end to the other: what a mistake expects is held against what the server answers."""
    sends = 'preview_definition {"qp": {"filts": [{"tableType": "user", "columnName": "user_level", "comparator": "equal", "ftv": ["5"]}]}}'
    made = {"id": "x", "subject": "x", "meant": "Customers of level 5.", "sends": sends}
    assert not shop.faults(Mistake(**made, right={"users": 2}), "en")
    assert shop.faults(Mistake(**made, right={"users": 3}), "zh")


def test_what_comes_before_and_after(shop: Shop) -> None:
    """A later load is seen by the call, and a later call by what it expects."""
    create = 'create_cluster {"cluster_name": "w", "display_name": "W", "cluster_type": "cluster_by_static_condition", "qp": {"events": [{"eventName": "place_order", "comparator": "greater", "num": "0", "recentDay": "1-7", "taPropQuota": {"analysis": "TIMES"}}]}}'
    made = {
        "id": "x",
        "subject": "x",
        "meant": "Refresh.",
        "sends": 'refresh_cluster {"cluster": "w"}',
        "right": {"users": 3},
    }
    later = {"sends": 'get_cluster {"cluster": "w"}', "right": {"users": 3}}
    assert not shop.faults(Mistake(**made, before=(create, "load 2026-07-18"), then=(later,)), "en")
    assert shop.faults(Mistake(**made, before=(create,)), "en")
    assert shop.faults(Mistake(**made, before=("delete_cluster {}",)), "en")
    assert shop.faults(
        Mistake(**made, before=(create, "load 2026-07-18"), then=({**later, "right": {"users": 5}},)), "en"
    )
