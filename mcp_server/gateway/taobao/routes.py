"""The one address of the router."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mcp_server.errors import FenqunError
from mcp_server.gateway.house import House, told
from mcp_server.gateway.strict import unknown
from mcp_server.gateway.taobao.answers import Refusal, answered, failed, invalid, refused
from mcp_server.gateway.taobao.methods import METHODS, Asked
from mcp_server.gateway.taobao.verified import once, parameters, verified
from mcp_server.operations.calling import internal_error

PATH = "/router/rest"
_SERVED = ("GET", "POST")
_CALLERS = ("invalid_arguments", "not_found", "not_computed", "no_project", "no_data", "read_only", "not_allowed")


def routes(house: House) -> list[Route]:
    """The route over these parts."""

    async def rest(request: Request) -> Response:
        pairs = request.query_params.multi_items()
        try:
            pairs = await parameters(request, house)
            return await _answer(once(pairs), request, house)
        except Refusal as refusal:
            return refused(refusal, xml=_is_xml(dict(pairs)))
        except FenqunError as error:
            code = "isv.invalid-parameter" if error.code in _CALLERS else "isp.unknown-error"
            return refused(failed(code, told(error, house.deps)), xml=_is_xml(dict(pairs)))
        except Exception:  # noqa: BLE001 - the boundary; internal_error logs it
            said = told(internal_error(PATH), house.deps)
            return refused(failed("isp.unknown-error", said), xml=_is_xml(dict(pairs)))

    return [Route(PATH, rest, methods=[*_SERVED, "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])]


async def _answer(found: dict[str, str], request: Request, house: House) -> Response:
    if request.method not in _SERVED:
        raise Refusal(9)
    call = verified(found, request, house)
    if found.get("format", "xml") not in ("xml", "json"):
        raise Refusal(23)
    method = METHODS.get(call.method)
    if method is None:
        raise Refusal(22)
    stray = unknown(call.business, *method.names)
    if stray:
        raise invalid(stray[:50], "未知参数")
    content = await method.serve(Asked(house, call.business))
    return answered(call.method, content, xml=_is_xml(found), simple=found.get("simplify") == "true")


def _is_xml(found: dict[str, str]) -> bool:
    """The vendor's default."""
    return found.get("format", "xml") != "json"
