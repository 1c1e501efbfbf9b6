"""The whole chain of the demo, once on this machine and once with all three systems remote: the same results.

What may differ is the committed table (`mcp_server/platforms/fields.py`), which fields it names and no others; what a
moment or a file's place is; and the sentences, which tell of the fields.
"""

import csv
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
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
from mcp_server.credentials import read_credentials
from mcp_server.demo import story
from mcp_server.platforms.fields import varying
from mcp_server.platforms.local.loading import load
from mcp_server.remote import connect
from mcp_server.settings import Settings
from tests.gateway.kit import KEYS, station
from tests.remote.kit import QUICK, variables

NOW = datetime(1998, 7, 1, 12, tzinfo=BEIJING)
"""The demo's day. Real accounts know no other day than today, so the clocks of the account stand there."""
WINDOW = {"start_time": "2030-01-07 00:00:00", "end_time": "2030-01-20 23:59:59"}
CALLS = {"concurrency": 1, "call_times": story.FEWER_TIMES, "ring_again_times": 1, "ring_again_interval": 15}
START, END = story.VALIDITY
VARIES = {
    "refresh_time",
    "updated_at",
    "created_at",
    "loaded_time",
    "path",
    "uri",
    "request_id",
    "consent_token",
    "message",
    "next",
    "platform",
}

Data = dict[str, Any]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("chain") / "demo"
    load(root, "1", events=str(demo.DATA / "events.parquet"), users=str(demo.DATA / "users.parquet"), columns={},
         as_of=story.AS_OF, metadata=str(demo.DATA / "metadata.json"), on_progress=lambda *_: None)  # fmt: skip
    return root


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


def rows_of(path: str) -> list[list[str]]:
    """The rows of an exported file, below its first line, in order."""
    return sorted(csv.reader(Path(path).read_text(encoding="utf-8-sig").splitlines()[1:]))


async def tell(talk: Talk, account: App) -> None:
    """The calls of the demo's steps; what only a console can do is done in the account itself."""
    mine, other = story.WORDS
    for words in (mine.en, other.en):
        await talk.ask("describe_data", search=words, limit=story.MOST_FOUND)
    drafted: Data = {"qp": story.DRAFT}
    draft = await talk.ask("validate_definition", **drafted)
    definition = (await talk.ask("validate_definition", **story.mended(drafted, draft["problems"])))["definition"]
    await talk.ask("preview_definition", qp=definition, sample=3, properties=story.PROPERTIES)
    cluster = {"cluster_type": story.CLUSTER_TYPE, "cluster_name": story.CLUSTER, "display_name": "x", "qp": definition}
    await talk.ask("create_cluster", **cluster)
    await talk.ask("create_cluster", **cluster)
    await talk.ask("refresh_cluster", cluster=story.CLUSTER)
    tag = story.tiers("en")
    await talk.ask("preview_definition", tag_qp=tag)
    await talk.ask("create_tag", cluster_type=story.TAG_TYPE, cluster_name=story.TAG, display_name="t", tag_qp=tag)
    await talk.ask("refresh_cluster", cluster=story.TAG)
    await talk.ask("preview_definition", qp=story.members_with(story.TIERS[0].value.en))
    await talk.ask("update_cluster", cluster=story.CLUSTER, dry_run=True, qp=story.with_longer_silence(definition))
    await talk.ask("list_clusters", search=story.CLUSTER)
    exported = await talk.ask("export_users", cluster=story.CLUSTER, properties=story.PROPERTIES)
    rows = rows_of(exported["path"])
    talk.said.append(("export_users", {"rows": rows}))
    ids = [row[1] for row in rows][: story.ANSWERS_SHOWN]
    await talk.ask(
        "import_ids", display_name="a", cluster_name=story.ANSWERED, main_column_name=story.CALLEE, ids=[*ids, story.MISTYPED]
    )  # fmt: skip
    await talk.ask(
        "create_cluster", cluster_type="cluster_by_result", cluster_name=story.SILENT, display_name="s", qp=story.without_answer()
    )  # fmt: skip
    await talk.ask("get_cluster", cluster=story.SILENT)
    crowd = (await talk.ask("get_cluster", cluster=story.CLUSTER))["cluster"]["cluster_id"]
    made = await talk.ask("create_crowd_analysis", crowd_id=crowd, start_time=START, end_time=END)
    which = {"task_id": made["result"]["task_id"], "crowd_id": crowd}
    await talk.ask("get_crowd_analysis", **which)
    async with Client(account.server(), elicitation_callback=_yes) as console:
        result = await console.call_tool("create_call_task", {
            "task_name": "win_back", "cluster": story.SILENT, "callee_property": story.CALLEE, **WINDOW, **CALLS,
            "concurrency": 2, "call_times": story.CALL_TIMES,
        })  # fmt: skip
        assert not result.is_error, result.content
    (task,) = (await talk.ask("list_call_tasks", search="win_back"))["tasks"]
    change = {"task_open_id": task["task_open_id"], **WINDOW, **CALLS}
    await talk.ask("update_call_task", dry_run=True, **change)
    await talk.ask("update_call_task", **change)
    await talk.ask("get_call_task", task_open_id=task["task_open_id"])
    await talk.ask("delete_crowd_analysis", **which)
    for name in story.MADE:
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


@contextmanager
def from_afar(root: Path, url: str) -> Iterator[App]:
    """A process on an empty workspace whose three systems are remote."""
    given = variables(url) | {"FENQUN_THINKINGDATA_URL": url, "FENQUN_THINKINGDATA_TOKEN": KEYS.token}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mcp_server.platforms.thinkingdata.computing.FIRST_PAUSE", 0.05)
        patch.setattr("mcp_server.remote.connect", partial(connect, clock=lambda: NOW, policy=QUICK))
        made = build(Settings(workspace=root, threads=1, remote=read_credentials(given)))
        try:
            yield made
        finally:
            made.close()


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
        with from_afar(folder / "afar", account.url) as afar:
            return local, told(afar, account.app)


def differing(one: object, other: object, at: str = "") -> Iterator[str]:
    """The fields in which two results differ; the members of a row after the row's name."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in {*one, *other} - VARIES:
            yield from differing(one.get(name), other.get(name), f"{at}.{name}" if at else name)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for left, right in zip(one, other, strict=True):
            yield from differing(left, right, at)
    elif one != other:
        yield f"{at}: {one!r:.200} / {other!r:.200}"


def test_each_tool_answers_from_afar_as_it_does_here_but_for_the_committed_table(both: Any) -> None:
    local, remote = both
    assert [tool for tool, _ in local] == [tool for tool, _ in remote]
    wrong = [
        (tool, found)
        for (tool, one), (_, other) in zip(local, remote, strict=True)
        for found in sorted(set(differing(one, other)))
        if not may_differ(tool, found.partition(": ")[0])
    ]
    assert wrong == []


def may_differ(tool: str, at: str) -> bool:
    """Whether the table names this field, or its last name where the row that it is in does not matter."""
    named = {field for platform in ("thinkingdata", "taobao", "volcengine") for field in varying(platform, tool)}
    return at in named or at.rpartition(".")[2] in named
