"""Uploaded ids on ThinkingData: read from a local file, sent in the vendor's form, searched by name where an answer is lost."""

import csv
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import anyio.to_thread

from mcp_server.errors import InvalidArguments, NameTaken, Problem
from mcp_server.language.metadata import Metadata
from mcp_server.language.model import TAG
from mcp_server.language.problems import finding
from mcp_server.language.uploaded import Uploaded
from mcp_server.platforms.segments import Cluster, IdChanges, IdDraft, IdSource, Imported, OnProgress, read_after_change
from mcp_server.platforms.thinkingdata.client import ImportCounts, RemoteCluster, ThinkingDataApi, Which, made_once
from mcp_server.platforms.thinkingdata.listing import Listing, is_import
from mcp_server.sources.ids import BLANKS, PATH, Swallowed, about_the_file, about_the_header, private_copy, records
from mcp_server.sources.report import refuse_ids
from mcp_server.store.files import LocalFiles, OpenedFile
from mcp_server.text import Text

# The file: CSV without a header, one id a line, of a tag id and value, CRLF line ends (te-api.md 6b)


LONGEST: Final = 2000
"""Characters of an id or value; the vendor's texts hold 2 KB."""


@dataclass(slots=True)
class Counts:
    """What the rows of a file hold."""

    rows: int = 0
    no_value: int = 0
    more_columns: int = 0
    first: str = ""
    """The first id."""
    swallowed: Swallowed = field(default_factory=Swallowed)


class VendorFile(NamedTuple):
    """The file as it is sent, and what was read of it."""

    path: Path
    counts: Counts
    encoding: str
    findings: tuple[Problem, ...]


class _NoControl:
    """Reading a file of ids is quick beside sending it: it shows no progress and is not stopped."""

    interrupted = False

    def report(self, percent: float) -> None:
        pass


def vendor_file(source: OpenedFile, temp: Callable[[str], Path], *, tag: bool) -> VendorFile:
    """Write the file that is sent. Blocks: call it in a worker thread. InvalidArguments where it can't be read as ids.

    Blanks around ids and empty lines are dropped (qp.md section 7); a value of a tag stays as it is.
    """
    made: list[Path] = []

    def kept(suffix: str) -> Path:
        made.append(temp(suffix))
        return made[-1]

    try:
        with source.file:
            read = private_copy(source.file, source.size, kept, _NoControl())
        out = temp(".csv")
        try:
            counts = _written(read.path, out, tag=tag)
        except BaseException:
            out.unlink(missing_ok=True)
            raise
        valueless = tag and counts.no_value == counts.rows
        findings = about_the_file(read.encoding, counts.swallowed, counts.more_columns, tag=tag, valueless=valueless)
        return VendorFile(out, counts, read.encoding, tuple(findings))
    finally:
        for path in made:
            path.unlink(missing_ok=True)


def _written(source: Path, out: Path, *, tag: bool) -> Counts:
    counts = Counts()
    with (
        source.open(encoding="utf-8", newline="") as file,
        out.open("w", encoding="utf-8", newline="") as target,
    ):
        writer = csv.writer(target, lineterminator="\r\n")
        for begins, ends, row in records(file):
            if max(map(len, row), default=0) > LONGEST:
                raise refuse_ids([finding("ids_quote", PATH, line=begins)])
            if any("\n" in cell or "\r" in cell for cell in row):
                counts.swallowed = Swallowed(
                    counts.swallowed.first or begins, counts.swallowed.lines + ends - begins + 1
                )
            kept = _kept(row, counts, tag=tag)
            if kept:
                writer.writerow(kept)
    if not counts.rows:
        raise refuse_ids([finding("ids_empty", PATH)])
    return counts


def _kept(row: list[str], counts: Counts, *, tag: bool) -> list[str]:
    """The id, of a tag with its value; nothing where the row holds neither. Further cells are counted."""
    first, value, more = (*row, "", "", "")[:3]
    key = first.strip(BLANKS)
    counts.more_columns += bool(more if tag else value)
    if not key and not (tag and value):
        return []
    counts.first = counts.first or key
    counts.rows += 1
    counts.no_value += tag and not value
    return [key, value] if tag else [key]


# The uploads


SENDING = Text("Sending the ids to ThinkingData", "正在向数数平台发送 ID")
_TAKEN = Text(
    "The name {name} is taken on ThinkingData (id {id}), which does not show by which ids.",
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


class RemoteImports:
    """Uploads ids to one deployment."""

    def __init__(
        self,
        api: ThinkingDataApi,
        listing: Listing,
        files: LocalFiles,
        now: Callable[[], datetime],
        record: Callable[[str, RemoteCluster], Cluster],
    ) -> None:
        self._api = api
        self._listing = listing
        self._files = files
        self._now = now
        self._record = record

    async def add(self, draft: IdDraft, metadata: Metadata, *, dry_run: bool, on_progress: OnProgress) -> Imported:
        """Make a cluster or tag of ids (`SegmentPlatform.import_ids`)."""
        project_id = metadata.project_id
        if draft.cluster_name:
            taken = await self._listing.named(project_id, draft.cluster_name)
            if taken is not None:
                raise _taken(taken)
        name = draft.cluster_name or await self._free_name(project_id)
        file = await self._read(draft.source, tag=draft.catalog == TAG)
        warnings = (*file.findings, *about_the_header(file.counts.first, draft.main_column, metadata))
        try:
            if dry_run:
                return _imported(file, name, None, warnings)
            await on_progress(20, SENDING)
            parameters = {
                "displayName": draft.display_name,
                "mainColumnName": draft.main_column,
                "clusterCatalog": draft.catalog,
                "clusterName": name,
                "remarks": draft.remarks,
            }
            counts, cluster_id = await self._sent(project_id, file, parameters)
        finally:
            file.path.unlink(missing_ok=True)
        known = Cluster(
            cluster_id=cluster_id,
            cluster_name=name,
            display_name=draft.display_name,
            cluster_type="tag_by_import" if draft.catalog == TAG else "cluster_by_import",
            project_id=project_id,
            definition=Uploaded(draft.catalog, draft.main_column, "", 0, 0),
            catalog=draft.catalog,
            remarks=draft.remarks,
        )
        return replace(_imported(file, name, counts, warnings), cluster=await self._read_again(known))

    async def put(
        self, cluster: Cluster, changes: IdChanges, metadata: Metadata, *, dry_run: bool, on_progress: OnProgress
    ) -> Imported:
        """Replace the ids of a cluster or tag (`SegmentPlatform.replace_ids`).

        The request states the final list, so sending it once more after a lost answer changes nothing more.
        """
        if not is_import(cluster.cluster_type):
            raise InvalidArguments(_NOT_UPLOADED.format(name=cluster.cluster_name), next_step=_IMPORT_OTHERWISE)
        old_column = cluster.definition.main_column if isinstance(cluster.definition, Uploaded) else ""
        file = await self._read(changes.source, tag=cluster.catalog == TAG)
        warnings = (*file.findings, *about_the_header(file.counts.first, changes.main_column or old_column, metadata))
        different = [_OTHER_IDS.format(rows=f"{file.counts.rows:,}")]
        if changes.main_column and old_column and changes.main_column.casefold() != old_column.casefold():
            different.append(_OTHER_COLUMN.format(old=old_column, new=changes.main_column))
        try:
            if dry_run:
                return replace(_imported(file, cluster.cluster_name, None, warnings), changes=tuple(different))
            await on_progress(20, SENDING)
            parameters = {
                "displayName": changes.display_name or "",
                "mainColumnName": changes.main_column or "",
                "remarks": changes.remarks or "",
            }
            counts = await self._api.import_modify(Which.of(cluster), file.path, parameters)
        finally:
            file.path.unlink(missing_ok=True)
            self._listing.forget(cluster.project_id)
        done = _imported(file, cluster.cluster_name, counts, warnings)
        known = replace(cluster, display_name=changes.display_name or cluster.display_name)
        return replace(done, cluster=await self._read_again(known), changes=tuple(different))

    async def _read_again(self, known: Cluster) -> Cluster:
        async def read() -> Cluster:
            return self._record(known.project_id, await self._listing.detail(known.project_id, known.cluster_id))

        return await read_after_change(known, read())

    async def _read(self, source: IdSource, *, tag: bool) -> VendorFile:
        return await anyio.to_thread.run_sync(
            lambda: vendor_file(self._files.open_ids(source.path, source.ids, tag=tag), self._files.temp_path, tag=tag)
        )

    async def _sent(
        self, project_id: str, file: VendorFile, parameters: dict[str, str]
    ) -> tuple[ImportCounts | None, str]:
        """Send a new list; return its counters, None where the answer was lost and the cluster is there, and its id."""
        name = parameters["clusterName"]

        async def send() -> tuple[ImportCounts | None, str]:
            counts = await self._api.import_add(file.path, project_id, parameters)
            return counts, counts.cluster_id or name

        async def find() -> tuple[ImportCounts | None, str] | None:
            row = await self._listing.named(project_id, name)
            if row is None:
                return None
            if not is_import(row.cluster_type) or row.display_name != parameters["displayName"]:
                raise _taken(row)
            return None, row.cluster_id

        try:
            return await made_once(send, find)
        finally:
            self._listing.forget(project_id)

    async def _free_name(self, project_id: str) -> str:
        name = base = self._now().strftime("cohort_%Y%m%d_%H%M%S")
        count = 1
        while await self._listing.named(project_id, name) is not None:
            count += 1
            name = f"{base}_{count}"
        return name


def _taken(remote: RemoteCluster) -> NameTaken:
    return NameTaken(_TAKEN.format(name=remote.name, id=remote.cluster_id), next_step=_OTHER_NAME)


def _imported(file: VendorFile, name: str, counts: ImportCounts | None, warnings: tuple[Problem, ...]) -> Imported:
    """The result; what the platform does not return is absent."""
    return Imported(
        cluster=None,
        cluster_name=name,
        existed=False,
        upload_num=counts.uploaded if counts else file.counts.rows,
        user_num=counts.users if counts else None,
        unmatched_num=counts.unmatched if counts else None,
        tag_value_null_num=counts.without_value if counts else file.counts.no_value,
        duplicates=0,
        unmatched=(),
        encoding=file.encoding,
        warnings=warnings,
    )
