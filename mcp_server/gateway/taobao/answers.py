"""Answers of the router: JSON or XML, `error_response` for what the platform refuses (vendors.md A5, A6)."""

import json
import secrets
from collections.abc import Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

from starlette.responses import Response

WORDS: Final[Mapping[int, str]] = {
    9: "Http Action Not Allowed",
    21: "Missing Method",
    22: "Invalid Method",
    23: "Invalid Format",
    24: "Missing Signature",
    25: "Invalid Signature",
    26: "Missing Session",
    27: "Invalid Session",
    28: "Missing App Key",
    29: "Invalid App Key",
    30: "Missing Timestamp",
    31: "Invalid Timestamp",
    32: "Missing Version",
    33: "Invalid Version",
    40: "Missing Required Arguments",
    41: "Invalid Arguments",
    50: "Remote service error",
}
"""The codes that are answered here, in the platform's words."""


class Refusal(Exception):
    """An `error_response`."""

    def __init__(self, code: int, sub_code: str = "", sub_msg: str = "") -> None:
        super().__init__(code)
        self.code, self.sub_code, self.sub_msg = code, sub_code, sub_msg


def missing(name: str) -> Refusal:
    """A business parameter that is needed."""
    return Refusal(40, f"isv.missing-parameter:{name}", f"缺少参数：{name}")


def invalid(name: str, why: str = "") -> Refusal:
    """A business parameter that is not as it has to be."""
    return Refusal(41, f"isv.invalid-parameter:{name}", f"非法参数：{name}" + (f"（{why}）" if why else ""))


def failed(sub_code: str, sub_msg: str) -> Refusal:
    """What the service behind the platform refuses. (The page's example: isv.invalid-parameter, 非法参数.)"""
    return Refusal(50, sub_code, sub_msg)


def answered(method: str, content: Mapping[str, Any], *, xml: bool, simple: bool) -> Response:
    """A success: under the method's root, or with `simplify` (JSON only) without it."""
    root = method.removeprefix("taobao.").replace(".", "_") + "_response"
    whole = {**content, "request_id": _request_id()}
    if xml:
        return _xml(root, whole)
    return _json(_simple(whole) if simple else {root: whole})


def refused(refusal: Refusal, *, xml: bool) -> Response:
    """A refusal; HTTP 200, as the SDKs expect."""
    error: dict[str, Any] = {"code": refusal.code, "msg": WORDS.get(refusal.code, "Remote service error")}
    if refusal.sub_code:
        error |= {"sub_code": refusal.sub_code, "sub_msg": refusal.sub_msg}
    error["request_id"] = _request_id()
    return _xml("error_response", error) if xml else _json({"error_response": error})


def _request_id() -> str:
    return secrets.token_hex(6)


def _json(value: Mapping[str, Any]) -> Response:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode("utf-8", "replace"), media_type="text/javascript;charset=UTF-8")


def _simple(value: Any) -> Any:
    """Lists without the name of their items (vendors.md A5)."""
    if not isinstance(value, Mapping):
        return value
    found = {}
    for name, inner in value.items():
        only = next(iter(inner.values())) if isinstance(inner, Mapping) and len(inner) == 1 else None
        found[name] = only if isinstance(only, list) else _simple(inner)
    return found


def _xml(root: str, value: Mapping[str, Any]) -> Response:
    text = f'<?xml version="1.0" encoding="utf-8" ?><{root}>{_elements(value)}</{root}>'
    return Response(text.encode("utf-8", "replace"), media_type="text/xml;charset=UTF-8")


def _elements(value: Mapping[str, Any]) -> str:
    parts = []
    for name, inner in value.items():
        parts += [f"<{name}>{_text(one)}</{name}>" for one in (inner if isinstance(inner, list) else [inner])]
    return "".join(parts)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return _elements(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape("".join(c for c in str(value) if c >= " " or c in "\t\n"))
