"""The list of everything an assistant can ask for, in the order in which it is shown."""

from typing import Any

from mcp_server.operations import calls, clusters, crowds, definitions, imports, metadata
from mcp_server.operations import clusters as computing
from mcp_server.operations import clusters as restoring
from mcp_server.operations import clusters as tags
from mcp_server.operations import crowds as crowd_report
from mcp_server.operations.operation import Operation

OPERATIONS: tuple[Operation[Any, Any], ...] = (
    metadata.describe_data,
    definitions.validate_definition,
    definitions.preview_definition,
    clusters.create_cluster,
    clusters.get_cluster,
    clusters.list_clusters,
    clusters.update_cluster,
    clusters.delete_cluster,
    restoring.restore_cluster,
    tags.create_tag,
    tags.update_tag,
    imports.import_ids,
    imports.replace_imported_ids,
    computing.refresh_cluster,
    computing.get_refresh_progress,
    computing.export_users,
    crowds.create_crowd_analysis,
    crowd_report.get_crowd_analysis,
    crowds.list_crowd_analyses,
    crowds.update_crowd_analysis,
    crowds.reload_crowd_analysis,
    crowds.delete_crowd_analysis,
    calls.create_call_task,
    calls.list_call_tasks,
    calls.get_call_task,
    calls.update_call_task,
)
