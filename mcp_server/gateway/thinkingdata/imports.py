"""Uploaded ids: the body is the file, streamed under a limit."""

from typing import Any

import anyio
import anyio.to_thread

from mcp_server.gateway.thinkingdata.answers import NAME_TAKEN, TOO_LONG, Refusal, empty, wrong
from mcp_server.gateway.thinkingdata.asked import SYSTEM, Asked
from mcp_server.operations.imports import ImportedIds, import_ids, replace_imported_ids
from mcp_server.web.bodies import Stopped, TooLong, into_file

_CATALOGS = {"": "cluster", "catalog_cluster": "cluster", "catalog_tag": "tag"}


async def add(asked: Asked) -> object:
    """`/open/import-id-cluster-add`."""
    query = asked.query
    catalog = query.get("clusterCatalog", "")
    if catalog not in _CATALOGS:
        raise wrong("clusterCatalog", catalog[:50])
    made = await _with_file(
        asked,
        import_ids,
        display_name=query["displayName"],
        main_column_name=query["mainColumnName"],
        catalog=_CATALOGS[catalog],
        cluster_name=query.get("clusterName", ""),
        remarks=query.get("remarks", ""),
    )
    if made.existed and query.get("clusterName"):  # without a name, the same ids are the cluster that was made of them
        raise Refusal(NAME_TAKEN, f"分群名称({query['clusterName']})已存在")
    return _counts(made)


async def modify(asked: Asked) -> object:
    """`/open/import-id-cluster-modify` and its twin by name: the counters of the page's trace (its table says "")."""
    query = asked.query
    done = await _with_file(
        asked,
        replace_imported_ids,
        cluster=asked.cluster,
        display_name=query.get("displayName", ""),
        main_column_name=query.get("mainColumnName", ""),
        remarks=query.get("remarks", ""),
    )
    return _counts(done)


async def _with_file(asked: Asked, operation: Any, **arguments: str) -> ImportedIds:
    """Call an operation with the body as its file, which is gone afterwards."""
    request, house, project = asked.request, asked.house, asked.project
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "text/csv":
        raise wrong("Content-Type", "text/csv")
    if house.deps.read_only:  # before a file is taken
        return await asked.ask(operation, path="-", project_id=project, **arguments)
    await house.deps.segments.metadata(project)
    temp = house.store.temp_path()
    try:
        size = await into_file(request, temp, min(house.limits.upload, house.store.room(project)))
        if not size:
            raise empty("body")
        taken = await anyio.to_thread.run_sync(house.store.take, temp, project, ".csv", SYSTEM)
    except TooLong:
        raise Refusal(TOO_LONG, "文件过大") from None
    except Stopped:
        raise wrong("body", "传输中断") from None
    finally:
        temp.unlink(missing_ok=True)
    try:
        return await asked.ask(operation, path=str(taken.path), project_id=project, **arguments)
    finally:
        with anyio.CancelScope(shield=True):  # also where the caller has gone
            await anyio.to_thread.run_sync(house.store.drop, taken)


def _counts(done: ImportedIds) -> dict[str, int]:
    return {
        "clusterId": int(done.cluster.cluster_id) if done.cluster else 0,
        "tagValueNullNum": done.tag_value_null_num,
        "unmatchedNum": done.unmatched_num or 0,
        "uploadNum": done.upload_num,
        "userNum": done.user_num or 0,
    }
