"""Uploaded ids on ThinkingData: read here, sent as the vendor takes them, settled by name where an answer was lost."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import anyio.to_thread

from mcp_server.engine.id_findings import about_the_header
from mcp_server.errors import InvalidArguments, NameTaken, Problem
from mcp_server.platforms.here_port import Here
from mcp_server.platforms.ports import Cluster, IdChanges, IdDraft, IdSource, Imported, OnProgress, as_it_stands
from mcp_server.platforms.thinkingdata.api import Api, Which
from mcp_server.platforms.thinkingdata.id_rows import VendorFile, vendor_file
from mcp_server.platforms.thinkingdata.listing import Listing
from mcp_server.platforms.thinkingdata.lost_answers import made_once
from mcp_server.platforms.thinkingdata.replies import Counts, RemoteCluster
from mcp_server.platforms.thinkingdata.standing import is_import
from mcp_server.qp.metadata import Metadata
from mcp_server.qp.model import TAG
from mcp_server.qp.uploaded import Uploaded
from mcp_server.text import Text

SENDING = Text("Sending the ids to ThinkingData", "正在向数数平台发送 ID")
_TAKEN = Text(
    "The name {name} is taken on ThinkingData (id {id}), and it does not tell by which ids.",
    "名称 {name} 在数数平台上已被占用（id {id}），且平台不提供其中的 ID 名单。",
)
_OTHER_NAME = Text(
    "Leave cluster_name out or choose another one; to put these ids in its place, call replace_imported_ids.",
    "请不填 cluster_name 或另取名称；若要用这些 ID 取代它，请调用 replace_imported_ids。",
)
_NOT_UPLOADED = Text("{name} was not made from uploaded ids.", "{name} 不是由上传的 ID 创建的。")
_IMPORT_OTHERWISE = Text("Import the ids under another name.", "请将这些 ID 导入为另一个名称。")
_OTHER_IDS = Text("another list of ids: {rows} row(s)", "更换了名单：共 {rows} 行")
_OTHER_COLUMN = Text("the ids are values of {new}, no longer of {old}", "ID 由 {old} 的取值改为 {new} 的取值")

Standing = Callable[[str, RemoteCluster], Cluster]


class RemoteImports:
    """Uploads ids to one deployment."""

    def __init__(self, api: Api, listing: Listing, here: Here, now: Callable[[], datetime], stand: Standing) -> None:
        self._api = api
        self._listing = listing
        self._here = here
        self._now = now
        self._stand = stand

    async def add(self, draft: IdDraft, metadata: Metadata, *, dry_run: bool, on_progress: OnProgress) -> Imported:
        """Make a cluster or tag of ids (`ports.SegmentPlatform.import_ids`)."""
        project_id = metadata.project_id
        if draft.cluster_name:
            taken = await self._listing.named(project_id, draft.cluster_name)
            if taken is not None:
                raise _taken(taken)
        name = draft.cluster_name or await self._free_name(project_id)
        file = await self._read(draft.source, tag=draft.catalog == TAG)
        warnings = (*file.findings, *about_the_header(file.first, draft.main_column, metadata))
        try:
            if dry_run:
                return _told(file, name, None, warnings)
            await on_progress(20, SENDING)
            named = {
                "displayName": draft.display_name,
                "mainColumnName": draft.main_column,
                "clusterCatalog": draft.catalog,
                "clusterName": name,
                "remarks": draft.remarks,
            }
            counts, cluster_id = await self._sent(project_id, file, named)
        finally:
            file.path.unlink(missing_ok=True)
        known = _known(project_id, draft, name, cluster_id)
        made = await as_it_stands(known, self._read_again(project_id, cluster_id))
        return replace(_told(file, name, counts, warnings), cluster=made)

    async def put(
        self, cluster: Cluster, changes: IdChanges, metadata: Metadata, *, dry_run: bool, on_progress: OnProgress
    ) -> Imported:
        """Put other ids in place of those of a cluster or tag (`ports.SegmentPlatform.replace_ids`).

        It states what shall be there, so sending it once more after a lost answer changes nothing more.
        """
        if not is_import(cluster.cluster_type):
            said = _NOT_UPLOADED.format(name=cluster.cluster_name)
            raise InvalidArguments(said, next_step=_IMPORT_OTHERWISE)
        file = await self._read(changes.source, tag=cluster.catalog == TAG)
        column = changes.main_column or _column_of(cluster)
        warnings = (*file.findings, *about_the_header(file.first, column, metadata))
        try:
            said_changes = _changes(cluster, changes, file)
            if dry_run:
                return replace(_told(file, cluster.cluster_name, None, warnings), changes=said_changes)
            await on_progress(20, SENDING)
            named = {
                "displayName": changes.display_name or "",
                "mainColumnName": changes.main_column or "",
                "remarks": changes.remarks or "",
            }
            which = Which(cluster.project_id, cluster.cluster_id, cluster.cluster_name)
            counts = await self._api.import_modify(which, file.path, named)
        finally:
            file.path.unlink(missing_ok=True)
            self._listing.forget(cluster.project_id)
        known = replace(cluster, display_name=changes.display_name or cluster.display_name)
        made = await as_it_stands(known, self._read_again(cluster.project_id, cluster.cluster_id))
        return replace(_told(file, cluster.cluster_name, counts, warnings), cluster=made, changes=said_changes)

    async def _read_again(self, project_id: str, cluster_id: str) -> Cluster:
        return self._stand(project_id, await self._listing.detail(project_id, cluster_id))

    async def _read(self, source: IdSource, *, tag: bool) -> VendorFile:
        return await anyio.to_thread.run_sync(
            lambda: vendor_file(self._here.open_ids(source, tag=tag), self._here.temp_path, tag=tag)
        )

    async def _sent(self, project_id: str, file: VendorFile, named: dict[str, str]) -> tuple[Counts | None, str]:
        """The counters, None where the answer was lost and the cluster found by its name; and its id."""

        async def send() -> tuple[Counts | None, str]:
            counts = await self._api.import_add(file.path, project_id, named)
            return counts, counts.cluster_id or named["clusterName"]

        async def look() -> tuple[Counts | None, str] | None:
            row = await self._listing.named(project_id, named["clusterName"])
            if row is None:
                return None
            if not is_import(row.cluster_type) or row.display_name != named["displayName"]:
                raise _taken(row)
            return None, row.cluster_id

        try:
            return await made_once(send, look)
        finally:
            self._listing.forget(project_id)

    async def _free_name(self, project_id: str) -> str:
        name = base = self._now().strftime("cohort_%Y%m%d_%H%M%S")
        count = 1
        while await self._listing.named(project_id, name) is not None:
            count += 1
            name = f"{base}_{count}"
        return name


def _taken(found: RemoteCluster) -> NameTaken:
    return NameTaken(_TAKEN.format(name=found.name, id=found.cluster_id), next_step=_OTHER_NAME)


def _changes(cluster: Cluster, changes: IdChanges, file: VendorFile) -> tuple[Text, ...]:
    said = [_OTHER_IDS.format(rows=f"{file.rows:,}")]
    old = _column_of(cluster)
    if changes.main_column and old and changes.main_column.casefold() != old.casefold():
        said.append(_OTHER_COLUMN.format(old=old, new=changes.main_column))
    return tuple(said)


def _column_of(cluster: Cluster) -> str:
    return cluster.definition.main_column if isinstance(cluster.definition, Uploaded) else ""


def _known(project_id: str, draft: IdDraft, name: str, cluster_id: str) -> Cluster:
    """What is known of a new list without reading it."""
    return Cluster(
        cluster_id=cluster_id,
        cluster_name=name,
        display_name=draft.display_name,
        cluster_type="tag_by_import" if draft.catalog == TAG else "cluster_by_import",
        project_id=project_id,
        definition=Uploaded(draft.catalog, draft.main_column, "", 0, 0),
        catalog=draft.catalog,
        remarks=draft.remarks,
    )


def _told(file: VendorFile, name: str, counts: Counts | None, warnings: tuple[Problem, ...]) -> Imported:
    """What became of it; what the platform did not tell is absent."""
    return Imported(
        cluster=None,
        cluster_name=name,
        existed=False,
        upload_num=counts.uploaded if counts else file.rows,
        user_num=counts.users if counts else None,
        unmatched_num=counts.unmatched if counts else None,
        tag_value_null_num=counts.without_value if counts else file.no_value,
        duplicates=0,
        unmatched=(),
        encoding=file.encoding,
        warnings=warnings,
    )
