"""The one address: which action is meant stands in the query."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mcp_server.errors import FenqunError
from mcp_server.gateway.house import House
from mcp_server.gateway.strict import NotJson, read_object
from mcp_server.gateway.volcengine import tasks
from mcp_server.gateway.volcengine.answers import VERSION, About, Refusal, answered, invalid, refused
from mcp_server.gateway.volcengine.verified import claim_of, verify
from mcp_server.operations.calling import internal_error
from mcp_server.platforms.volcengine.wire import LIST, UPDATE
from mcp_server.web.bodies import Stopped, TooLong, whole

REGION = "cn-north-1"
"""Of an answer to a request that names none."""


def routes(house: House) -> list[Route]:
    """The route over these parts."""

    async def act(request: Request) -> Response:
        query = request.query_params
        about = About(query.get("Action", ""), query.get("Version", ""), REGION, house.clock())
        try:
            claim = claim_of(request)
            about = About(about.action, about.version, claim.region, about.now)
            body = await _body(request, house)
            verify(request, claim, body, house)
            return answered(about, await _result(request, body, house))
        except Refusal as refusal:
            return refused(about, refusal)
        except FenqunError as error:
            return refused(about, tasks.refusal_of(error, house))
        except Exception:  # noqa: BLE001 - the boundary; internal_error logs it
            return refused(about, tasks.refusal_of(internal_error("/"), house))

    return [Route("/", act, methods=["POST"])]


async def _body(request: Request, house: House) -> bytes:
    try:
        return await whole(request, house.limits.body)
    except (TooLong, Stopped):
        raise invalid("body") from None


async def _result(request: Request, body: bytes, house: House) -> dict[str, Any] | None:
    query = request.query_params.multi_items()
    names = dict(query)
    if not names.get("Action"):
        raise Refusal("MissingAction", "The request is missing an action.")
    if names["Action"] not in (UPDATE, LIST) or names.get("Version") != VERSION:
        raise Refusal("InvalidActionOrVersion", "The action or its version does not exist.")
    if sorted(name for name, _ in query) != ["Action", "Version"]:
        raise invalid("query")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise invalid("Content-Type")
    try:
        fields = read_object(body)
    except NotJson:
        raise invalid("body") from None
    if names["Action"] == LIST:
        return await tasks.query(fields, house)
    await tasks.update(fields, house)
    return None
