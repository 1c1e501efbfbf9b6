"""What a cluster was before its last update or deletion, kept so that it can be undone."""

import sqlite3
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from mcp_server.errors import ChangedMeanwhile, NameTaken, NotFound
from mcp_server.platforms.local import rows
from mcp_server.platforms.local.records import ClusterRecord
from mcp_server.text import Text

if TYPE_CHECKING:
    from mcp_server.platforms.local.catalog import Catalog

Kind = Literal["update", "delete"]

_NOTHING = Text(
    "{name} has nothing to undo: it was not changed in the last 30 days, its last change was undone already, or something "
    "else was changed after it.",
    "{name} 没有可撤销的改动：最近 30 天内没有改动、上次改动已被撤销，或之后又有其他改动。",
)
_TAKEN = Text(
    "The name {name} is in use again, by id {id}, so id {old} can't be restored; nothing was changed.",
    "名称 {name} 已被 id {id} 使用，因此无法恢复 id {old}，未做任何更改。",
)
_FREE_IT = Text("Delete that one first, if the user wants the old one.", "如用户需要旧的那个，请先删除现有的。")
CHANGED = Text("{name} was changed since; nothing was changed.", "{name} 此后已有改动，未做任何更改。")


@dataclass(frozen=True, slots=True)
class Undoable:
    """The last change of a cluster, not yet undone."""

    change: int
    kind: Kind
    at: datetime
    now: ClusterRecord
    """As it stands, or stood when it was deleted."""
    before: ClusterRecord
    """As it was, with the members that it had."""


def remember(db: sqlite3.Connection, before: ClusterRecord, kind: Kind, moment: str) -> None:
    """Keep what a change is about to replace. Inside its transaction."""
    db.execute(
        "INSERT INTO cluster_change (cluster, kind, revision, at, display_name, remarks, definition, definition_hash,"
        " definition_changed_at, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            before.id,
            kind,
            before.revision + 1,
            moment,
            before.display_name,
            before.remarks,
            before.definition,
            before.definition_hash,
            rows.write_time(before.definition_changed_at),
            before.current.number if before.current else None,
        ),
    )


def last_change(catalog: "Catalog", project: str, ref: str) -> Undoable:
    """The last change of the cluster that has this id or name, else of the one last deleted under it. NotFound."""
    text = ref.strip()
    try:
        now, kind = catalog.find(project, text), "update"
    except NotFound:
        deleted = _deleted(catalog, project, text)
        if deleted is None:
            raise
        now, kind = deleted, "delete"
    found = catalog.database.row(
        "SELECT * FROM cluster_change WHERE cluster = ? AND kind = ? AND revision = ?", (now.id, kind, now.revision)
    )
    if found is None:
        raise NotFound(_NOTHING.format(name=now.name))
    same_meaning = found["definition_hash"] == now.definition_hash
    version = found["version"]
    before = replace(
        now,
        display_name=found["display_name"],
        remarks=found["remarks"],
        definition=found["definition"],
        definition_hash=found["definition_hash"],
        definition_changed_at=rows.read_time(found["definition_changed_at"]),
        current=now.current if same_meaning or version is None else catalog.version(now.id, version),
    )
    return Undoable(found["id"], found["kind"], rows.read_time(found["at"]), now, before)


def _deleted(catalog: "Catalog", project: str, text: str) -> ClusterRecord | None:
    """The cluster that was deleted last under this id or name and can be had again."""
    if not rows.storable(project, text):
        return None
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else -1
    found = catalog.database.row(
        f"{rows.DELETED} AND c.project = ? AND (c.id = ? OR c.name_key = ?) AND EXISTS (SELECT 1 FROM cluster_change h"
        " WHERE h.cluster = c.id AND h.kind = 'delete' AND h.revision = c.revision) ORDER BY c.deleted_at DESC LIMIT 1",
        (project, number, text.casefold()),
    )
    return rows.cluster(found) if found else None


def check_name(catalog: "Catalog", undo: Undoable) -> None:
    """NameTaken where another cluster has the name by now."""
    taken = catalog.find_name(undo.now.project, undo.now.name)
    if taken is not None and taken.id != undo.now.id:
        raise NameTaken(_TAKEN.format(name=taken.name, id=taken.id, old=undo.now.id), next_step=_FREE_IT)


def undo_change(catalog: "Catalog", undo: Undoable) -> ClusterRecord:
    """Give back what was, under the same id. ChangedMeanwhile where something was changed since `undo` was read."""
    before, moment = undo.before, catalog.moment()
    with catalog.database.write() as db:
        check_name(catalog, undo)
        restored = db.execute(
            "UPDATE cluster SET display_name = ?, remarks = ?, words = ?, definition = ?, definition_hash = ?,"
            " definition_changed_at = ?, version = ?, deleted_at = NULL, updated_at = ?, revision = revision + 1"
            " WHERE id = ? AND revision = ?",
            (
                before.display_name,
                before.remarks,
                rows.search_words(before.name, before.display_name, before.remarks),
                before.definition,
                before.definition_hash,
                rows.write_time(before.definition_changed_at),
                before.current.number if before.current else None,
                moment,
                before.id,
                undo.now.revision,
            ),
        )
        if not restored.rowcount:
            raise ChangedMeanwhile(CHANGED.format(name=before.name))
        db.execute("UPDATE job SET stop = 'restored' WHERE cluster = ? AND state = 'running'", (before.id,))
        db.execute("DELETE FROM cluster_change WHERE id = ?", (undo.change,))
        return catalog.cluster(before.id)


def forget(db: sqlite3.Connection, before: str, project: str = "") -> None:
    """What was changed or deleted before this moment, in one project or in all, can't be undone any more. Inside a transaction."""
    bound: tuple[str, ...] = (before, project, project)
    of_project = "(? = '' OR cluster IN (SELECT id FROM cluster WHERE project = ?))"
    db.execute(f"DELETE FROM cluster_change WHERE at < ? AND {of_project}", bound)
    gone = (
        "deleted_at IS NOT NULL AND deleted_at < ? AND NOT EXISTS (SELECT 1 FROM job WHERE job.cluster = cluster.id"
        " AND job.state = 'running') AND NOT EXISTS (SELECT 1 FROM crowd_task t WHERE t.cluster = cluster.id)"
        " AND (? = '' OR project = ?)"
    )
    # The row stays, so that ids in the log and in old answers never come to mean something else.
    db.execute(f"UPDATE cluster SET version = NULL, definition = '{{}}', words = '', remarks = '' WHERE {gone}", bound)
    db.execute(f"DELETE FROM version WHERE cluster IN (SELECT id FROM cluster WHERE {gone})", bound)
