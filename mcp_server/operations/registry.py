"""All operations, in the order in which they are shown."""

from typing import Any

from mcp_server.operations import calls, clusters, computing, crowds, data, definitions, imports, metadata
from mcp_server.operations.operation import Operation

OPERATIONS: tuple[Operation[Any, Any], ...] = (
    data.look_at_file,
    data.load_file,
    data.restore_data,
    metadata.describe_data,
    definitions.validate_definition,
    definitions.preview_definition,
    clusters.create_cluster,
    clusters.get_cluster,
    clusters.list_clusters,
    clusters.update_cluster,
    clusters.delete_cluster,
    clusters.restore_cluster,
    clusters.create_tag,
    clusters.update_tag,
    imports.import_ids,
    imports.replace_imported_ids,
    computing.refresh_cluster,
    computing.get_refresh_progress,
    computing.export_users,
    crowds.create_crowd_analysis,
    crowds.get_crowd_analysis,
    crowds.list_crowd_analyses,
    crowds.update_crowd_analysis,
    crowds.reload_crowd_analysis,
    crowds.delete_crowd_analysis,
    calls.create_call_task,
    calls.list_call_tasks,
    calls.get_call_task,
    calls.update_call_task,
)
