"""The whole chain of the demo, once on this machine and once with all three systems remote: the same results.

What may differ is what the committed table (`mcp_server/platforms/fields.py`) names for the tool, by its whole path; what
tells of the moment or of a file's place; and the sentences that are listed here, which tell of such fields.
"""

import csv
import json
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal
from mcp import Client
from mcp_types import ElicitResult

from mcp_server import demo
from mcp_server.app import App, build
from mcp_server.calls.settings import BEIJING
from mcp_server.demo import script
from mcp_server.operations.registry import OPERATIONS
from mcp_server.platforms.local.loading import load
from mcp_server.settings import Settings
from tests.gateway.kit import station
from tests.remote.comparing import unlisted, unsaid
from tests.remote.kit import from_afar

NOW = datetime(1998, 7, 1, 12, tzinfo=BEIJING)
"""The demo's day. Real accounts know no other day than today, so the clocks of the account show it."""
WINDOW = {"start_time": "2030-01-07 00:00:00", "end_time": "2030-01-20 23:59:59"}
CALLS = {"concurrency": 1, "call_times": script.FEWER_TIMES, "ring_again_times": 1, "ring_again_interval": 15}
START, END = script.VALIDITY
SYSTEMS = {"segments": "thinkingdata", "crowds": "taobao", "calls": "volcengine"}
SENTENCES = {
    "describe_data": {"next"},
    "validate_definition": {"message"},
    "export_users": {"message"},
    **{tool: {"message"} for tool in ("create_crowd_analysis", "get_crowd_analysis", "delete_crowd_analysis")},
    "get_call_task": {"message", "next"},
    "update_call_task": {"next"},
}
"""By tool, what repeats in words fields that the table names, or the file's place."""

Data = dict[str, Any]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's data with names in English only: an account has them in one language."""
    root = tmp_path_factory.mktemp("chain")
    names = json.loads((demo.DATA / "metadata.json").read_text(encoding="utf-8"))
    for part in names.values():
        for name, told in part.items():
            part[name] = {
                "en": told["en"],
                "zh": told["en"],
                "remark_en": told["remark_en"],
                "remark_zh": told["remark_en"],
            }
    metadata = root / "names.json"
    metadata.write_text(json.dumps(names), encoding="utf-8")
    load(root / "demo", "1", events=str(demo.DATA / "events.parquet"), users=str(demo.DATA / "users.parquet"), columns={},
         as_of=script.AS_OF, metadata=str(metadata), on_progress=lambda *_: None)  # fmt: skip
    return root / "demo"


@dataclass
class Talk:
    """One telling: each call's tool and structured content."""

    client: Client
    said: list[tuple[str, Data]]

    async def ask(self, tool: str, **arguments: object) -> Data:
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, (tool, result.content)
        self.said.append((tool, result.structured_content or {}))
        return self.said[-1][1]


async def tell(talk: Talk, account: App) -> None:
    """The calls of the demo's steps; what only a console can do is done in the account itself."""
    mine, other = script.WORDS
    for words in (mine.en, other.en):
        await talk.ask("describe_data", search=words, limit=script.MOST_FOUND)
    drafted: Data = {"qp": script.DRAFT}
    draft = await talk.ask("validate_definition", **drafted)
    definition = (await talk.ask("validate_definition", **script.fixed(drafted, draft["problems"])))["definition"]
    await talk.ask("preview_definition", qp=definition, sample=3, properties=script.PROPERTIES)
    cluster = {
        "cluster_type": script.CLUSTER_TYPE,
        "cluster_name": script.CLUSTER,
        "display_name": "x",
        "qp": definition,
    }
    await talk.ask("create_cluster", **cluster)
    await talk.ask("create_cluster", **cluster)
    await talk.ask("refresh_cluster", cluster=script.CLUSTER)
    tag = script.tiers("en")
    await talk.ask("preview_definition", tag_qp=tag, sample=0)
    await talk.ask("create_tag", cluster_type=script.TAG_TYPE, cluster_name=script.TAG, display_name="t", tag_qp=tag)
    await talk.ask("refresh_cluster", cluster=script.TAG)
    await talk.ask("preview_definition", qp=script.members_with(script.TIERS[0].value.en), sample=0)
    await talk.ask("update_cluster", cluster=script.CLUSTER, dry_run=True, qp=script.with_longer_silence(definition))
    await talk.ask("list_clusters", search=script.CLUSTER)
    exported = await talk.ask("export_users", cluster=script.CLUSTER, properties=script.PROPERTIES)
    content = await anyio.Path(exported["path"]).read_text(encoding="utf-8")
    exported["content"] = content
    ids = [row[1] for row in csv.reader(content.splitlines()[1:])][: script.ANSWERS_SHOWN]
    await talk.ask(
        "import_ids", display_name="a", cluster_name=script.ANSWERED, main_column_name=script.CALLEE, ids=[*ids, script.MISTYPED]
    )  # fmt: skip
    await talk.ask(
        "create_cluster", cluster_type="cluster_by_result", cluster_name=script.SILENT, display_name="s", qp=script.without_answer()
    )  # fmt: skip
    await talk.ask("get_cluster", cluster=script.SILENT)
    crowd = (await talk.ask("get_cluster", cluster=script.CLUSTER))["cluster"]["cluster_id"]
    made = await talk.ask("create_crowd_analysis", crowd_id=crowd, start_time=START, end_time=END)
    which = {"task_id": made["result"]["task_id"], "crowd_id": crowd}
    await talk.ask("get_crowd_analysis", **which)
    async with Client(account.server(), elicitation_callback=_yes) as console:
        result = await console.call_tool("create_call_task", {
            "task_name": "win_back", "cluster": script.SILENT, "callee_property": script.CALLEE, **WINDOW, **CALLS,
            "concurrency": 2, "call_times": script.CALL_TIMES,
        })  # fmt: skip
        assert not result.is_error, result.content
    (task,) = (await talk.ask("list_call_tasks", search="win_back"))["tasks"]
    change = {"task_open_id": task["task_open_id"], **WINDOW, **CALLS}
    await talk.ask("update_call_task", dry_run=True, **change)
    await talk.ask("update_call_task", **change)
    await talk.ask("get_call_task", task_open_id=task["task_open_id"])
    await talk.ask("delete_crowd_analysis", **which)
    for name in script.MADE:
        await talk.ask("delete_cluster", cluster=name)
    await talk.ask("list_clusters")


async def _yes(*_: object) -> ElicitResult:
    return ElicitResult(action="accept", content={"answer": "yes"})


def told(app: App, account: App) -> list[tuple[str, Data]]:
    async def run() -> list[tuple[str, Data]]:
        async with Client(app.server(), elicitation_callback=_yes) as client:
            talk = Talk(client, [])
            try:
                await tell(talk, account)
            finally:
                await app.deps.disconnect()
            return talk.said

    return anyio.run(run)


@pytest.fixture(scope="module")
def both(
    loaded: Path, tmp_path_factory: pytest.TempPathFactory, portal: BlockingPortal
) -> tuple[list[tuple[str, Data]], list[tuple[str, Data]]]:
    """What the tools answered here, and from afar."""
    folder = tmp_path_factory.mktemp("tellings")
    here = build(Settings(workspace=shutil.copytree(loaded, folder / "here"), threads=2))
    try:
        local = told(here, here)
    finally:
        here.close()
    root = shutil.copytree(loaded, folder / "account")
    with station(root, portal, project="1") as account:
        account.clock.moment = NOW
        with from_afar(folder / "afar", account.url, NOW) as afar:
            return local, told(afar, account.app)


def test_each_tool_answers_from_afar_as_it_does_here_but_for_the_committed_table(both: Any) -> None:
    local, remote = both
    assert [tool for tool, _ in local] == [tool for tool, _ in remote]
    wrong = [
        (tool, at)
        for (tool, one), (_, other) in zip(local, remote, strict=True)
        for at in unlisted(tool, one, other) - SENTENCES.get(tool, set())
    ]
    assert wrong == []


def test_what_a_result_from_afar_lacks_it_says_itself(both: Any) -> None:
    silent = [
        (tool, at)
        for (tool, one), (_, other) in zip(*both, strict=True)
        for at in unsaid(tool, one, other) - SENTENCES.get(tool, set())
    ]
    assert silent == []


def test_each_result_from_afar_names_the_account_that_was_acted_on(both: Any) -> None:
    local, remote = both
    assert not any("platform" in data for _, data in local)
    systems = {operation.name: SYSTEMS[operation.system] for operation in OPERATIONS}
    assert [(tool, systems[tool]) for tool, _ in remote] == [
        (tool, data["platform"].split()[0]) for tool, data in remote
    ]
