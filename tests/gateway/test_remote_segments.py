"""The segment platform of ThinkingData, driven over a real socket against the gateway."""

import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest
from anyio.from_thread import BlockingPortal

from mcp_server.engines.duckdb.engine import Engine
from mcp_server.errors import (
    FenqunError,
    InvalidArguments,
    NameTaken,
    NotFound,
    NotOnPlatform,
    NotRefreshable,
    OutcomeUnknown,
)
from mcp_server.language.definitions import PlatformDefinition, compare_definitions, meaning_hash
from mcp_server.language.metadata import Metadata
from mcp_server.language.model import CLUSTER, TAG, Qp, TagQp
from mcp_server.language.sql import Sql
from mcp_server.language.uploaded import Uploaded
from mcp_server.platforms.segments import ClusterChanges, ClusterDraft, IdChanges, IdDraft, IdSource, SegmentPlatform
from mcp_server.platforms.thinkingdata import wire
from mcp_server.platforms.thinkingdata.segments import ThinkingDataSegments
from mcp_server.platforms.transport import Transport
from mcp_server.store.files import LocalFiles
from mcp_server.store.workspace import Workspace
from mcp_server.text import Text
from tests.gateway.faults import Fault, Kind
from tests.gateway.kit import KEYS, PROJECT, QUICK, Station
from tests.operations.desk import check_chinese

R = TypeVar("R")
STATIC = "cluster_by_static_condition"
NOW = datetime(2020, 1, 10, 4, tzinfo=UTC)


def level(*levels: str, comparator: str = "equal") -> Qp:
    part = {"tableType": "user", "columnName": "user_level", "comparator": comparator, "ftv": list(levels)}
    return Qp.model_validate({"filts": [part]})


def consumed(num: str, **more: Any) -> Qp:
    event = {"eventName": "consume_item", "comparator": "greater", "num": num, "taPropQuota": {"analysis": "TIMES"}}
    return Qp.model_validate({"events": [event | more]})


class Remote:
    """A platform in the loop of the servers; pauses take hardly any time."""

    def __init__(self, portal: BlockingPortal, platform: ThinkingDataSegments, root: Path) -> None:
        self._portal = portal
        self.platform = platform
        self.root = root
        self.said: list[tuple[float, Text]] = []

    def __call__(self, use: Callable[[ThinkingDataSegments], Awaitable[R]]) -> R:
        return self._portal.call(use, self.platform)

    async def report(self, percent: float, message: Text) -> None:
        assert 0 <= percent <= 100
        self.said.append((percent, message))


PAUSES: list[float] = []


async def _sleep(seconds: float) -> None:
    PAUSES.append(seconds)
    await anyio.sleep(0.01)


@contextmanager
def platform(station: Station, portal: BlockingPortal, root: Path, words: Any = "warn") -> Iterator[Remote]:
    workspace = Workspace.open(root)
    engine = Engine(workspace.temp_path(".spill"))
    transport, files = Transport(station.url, QUICK), LocalFiles(workspace)
    made = portal.call(
        lambda: ThinkingDataSegments(
            transport, KEYS.token, files, engine.regex_fault, words=words, clock=lambda: NOW, sleep=_sleep
        )
    )
    yield Remote(portal, made, root)
    portal.call(made.close)
    engine.close()
    workspace.close()


@pytest.fixture(scope="module")
def remote(shared: Station, portal: BlockingPortal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    with platform(shared, portal, tmp_path_factory.mktemp("remote")) as made:
        yield made


@pytest.fixture
def careful(shared: Station, portal: BlockingPortal, tmp_path: Path) -> Iterator[Remote]:
    with platform(shared, portal, tmp_path, "refuse") as made:
        yield made


def draft(name: str, definition: Any = None, **more: Any) -> ClusterDraft:
    return ClusterDraft(name, f"显示 {name}", more.pop("cluster_type", STATIC), definition or level("3"), **more)


def refused(kind: type[FenqunError], use: Callable[[], object]) -> FenqunError:
    with pytest.raises(kind) as caught:
        use()
    error = caught.value
    for said in (error.message, error.next_step):
        assert said.en
        check_chinese(said.zh)
        assert KEYS.token not in said.en + said.zh
    return error


def test_it_is_a_segment_platform(remote: Remote) -> None:
    async def use(platform: SegmentPlatform) -> str:
        return platform.name

    assert remote(use) == "thinkingdata"


# metadata


def test_metadata_tells_events_properties_values_and_clusters(remote: Remote) -> None:
    async def use(p: ThinkingDataSegments) -> Any:
        await p.create(PROJECT, draft("known_here"))
        return await p.metadata(PROJECT)

    found = remote(use)
    assert "consume_item" in found.event_by_name
    user_level = found.property("user", "USER_LEVEL")
    assert (user_level.type, user_level.scale) == ("number", None)
    assert found.property("user", "#user_id").scale == 0
    assert {v.value for v in found.property("user", "phone").top} == {"+861", "+862", "+864", "+865"}
    assert found.property("user", "phone").values_known
    assert found.property("cluster", "known_here").type == "cluster"
    assert (found.users, found.today.isoformat(), found.zone) == (5, "2020-01-10", "Asia/Shanghai")


def test_metadata_is_asked_for_once_in_a_while(remote: Remote, shared: Station) -> None:
    async def use(p: ThinkingDataSegments) -> int:
        await p.metadata(PROJECT)
        before = len(shared.faults.seen)
        await p.metadata(PROJECT)
        return len(shared.faults.seen) - before

    assert remote(use) == 0


def test_without_leave_to_run_sql_only_values_are_missing(careful: Remote, shared: Station) -> None:
    shared.faults.add(Fault(Kind.NOT_JSON, path=wire.SQL))
    found = careful(lambda p: p.metadata(PROJECT))
    assert (found.users, found.property("user", "phone").top) == (None, ())
    assert "consume_item" in found.event_by_name


def test_a_project_is_a_number(remote: Remote) -> None:
    refused(InvalidArguments, lambda: remote(lambda p: p.metadata("a b")))


# reading


def test_a_cluster_is_found_by_id_by_name_in_any_case_and_in_the_list(remote: Remote) -> None:
    async def use(p: ThinkingDataSegments) -> None:
        made = await p.create(PROJECT, draft("Find_Me", remarks="for a test"))
        await p.create(PROJECT, draft("find_me_too"))
        by_id, by_name = await p.get(PROJECT, made.cluster_id), await p.get(PROJECT, "find_ME")
        assert by_id == by_name
        assert (by_id.cluster_name, by_id.display_name, by_id.remarks) == ("Find_Me", "显示 Find_Me", "for a test")
        assert by_id.definition == level("3")
        page = await p.search(PROJECT, words="FIND_me", cluster_types=(), offset=0, limit=1)
        assert (page.total, page.items[0].cluster_name) == (2, "find_me_too")
        page = await p.search(PROJECT, words="find_me", cluster_types=(STATIC,), offset=1, limit=5)
        assert [c.cluster_name for c in page.items] == ["Find_Me"]
        assert (
            await p.search(PROJECT, words="find_me", cluster_types=("tag_by_import",), offset=0, limit=5)
        ).total == 0
        assert await p.find_name(PROJECT, "find") is None
        await p.delete(by_id)
        assert await p.find_name(PROJECT, "Find_Me") is None

    remote(use)


@pytest.mark.parametrize("ref", ["known_her", "999999"])
def test_what_is_not_there_is_not_found(remote: Remote, ref: str) -> None:
    error = refused(NotFound, lambda: remote(lambda p: p.get(PROJECT, ref)))
    assert ref in error.message.en


# creating


def test_a_cluster_and_a_tag_are_created_and_computed(remote: Remote) -> None:
    tag = TagQp.model_validate({"userTagValueDefs": [{"tagValue": "三", "userClusterDef": level("3").wire()}]})

    async def use(p: ThinkingDataSegments) -> None:
        made = await p.wait(await p.create(PROJECT, draft("computed")), seconds=20, on_progress=remote.report)
        assert (made.users_num, made.progress, made.fresh) == (3, 100, True)
        wish = draft("computed_tag", tag, cluster_type="tag_by_static_condition")
        given = await p.wait(await p.create(PROJECT, wish), seconds=20, on_progress=remote.report)
        assert (given.catalog, given.users_num, given.definition) == (TAG, 3, tag)
        assert (await p.metadata(PROJECT)).property("cluster", "computed_tag").type == "string"  # type: ignore[union-attr]
        with pytest.raises(NameTaken):
            await p.create(PROJECT, draft("COMPUTED"))

    remote(use)


@pytest.mark.parametrize("acts", [True, False])
@pytest.mark.parametrize("kind", [Kind.DROP, Kind.NOT_JSON, Kind.TRUNCATED])
def test_a_create_whose_answer_was_lost_is_settled_and_made_once(
    remote: Remote, shared: Station, kind: Kind, acts: bool
) -> None:
    name = f"lost_{kind.name.lower()}_{int(acts)}"
    shared.faults.add(Fault(kind, acts=acts, path=wire.ADD))

    async def use(p: ThinkingDataSegments) -> Any:
        return await p.create(PROJECT, draft(name))

    before = shared.faults.seen.count(wire.ADD)
    made = remote(use)
    assert made.cluster_name == name
    assert shared.faults.seen.count(wire.ADD) - before == (1 if acts else 2)
    found = shared.call("list_clusters", search=name, project_id=PROJECT)
    assert [c.cluster_id for c in found.clusters] == [made.cluster_id]


def test_a_create_that_stays_unknown_names_the_read_that_settles_it(remote: Remote, shared: Station) -> None:
    lost = Fault(Kind.DROP, acts=False, path=wire.ADD)
    shared.faults.add(lost, lost)
    error = refused(OutcomeUnknown, lambda: remote(lambda p: p.create(PROJECT, draft("unknown"))))
    assert "get_cluster unknown" in error.next_step.en


def test_a_lost_create_that_finds_another_definition_under_the_name_says_so(remote: Remote, shared: Station) -> None:
    async def use(p: ThinkingDataSegments) -> None:
        await p.create(PROJECT, draft("same_name", level("5")))
        await p._saving._same(PROJECT, draft("same_name", level("3")))

    refused(NameTaken, lambda: remote(use))


def test_sql_is_refused(remote: Remote) -> None:
    definition = Sql(CLUSTER, "SELECT 1", ())
    refused(NotOnPlatform, lambda: remote(lambda p: p.create(PROJECT, draft("sql", definition))))

    async def use(p: ThinkingDataSegments) -> Any:
        return p.sql_look(definition, await p.metadata(PROJECT), ("qp",))

    assert [f.code for f in remote(use).findings] == ["sql_not_here"]


# words that are not documented


def test_words_are_warned_of_or_refused(remote: Remote, careful: Remote) -> None:
    doubtful = consumed("1,3", comparator="range", recentDay="0-7")

    async def use(p: ThinkingDataSegments) -> Any:
        return [(d.code, d.path, d.got) for d in p.doubts(doubtful, ("qp",))]

    said = [("/qp/events/0/comparator", "range"), ("/qp/events/0/recentDay", "0-7")]
    assert remote(use) == [("word_unverified", path, got) for path, got in said]
    assert careful(use) == [("word_refused", path, got) for path, got in said]


def test_remarks_and_result_clusters_are_sent_only_where_that_is_allowed(careful: Remote, shared: Station) -> None:
    for wish in (draft("careful", remarks="r"), draft("careful", cluster_type="cluster_by_result")):
        error = refused(InvalidArguments, lambda wish=wish: careful(lambda p: p.create(PROJECT, wish)))
        assert len(error.problems) == 1
    assert careful(lambda p: p.create(PROJECT, draft("careful"))).remarks == ""


# changing


def test_an_update_replaces_definition_and_name(remote: Remote) -> None:
    async def use(p: ThinkingDataSegments) -> None:
        old = await p.wait(
            await p.create(PROJECT, draft("changing", remarks="stays")), seconds=20, on_progress=remote.report
        )
        changed = await p.update(old, ClusterChanges("新名", level("5")))
        done = await p.wait(changed, seconds=20, on_progress=remote.report)
        assert (done.display_name, done.definition, done.users_num) == ("新名", level("5"), 1)
        assert (done.remarks, done.stamp != old.stamp) == ("stays", True)
        with pytest.raises(NotOnPlatform):
            await p.update(done, ClusterChanges(remarks=""))

    remote(use)


def test_a_lost_update_is_settled_by_looking(remote: Remote, shared: Station) -> None:
    async def use(p: ThinkingDataSegments) -> Any:
        old = await p.create(PROJECT, draft("lost_update"))
        shared.faults.add(*[Fault(Kind.DROP, path=wire.UPDATE_BY_NAME)] * QUICK.attempts)
        return await p.update(old, ClusterChanges("改", level("1")))

    assert remote(use).definition == level("1")


def test_a_lost_deletion_is_settled_by_looking(remote: Remote, shared: Station) -> None:
    async def use(p: ThinkingDataSegments) -> None:
        made = await p.create(PROJECT, draft("lost_delete"))
        shared.faults.add(Fault(Kind.DROP, acts=False, path=wire.DELETE_BY_NAME))
        with pytest.raises(OutcomeUnknown):
            await p.delete(made)
        shared.faults.add(Fault(Kind.DROP, path=wire.DELETE_BY_NAME))
        await p.delete(made)
        assert await p.find_name(PROJECT, "lost_delete") is None

    remote(use)


def test_a_refresh_is_waited_for_with_growing_pauses(remote: Remote) -> None:
    async def use(p: ThinkingDataSegments) -> Any:
        made = await p.create(PROJECT, draft("refreshed"))
        made = await p.wait(made, seconds=20, on_progress=remote.report)
        return await p.refresh(made, seconds=None, on_progress=remote.report)

    PAUSES.clear()
    done = remote(use)
    assert (done.progress, done.users_num) == (100, 3)
    assert all(0.5 <= pause <= 5 for pause in PAUSES)
    refused(
        NotRefreshable,
        lambda: remote(
            lambda p: p.refresh(replace(done, cluster_type="cluster_by_import"), seconds=1, on_progress=remote.report)
        ),
    )


# uploaded ids


def ids(*lines: str, name: str = "", **more: Any) -> IdDraft:
    return IdDraft(IdSource(ids=lines), "名单", "#account_id", more.pop("catalog", CLUSTER), name, **more)


def test_ids_are_imported_and_replaced(remote: Remote) -> None:
    async def use(p: ThinkingDataSegments) -> None:
        tried = await p.import_ids(PROJECT, ids("j77639", "nobody"), dry_run=True, on_progress=remote.report)
        assert (tried.cluster, tried.upload_num, tried.user_num, tried.unmatched_num) == (None, 2, None, None)
        done = await p.import_ids(
            PROJECT, ids("j77639", " h84497 ", "nobody"), dry_run=False, on_progress=remote.report
        )
        assert done.cluster is not None
        assert (done.upload_num, done.user_num, done.unmatched_num, done.cluster.users_num) == (3, 2, 1, 2)
        assert done.cluster_name.startswith("cohort_20200110_120000")
        assert isinstance(done.cluster.definition, Uploaded)
        changes = IdChanges(IdSource(ids=("g119426",)))
        tried = await p.replace_ids(done.cluster, changes, dry_run=True, on_progress=remote.report)
        assert tried.changes
        put = await p.replace_ids(done.cluster, changes, dry_run=False, on_progress=remote.report)
        assert (put.user_num, put.cluster.users_num if put.cluster else 0) == (1, 1)
        made = await p.create(PROJECT, draft("no_list"))
        with pytest.raises(InvalidArguments):
            await p.replace_ids(made, changes, dry_run=False, on_progress=remote.report)
        with pytest.raises(NameTaken):
            await p.import_ids(PROJECT, ids("j77639", name="NO_LIST"), dry_run=False, on_progress=remote.report)

    remote(use)


def test_a_file_is_sent_as_utf8_with_its_values(remote: Remote) -> None:
    folder = remote.root / "imports"
    (folder / "tags.csv").write_bytes("j77639,金\n\nh84497,\n".encode("gb18030"))

    async def use(p: ThinkingDataSegments) -> Any:
        wish = IdDraft(IdSource("tags.csv"), "等级", "#account_id", TAG, "level_tag")
        return await p.import_ids(PROJECT, wish, dry_run=False, on_progress=remote.report)

    done = remote(use)
    assert (done.upload_num, done.user_num, done.tag_value_null_num, done.encoding) == (2, 1, 1, "gbk")
    assert list((remote.root / "tmp").glob("*.csv")) == []


@pytest.mark.parametrize("acts", [True, False])
def test_an_import_whose_answer_was_lost_is_settled_by_name(remote: Remote, shared: Station, acts: bool) -> None:
    shared.faults.add(Fault(Kind.DROP, acts=acts, path=wire.IMPORT_ADD))
    before = shared.faults.seen.count(wire.IMPORT_ADD)

    async def use(p: ThinkingDataSegments) -> Any:
        return await p.import_ids(
            PROJECT, ids("j77639", name=f"lost_ids_{acts}"), dry_run=False, on_progress=remote.report
        )

    done = remote(use)
    assert done.user_num == (None if acts else 1)
    assert done.cluster.users_num == 1
    assert shared.faults.seen.count(wire.IMPORT_ADD) - before == (1 if acts else 2)


# previewing


def test_a_preview_counts_by_sql(remote: Remote) -> None:
    both = Qp.model_validate(consumed("4", recentDay="1-7").wire() | level("3").wire())

    async def use(p: ThinkingDataSegments) -> Any:
        return await p.preview(
            PROJECT, both, sample=5, properties=("#account_id", "phone"), want_sql=True, on_progress=remote.report
        )

    seen = remote(use)
    assert (seen.users_num, seen.all_users) == (1, 5)
    assert [(s.path, s.alone, s.left) for s in seen.funnel] == [("/events/0", 1, 1), ("/filts/0", 3, 1)]
    assert seen.sample == ({"#user_id": "1", "#account_id": "j77639", "phone": "+861"},)
    assert "\"$part_date\" BETWEEN '2020-01-02' AND '2020-01-10'" in seen.sql


def test_a_tags_values_are_counted_by_sql(remote: Remote) -> None:
    rows = {"eventName": "consume_item", "analysis": "TIMES", "type": "normal"}
    tag = TagQp.model_validate({"userTagConQuotaDef": {"userTagConQuotaEvent": rows}})

    async def use(p: ThinkingDataSegments) -> Any:
        return await p.preview(PROJECT, tag, sample=2, properties=(), want_sql=False, on_progress=remote.report)

    seen = remote(use)
    assert (seen.users_num, seen.all_users, seen.values.distinct, seen.values.top) == (1, 5, 1, (("5", 1),))
    assert (seen.values.low, seen.values.high, seen.sample) == ("5", "5", ({"#user_id": "1", "tag_value": "5"},))


def test_members_of_clusters_are_read_where_they_are_conditions(remote: Remote) -> None:
    part = {"tableType": "cluster", "columnName": "threes", "comparator": "notBelongToCluster"}

    async def use(p: ThinkingDataSegments) -> Any:
        await p.wait(await p.create(PROJECT, draft("threes")), seconds=20, on_progress=remote.report)
        others = Qp.model_validate({"filts": [part]})
        return await p.preview(PROJECT, others, sample=0, properties=(), want_sql=False, on_progress=remote.report)

    assert remote(use).users_num == 2


def _median() -> Qp:
    return consumed("1", taPropQuota={"analysis": "MEDIAN", "quota": "#vp@test_num"}, eventName="pay")


@pytest.mark.parametrize(
    "definition",
    [
        _median(),
        consumed("1", eventName="ta@active"),
        Sql(CLUSTER, "SELECT 1", ()),
        Qp.model_validate({"filts": [{"tableType": "cluster", "columnName": "threes", "comparator": "belongToCluster", "specifiedClusterDate": "2020-01-01"}]}),
    ],
)  # fmt: skip
def test_what_sql_can_not_tell_is_refused_with_its_reason(remote: Remote, definition: Any) -> None:
    refused(
        NotOnPlatform,
        lambda: remote(
            lambda p: p.preview(PROJECT, definition, sample=0, properties=(), want_sql=False, on_progress=remote.report)
        ),
    )


# exporting


@pytest.mark.parametrize("spreadsheet", [False, True])
def test_members_are_written_to_a_file(remote: Remote, spreadsheet: bool) -> None:
    async def use(p: ThinkingDataSegments) -> Any:
        name = f"exported_{spreadsheet}"
        made = await p.wait(await p.create(PROJECT, draft(name)), seconds=20, on_progress=remote.report)
        return await p.export(
            made,
            file_format="csv",
            properties=("#account_id", "phone"),
            spreadsheet=spreadsheet,
            on_progress=remote.report,
        )

    done = remote(use)
    lines = done.path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode().splitlines()
    assert lines[0] == '"#user_id","#account_id",phone'
    plus = "'+" if spreadsheet else "+"
    assert lines[1:] == [f"1,j77639,{plus}861", "3,g119426,", f"5,f175355,{plus}865"]
    assert (done.rows, done.columns) == (3, ("#user_id", "#account_id", "phone"))
    assert done.path.read_bytes().startswith(b"\xef\xbb\xbf") is spreadsheet
    assert done.path.parent == remote.root / "exports"


def test_a_broken_export_leaves_no_file(remote: Remote, shared: Station) -> None:
    async def use(p: ThinkingDataSegments) -> Any:
        made = await p.create(PROJECT, draft("broken_export"))
        shared.faults.add(Fault(Kind.NOT_JSON, path=wire.SQL))
        return await p.export(made, file_format="csv", properties=(), spreadsheet=False, on_progress=remote.report)

    with pytest.raises(FenqunError):
        remote(use)
    assert list((remote.root / "exports").glob("broken_export*")) == list((remote.root / "tmp").glob("*.csv")) == []


def test_only_csv_is_written_and_nothing_is_undone(remote: Remote) -> None:
    async def parquet(p: ThinkingDataSegments) -> Any:
        made = await p.create(PROJECT, draft("as_parquet"))
        return await p.export(made, file_format="parquet", properties=(), spreadsheet=False, on_progress=remote.report)

    refused(NotOnPlatform, lambda: remote(parquet))
    refused(NotOnPlatform, lambda: remote(lambda p: p.undoable(PROJECT, "as_parquet")))


def test_a_pattern_is_checked_here(remote: Remote) -> None:
    async def use(p: ThinkingDataSegments) -> Sequence[bool]:
        return [bool(p.regex_fault(pattern)) for pattern in ("^a+$", "(?=a)")]

    assert remote(use) == [False, True]


def test_a_foreign_definition_is_shown_as_it_came() -> None:
    told = {"sequence": [1]}
    assert json.loads(json.dumps(PlatformDefinition(CLUSTER, told).wire())) == told


@pytest.mark.parametrize("catalog", [CLUSTER, TAG])
def test_a_foreign_definition_is_another_one_only_where_its_words_are(catalog: str) -> None:
    one, other = PlatformDefinition(catalog, {"sequence": [1]}), PlatformDefinition(catalog, {"filts": "x"})
    metadata = Metadata(project_id=PROJECT, today=NOW.date())
    assert (meaning_hash(one, metadata) == meaning_hash(other, metadata), compare_definitions(one, one, metadata)) == (
        False,
        (),
    )
    assert compare_definitions(one, other, metadata)
