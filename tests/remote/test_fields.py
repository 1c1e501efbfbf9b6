"""The table of what platforms do not report is what results lack, no more and no less."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from mcp_server.front.mcp import rendering
from mcp_server.operations.arguments import output_schema
from mcp_server.operations.registry import OPERATIONS
from mcp_server.platforms.fields import ABSENT
from tests import small
from tests.gateway.kit import Station
from tests.remote.kit import RemoteDesk
from tools.platform_fields import DIFFERENT, REMOTE_ONLY, absent

OPERATION = {o.name: o for o in OPERATIONS}
VALID = {"start_time": "2026-07-01 00:00:00", "end_time": "2030-07-31 23:59:59"}
WINDOW = {"start_time": "2030-01-07 09:00:00", "end_time": "2030-01-31 20:00:00"}


def told(data: Mapping[str, Any]) -> Iterator[str]:
    """The fields of a result; those of its rows after the row's name."""
    for name, value in data.items():
        rows = value if isinstance(value, list) else [value]
        if name in ("task", "tasks", "result"):
            yield from (f"{name}.{key}" for row in rows for key in row)
        else:
            yield name


def test_the_table_names_tools_and_fields_that_exist() -> None:
    for row in (*ABSENT, *REMOTE_ONLY, *DIFFERENT):
        for tool in row.tools:
            schema = output_schema(OPERATION[tool])
            assert all(exists(schema, field.partition(" ")[0]) for field in row.fields)
            assert row not in ABSENT or exists(schema, "not_told"), row


def exists(schema: Mapping[str, Any], path: str) -> bool:
    """Whether a result may have this field."""
    name, _, rest = path.partition(".")
    inner = schema.get("items", schema).get("properties", {}).get(name)
    return inner is not None and (not rest or exists(inner, rest))


@pytest.fixture(scope="module")
def both(account: Station, desk: RemoteDesk) -> dict[str, tuple[set[str], set[str]]]:
    """By tool: the fields of a local and of a remote result about the same task."""
    account.call(
        "create_cluster",
        cluster_name="buyers",
        display_name="买家",
        cluster_type="cluster_by_static_condition",
        qp=small.BUYERS,
    )
    cluster = account.call("refresh_cluster", cluster="buyers", wait_seconds=20).cluster.cluster_id
    crowd = account.call("create_crowd_analysis", crowd_id=cluster, **VALID).result.task_id
    call = account.call("create_call_task", task_name="spring", ids=["138000"], **WINDOW).task.task_open_id
    asked = (
        ("list_crowd_analyses", {"crowd_id": cluster}),
        ("get_crowd_analysis", {"task_id": crowd, "crowd_id": cluster}),
        ("reload_crowd_analysis", {"task_id": crowd, "crowd_id": cluster}),
        ("list_call_tasks", {}),
        ("get_call_task", {"task_open_id": call}),
    )
    found = {}
    for tool, arguments in asked:
        local, remote = (rendering.structured(speak(tool, **arguments)) for speak in (account.call, desk))
        found[tool] = set(told(local)), set(told(remote))
    return found


@pytest.mark.parametrize(
    ("platform", "tool"),
    [
        ("taobao", "list_crowd_analyses"),
        ("taobao", "get_crowd_analysis"),
        ("taobao", "reload_crowd_analysis"),
        ("volcengine", "list_call_tasks"),
        ("volcengine", "get_call_task"),
    ],
)
def test_a_remote_result_lacks_what_the_table_says(
    both: dict[str, tuple[set[str], set[str]]], platform: str, tool: str
) -> None:
    local, remote = both[tool]
    assert local - remote <= absent(platform, tool)
    assert not remote & absent(platform, tool)
    only = {f for row in REMOTE_ONLY if row.platform == platform and tool in row.tools for f in row.fields}
    assert remote - local - {"platform", "not_told", "next"} == only
