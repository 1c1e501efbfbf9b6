"""Arbitrary JSON as arguments: an answer that fits its schema or an error of the house, and the catalogue is unharmed."""

import copy
import json
import secrets
from collections import Counter
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from hypothesis import strategies as st

from mcp_server.errors import FenqunError
from mcp_server.operations.registry import OPERATIONS
from tests import small
from tests.operations.desk import DYNAMIC, PATIENCE, STATIC, Desk, of_user, opened, times
from tests.reading.rounds import in_rounds

NAMES = [o.name for o in OPERATIONS]
WORDS = [name for o in OPERATIONS for name in o.params.model_fields]

_TEXTS = st.one_of(
    st.text(max_size=30),
    st.text(st.characters(categories=["Cs", "Cc", "Cf", "Zl", "Nd"]), max_size=5),
    st.sampled_from([
        "buyers", "BUYERS", "1", "buy", "city", "level", "#user_id", "csv", "parquet", "true", "null", "{}", "[]", '["city"]', STATIC, DYNAMIC,
        "'; DROP TABLE cluster; --", "0-7", "2026-07-01", "1e5", "-1", "equal", "and", "or", "event", "user", "", " ", "a" * 25, "买" * 51,
    ]),
)  # fmt: skip
_SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), _TEXTS)
JSON = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_TEXTS, inner, max_size=4)),
    max_leaves=8,
)

DEFINITIONS: list[dict[str, Any]] = [
    small.BUYERS,
    {
        "events": [
            times("range", "0,5", "anyEvent", startTime="2026-07-01", endTime="2026-07-03"),
            times("notEqual", "3", recentDay="0-7", filts=[of_user("city", "include", "上")]),
            {**times("greater", "1.5"), "taPropQuota": {"analysis": "AVG", "quota": "price"}},
        ],
        "event_relation": "or",
        "filts": [
            {"filterType": "COMPOUND", "relation": "or", "filts": [of_user("level", "range", "1", "4"), of_user("city", "isNull")]},
            of_user("city", "regexMatch", "^.$"),
        ],
        "event_user_relation": "or",
    },
]  # fmt: skip


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a definition: what holds it, and the index or key."""
    if isinstance(node, dict | list):
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            yield node, key
            yield from places(node[key])


@st.composite
def definitions(draw: st.DrawFn, valid: list[dict[str, Any]]) -> Any:
    """A valid definition, with arbitrary JSON in one place or two; sometimes as text."""
    made = copy.deepcopy(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(0, 2))):
        holder, key = draw(st.sampled_from(list(places(made))))
        holder[key] = draw(JSON)
    return json.dumps(made) if draw(st.integers(0, 5)) == 5 else made


TAGS: list[dict[str, Any]] = [
    {"userTagValueDefs": [{"tagValue": "a", "userClusterDef": d} for d in DEFINITIONS[:1]]},
    {
        "userTagConQuotaDef": {
            "userTagConQuotaEvent": {"type": "normal", "eventName": "buy", "analysis": "SUM", "quota": "price"}
        }
    },
]
TAG_TYPES = ["tag_by_static_condition", "tag_by_dynamic_condition"]


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "cluster": st.sampled_from(["buyers", "Buyers", "1"]),
    "cluster_name": st.sampled_from(["buyers", "other", "x"]),
    "display_name": st.sampled_from(["买家", "x"]),
    "cluster_type": st.sampled_from([STATIC, DYNAMIC]),
    "qp": definitions(DEFINITIONS),
    "tag_qp": definitions(TAGS),
    "sample": st.integers(0, 20),
    "properties": st.lists(st.sampled_from(["city", "LEVEL"]), max_size=2),
    "wait_seconds": st.sampled_from([0, 0.01]),
    "format": st.sampled_from(["csv", "parquet"]),
    "dry_run": st.booleans(),
    "event": st.sampled_from(["buy", "login"]),
    "crowd_id": st.sampled_from(["buyers", "1"]),
    "task_id": st.just("newest"),
    "start_time": st.sampled_from(["2026-07-01 00:00:00", "2018-09-19"]),
    "end_time": st.sampled_from(["2026-07-31 23:59:59", "2026-08-31", "2018-09-19 00:00:01"]),
    "task_name": st.sampled_from(["spring", "x", "y", "z"]),
    "ids": st.lists(st.sampled_from(["1380", "1381", "x"]), min_size=1, max_size=3),
    "callee_property": st.sampled_from(["city", "CITY"]),
    "task_open_id": st.sampled_from(["spring", "1"]),
    "concurrency": st.integers(1, 5),
    "call_times": st.lists(st.sampled_from(["mon-sat 10:00-12:00", "周日", "20:00-09:00"]), min_size=1, max_size=2),
    "ring_again_times": st.integers(0, 5),
    "ring_again_interval": st.integers(5, 1440),
}
"""What fits, so that arbitrary values reach beyond the reading of arguments."""
_OF_TAGS = {
    "cluster": st.sampled_from(["tiers", "Tiers"]),
    "cluster_name": st.sampled_from(["tiers", "tag_x"]),
    "cluster_type": st.sampled_from(TAG_TYPES),
}


_LISTED = st.sampled_from(["上海", "a|b", "1380", ""])
_OF_LISTS = {
    "cluster": st.sampled_from(["listed", "Listed"]),
    "cluster_name": st.sampled_from(["listed", "x"]),
    "main_column_name": st.sampled_from(["city", "CITY"]),
    "ids": st.lists(_LISTED, min_size=1, max_size=3) | st.lists(_LISTED.map(lambda one: f'"{one}",v'), min_size=1),
    "catalog": st.sampled_from(["cluster", "tag"]),
}


_OF_CALLS = {
    "start_time": st.sampled_from(["2030-01-01 09:00:00", "2030-01-01T09:00:00Z"]),
    "end_time": st.sampled_from(["2030-01-02 09:00:00", "2031-01-02 09:00"]),
}
_LIST = {"display_name": "listed", "main_column_name": "city", "ids": ["上海"]}
_CALL = {"task_name": "spring", "ids": ["1380"], "start_time": "2030-01-01 09:00:00", "end_time": "2030-01-02 12:00:00"}
SPECIAL = {"tag": _OF_TAGS, "call_task": _OF_CALLS, "ids": _OF_LISTS}
"""What fits only tools with this in their names."""


@st.composite
def arguments(draw: st.DrawFn, tool: str) -> dict[str, Any]:
    """Arguments that mostly fit, with arbitrary JSON for some of them and now and then an unknown one."""
    made: dict[str, Any] = {}
    fields = OPERATIONS[NAMES.index(tool)].params.model_fields
    special = next((values for part, values in SPECIAL.items() if part in tool), {})
    fitting, wild = (6, 6) if len(fields) < 12 else (9, 8)  # of many, most have to fit for the call to get anywhere
    for name, field in fields.items():
        kind = draw(st.integers(0, 9))
        if name == "tag_qp" and "qp" in made and kind < 9:
            continue  # they take one of the two
        if tool == "create_call_task" and name in ("cluster", "callee_property") and kind < 9:
            continue  # it takes these or a list
        if name == "path" and kind < 9:
            continue  # it takes these or ids
        fits = VALUES | special
        if kind < fitting and name in fits and (field.is_required() or kind < 4 or name == "ids"):
            made[name] = draw(fits[name])
        elif kind > wild:
            made[name] = draw(JSON)
    if draw(st.integers(0, 9)) == 9:
        made[draw(st.one_of(_TEXTS, st.sampled_from(WORDS)))] = draw(JSON)
    made.pop("project_id", None)
    return made


def unharmed(desk: Desk) -> None:
    """The catalogue is whole, and a process that opens it anew can read every cluster."""
    check = desk.catalog.database.rows("PRAGMA integrity_check")
    assert [tuple(row) for row in check] == [("ok",)]
    assert desk.catalog.database.rows("PRAGMA foreign_key_check") == []
    for other in opened(desk.catalog.workspace.root):
        for row in other("list_clusters", limit=100).clusters:
            assert other("get_cluster", cluster=row.cluster_id).definition
    assert desk("preview_definition", qp=small.BUYERS).users_num == 2


def prepare(desk: Desk, tool: str) -> None:
    """What the tool works on, as it is before each example: the one before may have changed or deleted it."""
    catalog = desk.catalog
    if not catalog.find_name("1", "buyers"):
        desk.create("buyers", small.BUYERS)
    if tool == "restore_cluster":
        desk("update_cluster", cluster="buyers", remarks=secrets.token_hex(4))
    elif "call_task" in tool:
        with catalog.database.write() as db:  # else each example would be counted against those before it
            db.execute("DELETE FROM call_task WHERE name_key <> 'spring'")
        if not catalog.database.rows("SELECT 1 FROM call_task"):
            desk("create_call_task", **_CALL)
    elif "ids" in tool and not catalog.find_name("1", "listed"):
        desk("import_ids", cluster_name="listed", **_LIST)
    elif "tag" in tool and not catalog.find_name("1", "tiers"):
        desk("create_tag", cluster_name="tiers", display_name="tiers", cluster_type=TAG_TYPES[0], tag_qp=TAGS[0])


def a_task(desk: Desk) -> str:
    """The id of a crowd analysis task that runs."""
    made = desk("create_crowd_analysis", crowd_id="buyers", start_time="2026-07-01", end_time="2026-09-30")
    found: str = made.result.task_id
    return found


NEED_FILES = {"load_file", "restore_data"}
"""Answered in test_hostile.py, over a project of its own: here they would replace the data of the others."""


def swept(desk: Desk, tool: str, rounds: int) -> None:
    """Call the tool with generated arguments; both answers and refusals have to come."""
    seen = Counter[str]()

    async def ask(given_now: dict[str, Any]) -> None:
        try:
            with anyio.fail_after(PATIENCE):
                await desk.asked(tool, given_now)
        except FenqunError as error:
            seen[error.code] += 1
        else:
            seen["answered"] += 1

    def one(given_now: dict[str, Any]) -> None:
        prepare(desk, tool)
        if given_now.get("task_id") == "newest":
            given_now["task_id"] = a_task(desk)
        anyio.run(ask, given_now)

    in_rounds(rounds, arguments(tool), one, shrink=False)
    assert not seen["query_failed"]
    enough = max(2, rounds // 3)
    assert seen.total() - seen["answered"] >= enough, seen
    assert seen["answered"] >= enough or tool in NEED_FILES, seen
    unharmed(desk)


@pytest.mark.parametrize("tool", NAMES)
def test_arbitrary_arguments_are_answered_or_refused(desk: Desk, tool: str) -> None:
    swept(desk, tool, 3)


@pytest.mark.slow
@pytest.mark.parametrize("tool", NAMES)
def test_arbitrary_arguments_are_answered_or_refused_in_the_long_run(desk: Desk, tool: str) -> None:
    swept(desk, tool, 50)
