"""What comes back from Volcengine: `ResponseMetadata`, perhaps with an error, and `Result` (vendors.md B3)."""

from collections.abc import Mapping, Sequence
from typing import Any

from mcp_server.platforms.transport import Reply
from mcp_server.platforms.vendor import Unreadable, quoted, read_object, words
from mcp_server.platforms.volcengine import codes


def error_in(reply: Reply) -> tuple[str, str, str] | None:
    """Code, words and request id of an error; None where there is none. Unreadable where it is no answer of theirs."""
    answer = read_object(reply.body)
    metadata = answer.get("ResponseMetadata")
    if not isinstance(metadata, Mapping):
        raise Unreadable
    error = metadata.get("Error")
    if not isinstance(error, Mapping):
        if reply.status >= 400:
            raise Unreadable
        return None
    request = words(metadata.get("RequestId")) or reply.headers.get("x-tt-logid", "")
    return words(error.get("Code")), words(error.get("Message")), request


def result_of(reply: Reply, secrets: Sequence[str] = ()) -> Mapping[str, Any]:
    """`Result`, empty where the action has none. Raises the error of the code (also under HTTP 200); Unreadable."""
    error = error_in(reply)
    if error is not None:
        raise codes.fault(*(quoted(part, secrets) for part in error))
    result = read_object(reply.body).get("Result")
    return result if isinstance(result, Mapping) else {}


def request_id_of(reply: Reply, secrets: Sequence[str] = ()) -> str:
    """The id that the vendor's support asks for; "" where there is none."""
    try:
        metadata = read_object(reply.body).get("ResponseMetadata")
    except Unreadable:
        metadata = None
    found = words(metadata.get("RequestId")) if isinstance(metadata, Mapping) else ""
    return quoted(found or reply.headers.get("x-tt-logid", ""), secrets)


def asks_again(reply: Reply) -> bool:
    """Whether the answer is one after which the same may be sent again."""
    try:
        error = error_in(reply)
    except Unreadable:
        return False
    return error is not None and error[0] in codes.AGAIN


def is_uncertain(reply: Reply) -> bool:
    """Whether the answer leaves open if a change has happened."""
    error = error_in(reply)
    return error is not None and error[0] in codes.UNCERTAIN
