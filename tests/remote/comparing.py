"""What differs between a remote result and the local one, and whether the committed table lists it."""

from collections.abc import Iterator, Mapping
from typing import Any

from tools.platform_fields import absent, varying

MOMENTS = frozenset(
    {"platform", "not_told", "path", "resource", "refresh_time", "cluster.refresh_time", "clusters.refresh_time", "result.loaded_time"}
)  # fmt: skip
"""Fields that depend on the moment, on a file's place, or on the account."""
REMOTE = ("thinkingdata", "taobao", "volcengine")

Data = Mapping[str, Any]


def unlisted(tool: str, one: Data, other: Data) -> set[str]:
    """The fields in which a remote result differs and that the table does not name."""
    return set(differing(one, other)) - {field for platform in REMOTE for field in varying(platform, tool)}


def unsaid(tool: str, one: Data, other: Data) -> set[str]:
    """What a remote result lacks without reporting it; and what it reports as lacking although no row of the table lists it."""
    told = {field for fields in other.get("not_told", {}) for field in fields.split(", ")}
    assert "not_told" not in one
    assert not any(_stands(other, field) for field in told)
    lacking = {field for field in differing(one, other) if not _stands(other, field.partition(" ")[0])}
    return (lacking - told) | (told - {field for platform in REMOTE for field in absent(platform, tool)})


def differing(one: object, other: object, at: str = "") -> Iterator[str]:
    """The fields in which two results differ, by their whole paths without places in lists; of findings, with the code."""
    if at in MOMENTS:
        return
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in {*one, *other}:
            yield from differing(one.get(name), other.get(name), f"{at}.{name}" if at else name)
    elif at == "warnings":
        left, right = _by_code(one), _by_code(other)
        yield from (f"warnings ({code})" for code in {*left, *right} if left.get(code) != right.get(code))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for left_row, right_row in zip(one, other, strict=True):
            yield from differing(left_row, right_row, at)
    elif one != other:
        yield at


def _by_code(warnings: Any) -> dict[str, list[Data]]:
    found: dict[str, list[Data]] = {}
    for row in warnings or ():
        found.setdefault(row["code"], []).append(row)
    return found


def _stands(part: Any, path: str) -> bool:
    """Whether a field is in a result, in any row of a list."""
    name, _, rest = path.partition(".")
    rows = part if isinstance(part, list) else [part]
    return any(name in row and (not rest or _stands(row[name], rest)) for row in rows)
