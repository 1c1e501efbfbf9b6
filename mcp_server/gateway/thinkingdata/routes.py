"""The addresses of ThinkingData's Open API."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mcp_server.errors import FenqunError
from mcp_server.gateway.house import House
from mcp_server.gateway.thinkingdata import clusters, imports, listing, query
from mcp_server.gateway.thinkingdata.answers import Refusal, answered, refusal_of, refused
from mcp_server.gateway.thinkingdata.asked import Asked, checked, verified
from mcp_server.operations.calling import internal_error

Handle = Callable[[Asked], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address: what its query must and may hold besides the token."""

    method: str
    path: str
    handle: Handle
    needed: Sequence[str] = ()
    optional: Sequence[str] = ()


_ID = ("projectId", "clusterId")
_NAME = ("projectId", "clusterName")
_IMPORT = ("displayName", "mainColumnName", "remarks")

ENDPOINTS = (
    Endpoint("POST", "/open/user-cluster-add", clusters.add),
    Endpoint("GET", "/open/user-cluster-detail", clusters.detail, ("projectId",), ("clusterId", "clusterName")),
    Endpoint("POST", "/open/user-cluster-update", clusters.update, ("clusterId",)),
    Endpoint("POST", "/open/user-cluster-update-by-name", clusters.update_by_name, _NAME),
    Endpoint("POST", "/open/user-cluster-delete", clusters.delete, _ID),
    Endpoint("POST", "/open/delete-user-cluster-by-name", clusters.delete, _NAME),
    Endpoint("POST", "/open/user-cluster-list", listing.clusters),
    Endpoint("POST", "/open/user-cluster-refresh", clusters.refresh, _ID),
    Endpoint("POST", "/open/user-cluster-refresh-by-name", clusters.refresh, _NAME),
    Endpoint("GET", "/open/user-cluster-refresh-progress", clusters.progress, _ID),
    Endpoint("GET", "/open/user-cluster-refresh-progress-by-name", clusters.progress, _NAME),
    Endpoint("POST", "/open/import-id-cluster-add", imports.add, ("projectId", "displayName", "mainColumnName"), ("clusterCatalog", "clusterName", "remarks")),
    Endpoint("POST", "/open/import-id-cluster-modify", imports.modify, _ID, _IMPORT),
    Endpoint("POST", "/open/import-id-cluster-modify-by-name", imports.modify, _NAME, _IMPORT),
    Endpoint("GET", "/open/list-event-meta", listing.events, ("projectId",)),
    Endpoint("GET", "/open/list-props", listing.properties, ("projectId", "tableType"), ("eventName",)),
    Endpoint("POST", "/querySql", query.sql),
)  # fmt: skip


def routes(house: House) -> list[Route]:
    """The routes over these parts."""
    return [Route(one.path, _route(one, house), methods=[one.method]) for one in ENDPOINTS]


def _route(endpoint: Endpoint, house: House) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        try:
            found = checked(verified(request, house), endpoint.needed, endpoint.optional)
            answer = await endpoint.handle(Asked(request, house, found))
            return answer if isinstance(answer, Response) else answered(answer)
        except Refusal as refusal:
            return refused(refusal)
        except FenqunError as error:
            return refused(refusal_of(error, house.deps))
        except Exception:  # noqa: BLE001 - the boundary; internal_error logs it
            return refused(refusal_of(internal_error(endpoint.path), house.deps))

    return handle
