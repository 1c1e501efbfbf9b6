"""Creating, changing and deleting clusters and tags on ThinkingData; where an answer is lost, a read shows what happened."""

from typing import Literal

from mcp_server.errors import InvalidArguments, NameTaken, NotOnPlatform, OutcomeUnknown, Problem, VendorRejected
from mcp_server.language.definitions import Definition, meaning_hash
from mcp_server.platforms.segments import Cluster, ClusterChanges, ClusterDraft
from mcp_server.platforms.thinkingdata import wire
from mcp_server.platforms.thinkingdata.client import RemoteCluster, ThinkingDataApi, Which, made_once, settling
from mcp_server.platforms.thinkingdata.listing import Listing, cluster_of
from mcp_server.platforms.thinkingdata.metadata import MetadataReader
from mcp_server.text import Text

Words = Literal["warn", "refuse"]
RESULT = "cluster_by_result"

_TAKEN = Text(
    "The name {name} is taken on ThinkingData by another definition (id {id}).",
    "名称 {name} 在数数平台上已被另一个定义占用（id {id}）。",
)
_OTHER_NAME = Text("Choose another cluster_name.", "请另取 cluster_name。")
_NO_BODY = Text("ThinkingData publishes no interface for saving {what}.", "数数平台未公开保存{what}的接口。")
_ON_ITS_PAGE = Text("Tell the user: it can be done on the platform's own page.", "请告知用户：可在平台页面上操作。")
_REPLACE_IDS = Text(
    "replace_imported_ids takes a display name and remarks together with the ids.",
    "replace_imported_ids 可在更换 ID 的同时修改显示名称和备注。",
)
_REMARKS = Text("remarks of a cluster made of conditions", "条件分群的备注")
_NO_REMARKS = Text("an empty remark", "空备注")
_RESULT_TYPE = Text("result clusters", "结果分群")
_REFUSED = Text(
    "ThinkingData's page does not document {what}, and this server sends nothing of that kind (unverified_words=refuse).",
    "数数平台的文档未说明{what}，而本服务不发送此类内容（unverified_words=refuse）。",
)
_LEAVE_OUT = Text("Leave it out.", "请勿填写。")


class RemoteSaving:
    """Writes definitions to one deployment."""

    def __init__(self, api: ThinkingDataApi, listing: Listing, metadata: MetadataReader, words: Words) -> None:
        self._api = api
        self._listing = listing
        self._metadata = metadata
        self._words = words

    async def create(self, project_id: str, draft: ClusterDraft) -> str:
        """Save a definition under a new name; return its id. NameTaken, OutcomeUnknown.

        The caller has looked for the name just now; where somebody else is quicker, the platform refuses.
        """
        self._check(draft.definition, draft.remarks, draft.cluster_type)
        body = wire.definition_body(
            draft.definition,
            project_id,
            cluster_type=draft.cluster_type,
            display_name=draft.display_name,
            cluster_name=draft.cluster_name,
            remarks=draft.remarks,
        )
        try:
            return await made_once(lambda: self._api.add(body), lambda: self._same(project_id, draft))
        except VendorRejected:
            taken = await self._listing.named(project_id, draft.cluster_name)
            if taken is None:
                raise
            raise _taken(taken) from None
        finally:
            self._listing.forget(project_id)

    async def update(self, cluster: Cluster, changes: ClusterChanges) -> None:
        """Save what changes; the request states everything, so it may be sent again."""
        definition = changes.definition or cluster.definition
        self._check(definition, changes.remarks or "", "")
        if changes.remarks == "":
            raise NotOnPlatform(_NO_BODY.format(what=_NO_REMARKS), next_step=_ON_ITS_PAGE)
        # Remarks that stay are sent again where that is allowed: whether an update without them keeps them is not known.
        keeps_remarks = changes.remarks is None and self._words == "warn"
        body = wire.definition_body(
            definition,
            cluster.project_id,
            cluster_type=cluster.cluster_type,
            display_name=changes.display_name or cluster.display_name,
            remarks=cluster.remarks if keeps_remarks else changes.remarks or "",
        )
        try:
            await self._api.update(Which.of(cluster), body)
        except OutcomeUnknown as doubt:
            with settling(doubt):
                happened = await self._has(cluster, definition, changes)
            if not happened:
                raise
        finally:
            self._listing.forget(cluster.project_id)

    async def delete(self, cluster: Cluster) -> None:
        """Delete it; where the answer is lost, it is gone if its name is."""
        try:
            await self._api.delete(Which.of(cluster))
        except OutcomeUnknown as doubt:
            with settling(doubt):
                left = await self._listing.named(cluster.project_id, cluster.cluster_name)
            if left is not None and left.cluster_id == cluster.cluster_id:
                raise
        finally:
            self._listing.forget(cluster.project_id)

    async def _same(self, project_id: str, draft: ClusterDraft) -> str | None:
        """Return the id of the cluster of this name, if it means the same. NameTaken where it means something else."""
        row = await self._listing.named(project_id, draft.cluster_name)
        if row is None:
            return None
        if not await self._is(await self._listing.full(project_id, row), draft.definition, project_id):
            raise _taken(row)
        return row.cluster_id

    async def _has(self, cluster: Cluster, definition: Definition, changes: ClusterChanges) -> bool:
        """Whether it is as the changes state it."""
        remote = await self._listing.detail(cluster.project_id, cluster.cluster_id)
        texts = ((changes.display_name, remote.display_name), (changes.remarks, remote.remarks))
        if any(wanted and wanted != current for wanted, current in texts):
            return False
        return await self._is(remote, definition, cluster.project_id)

    async def _is(self, remote: RemoteCluster, definition: Definition, project_id: str) -> bool:
        metadata = await self._metadata.of(project_id)
        current = cluster_of(remote, project_id, metadata).definition
        same_kind = type(current) is type(definition)
        return same_kind and meaning_hash(current, metadata) == meaning_hash(definition, metadata)

    def _check(self, definition: Definition, remarks: str, cluster_type: str) -> None:
        if not definition.body_key:
            step = _REPLACE_IDS if definition.types_end == ("_import",) else _ON_ITS_PAGE
            raise NotOnPlatform(_NO_BODY.format(what=definition.noun), next_step=step)
        what = _REMARKS if remarks else _RESULT_TYPE if cluster_type == RESULT else None
        if what and self._words == "refuse":
            path = "/remarks" if remarks else "/cluster_type"
            message = _REFUSED.format(what=what)
            raise InvalidArguments(message, next_step=_LEAVE_OUT, problems=[Problem(path, "argument_value", message)])


def _taken(remote: RemoteCluster) -> NameTaken:
    return NameTaken(_TAKEN.format(name=remote.name, id=remote.cluster_id), next_step=_OTHER_NAME)
