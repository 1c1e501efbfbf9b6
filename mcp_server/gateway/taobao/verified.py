"""What is looked at before a call counts: its parameters, its time, its signature, its session (vendors.md A2, A3)."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, get_args
from urllib.parse import parse_qsl

from starlette.requests import Request

from mcp_server.calls.settings import BEIJING
from mcp_server.gateway.house import WHO, House, same
from mcp_server.gateway.taobao.answers import Refusal, invalid
from mcp_server.platforms.taobao.signing import SignMethod, sign
from mcp_server.web.bodies import Stopped, TooLong, whole

SYSTEM: Final = "taobao"
FORM: Final = "application/x-www-form-urlencoded"
COMMON: Final = frozenset({
    "method", "app_key", "session", "timestamp", "v", "sign_method", "sign", "format", "simplify", "partner_id",
    "target_app_key",
})  # fmt: skip
OFF: Final = timedelta(minutes=10)
_EPOCH: Final = re.compile(r"[0-9]{13}")


@dataclass(frozen=True, slots=True)
class Call:
    """One verified call: its method and its business parameters."""

    method: str
    business: Mapping[str, str]


async def parameters(request: Request, house: House) -> list[tuple[str, str]]:
    """All parameters, from the query and, of a POST, from the form in its body."""
    form = await _form(request, house) if request.method == "POST" else []
    return [*request.query_params.multi_items(), *form]


def once(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """The parameters by name; each stands there once."""
    for number, (name, _) in enumerate(pairs):
        if any(name == other for other, _ in pairs[:number]):
            raise invalid(name[:50], "重复")
    return dict(pairs)


async def _form(request: Request, house: House) -> list[tuple[str, str]]:
    try:
        body = await whole(request, house.limits.body)
        if body and request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
            raise invalid("Content-Type", FORM)
        return parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=100)
    except (TooLong, Stopped, ValueError):
        raise invalid("body") from None


def verified(found: Mapping[str, str], request: Request, house: House) -> Call:
    """The call, if everything about it is right. Refusal in the platform's codes otherwise."""
    for name, code in (("method", 21), ("app_key", 28), ("timestamp", 30), ("v", 32), ("sign", 24)):
        if not found.get(name, "").strip():
            raise Refusal(code)
    if not same(found["app_key"], house.keys.app_key):
        raise Refusal(29)
    if found["v"] != "2.0":
        raise Refusal(33)
    moment = _moment(found["timestamp"])
    if moment is None or abs(house.clock() - moment) > OFF:
        raise Refusal(31)
    if not _signed(found, house.keys.app_secret):
        raise Refusal(25)
    if not found.get("session"):
        raise Refusal(26)
    if not same(found["session"], house.keys.session):
        raise Refusal(27)
    request.scope[WHO] = SYSTEM
    return Call(found["method"], {name: value for name, value in found.items() if name not in COMMON})


def _moment(said: str) -> datetime | None:
    """`yyyy-MM-dd HH:mm:ss` in GMT+8, or milliseconds since 1970, as the official Python SDKs send it."""
    if _EPOCH.fullmatch(said):
        return datetime.fromtimestamp(int(said) / 1000, UTC)
    try:
        moment = datetime.strptime(said, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - GMT+8, as the vendor's
    except ValueError:
        return None
    return moment.replace(tzinfo=BEIJING) if str(moment) == said else None


def _signed(found: Mapping[str, str], secret: str) -> bool:
    """Whether the signature is the secret's. Blank parameters take no part in it, or with their bare names: the
    vendor's own SDKs differ (vendors.md A3)."""
    said = found["sign"].upper()
    method = next((one for one in get_args(SignMethod) if one == found.get("sign_method", "")), None)
    if method is None:
        return False
    fits = same(said, sign(found, secret, method))
    return same(said, _bare(found, secret, method)) or fits


def _bare(found: Mapping[str, str], secret: str, method: SignMethod) -> str:
    names = sorted((name for name in found if name != "sign"), key=lambda name: name.encode())
    text, key = "".join(name + found[name] for name in names).encode("utf-8", "surrogatepass"), secret.encode()
    if method == "md5":
        return hashlib.md5(key + text + key, usedforsecurity=False).hexdigest().upper()
    return hmac.new(key, text, hashlib.md5 if method == "hmac" else hashlib.sha256).hexdigest().upper()
