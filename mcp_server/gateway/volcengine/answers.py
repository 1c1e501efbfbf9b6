"""`ResponseMetadata`, with an error or without (vendors.md B3)."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from starlette.responses import Response

VERSION: Final = "2022-01-01"
SERVICE: Final = "vms"

CODES: Final[Mapping[str, tuple[int, int]]] = {
    "MissingParameter": (100002, 400), "MissingAuthenticationToken": (100003, 401), "MissingRequestInfo": (100004, 400),
    "MissingSignature": (100005, 401), "InvalidTimestamp": (100006, 400), "ServiceNotFound": (100007, 404),
    "InvalidActionOrVersion": (100008, 404), "InvalidAccessKey": (100009, 401), "SignatureDoesNotMatch": (100010, 401),
    "AccessDenied": (100013, 403), "InternalError": (100014, 500), "ServiceUnavailable": (0, 503),
}  # fmt: skip
"""Number and HTTP status of the codes that have them; the codes of call tasks have no known number and status 400."""


class Refusal(Exception):
    """An error in the vendor's form."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def missing(name: str) -> Refusal:
    """The page's words."""
    return Refusal("MissingParameter", f"The required parameter {name} is missing.")


def invalid(name: str, why: str = "") -> Refusal:
    """The page's words."""
    return Refusal("InvalidParameter", f"The specified parameter {name} is invalid." + (f" {why}" if why else ""))


@dataclass(frozen=True, slots=True)
class About:
    """What an answer says of its request."""

    action: str
    version: str
    region: str
    now: datetime

    def metadata(self) -> dict[str, Any]:
        request = self.now.strftime("%Y%m%d%H%M%S") + secrets.token_hex(10).upper()
        return {
            "RequestId": request,
            "Action": self.action,
            "Version": self.version,
            "Service": SERVICE,
            "Region": self.region,
        }


def answered(about: About, result: Mapping[str, Any] | None) -> Response:
    """A success; an action without results has no `Result`."""
    return _json({"ResponseMetadata": about.metadata()} | ({} if result is None else {"Result": result}), 200)


def refused(about: About, refusal: Refusal) -> Response:
    """A refusal with its HTTP status."""
    number, status = CODES.get(refusal.code, (0, 400))
    error: dict[str, Any] = {"CodeN": number} if number else {}
    error |= {"Code": refusal.code, "Message": refusal.message}
    return _json({"ResponseMetadata": about.metadata() | {"Error": error}}, status)


def _json(value: Mapping[str, Any], status: int) -> Response:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode("utf-8", "replace"), status, media_type="application/json; charset=utf-8")
