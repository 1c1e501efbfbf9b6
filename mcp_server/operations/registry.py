"""The list of everything an assistant can ask for, in the order in which it is shown."""

from typing import Any

from mcp_server.operations import clusters, computing, definitions, metadata, tags
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
    tags.create_tag,
    tags.update_tag,
    computing.refresh_cluster,
    computing.get_refresh_progress,
    computing.export_users,
)
