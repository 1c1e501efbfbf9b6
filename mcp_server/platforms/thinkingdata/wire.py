"""Requests to ThinkingData, strictly in the documented form.

Quirks, each with a test of its own (tests/vendors/test_thinkingdata_wire.py):

* TE1 the token is in the query of every request (page, 调用方法).
* TE2 `#` of a property name in the query is sent as %23 (page, curl example).
* TE3 `projectId` is a number in every example although the table says String.
* TE4 nothing is sent where the page knows no parameter: no empty ones, and by-name calls carry no id.
* TE5 `remarks` of a condition cluster is not in the page's body: unverified, sent only where that is allowed.
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from mcp_server.language.bodies import body_of
from mcp_server.language.definitions import Definition
from mcp_server.platforms.transport import Outgoing

JSON = {"Content-Type": "application/json", "Accept": "application/json"}
CSV = {"Content-Type": "text/csv", "Accept": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "*/*"}

ADD = "/open/user-cluster-add"
DETAIL = "/open/user-cluster-detail"
LIST = "/open/user-cluster-list"
UPDATE, UPDATE_BY_NAME = "/open/user-cluster-update", "/open/user-cluster-update-by-name"
DELETE, DELETE_BY_NAME = "/open/user-cluster-delete", "/open/delete-user-cluster-by-name"
REFRESH, REFRESH_BY_NAME = "/open/user-cluster-refresh", "/open/user-cluster-refresh-by-name"
PROGRESS, PROGRESS_BY_NAME = "/open/user-cluster-refresh-progress", "/open/user-cluster-refresh-progress-by-name"
IMPORT_ADD = "/open/import-id-cluster-add"
IMPORT_MODIFY, IMPORT_MODIFY_BY_NAME = "/open/import-id-cluster-modify", "/open/import-id-cluster-modify-by-name"
EVENTS, PROPERTIES = "/open/list-event-meta", "/open/list-props"
SQL = "/querySql"


def path(address: str, token: str, **named: str) -> str:
    """Return an address with its query: the token and every parameter that has a value (TE1, TE2, TE4)."""
    return f"{address}?{urlencode({'token': token} | {name: value for name, value in named.items() if value})}"


def get(address: str, token: str, **named: str) -> Outgoing:
    """Return a request without a body."""
    return Outgoing("GET", path(address, token, **named), JSON)


def post(address: str, token: str, body: Mapping[str, Any] | None = None, /, **named: str) -> Outgoing:
    """Return a request with a JSON body, or with none at all."""
    content = b"" if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Outgoing("POST", path(address, token, **named), JSON, content)


def definition_body(
    definition: Definition,
    project_id: str,
    *,
    cluster_type: str,
    display_name: str,
    cluster_name: str = "",
    remarks: str = "",
) -> dict[str, Any]:
    """Return the body of add and update (TE3, TE5). Update names no cluster in its body."""
    fields = {"clusterType": cluster_type, "displayName": display_name}
    if cluster_name:
        fields["clusterName"] = cluster_name
    body = body_of(definition, fields, project_id)
    return body | ({"remarks": remarks} if remarks else {})


def list_body(
    project_id: str, catalog: str, types: tuple[str, ...], words: str, page: int, size: int
) -> dict[str, Any]:
    """Return the body of the list, which requires the catalogue and its types."""
    body: dict[str, Any] = {"projectId": int(project_id), "clusterCatalog": catalog, "clusterTypes": list(types)}
    body |= {"clusterName": words} if words else {}
    return body | {"pagerHeader": {"pageNum": page, "pageSize": size}}


def sql(statement: str, token: str, seconds: int) -> Outgoing:
    """Return a query; its answer is one JSON array a line. The statement is in the body, not in the address."""
    form = {"sql": statement, "format": "json", "timeoutSeconds": str(seconds)}
    return Outgoing("POST", path(SQL, token), FORM, urlencode(form).encode())
