"""The legal keys of every object of a definition (qp.md sections 1 and 5), and what may stand at a path."""

from collections.abc import Mapping

from mcp_server.qp import vocabulary as words

Path = tuple[str | int, ...]
Keys = tuple[str, ...]

QP_KEYS: Keys = ("events", "event_relation", "filts", "relation", "event_user_relation")
EVENT_KEYS: Keys = (
    "eventName",
    "comparator",
    "num",
    "taPropQuota",
    "recentDay",
    "startTime",
    "endTime",
    "relation",
    "filts",
)
MEASURE_KEYS: Keys = ("analysis", "quota")
FILTER_KEYS: Keys = (
    "filterType",
    "relation",
    "filts",
    "tableType",
    "columnName",
    "comparator",
    "ftv",
    "timeUnit",
    "specifiedClusterDate",
)

VALUES, FIRST_LAST, QUOTA = TAG_KEYS = (
    "userTagValueDefs",
    "userTagConFirstLastEventDef",
    "userTagConQuotaDef",
)
FIRST_LAST_EVENT, QUOTA_EVENT = "userTagConFirstLastEvent", "userTagConQuotaEvent"
VALUE_KEYS: Keys = ("tagValue", "tagRemark", "userClusterDef")
FIRST_LAST_KEYS: Keys = (
    "eventName",
    "isFirstEvent",
    "calcPropVo",
    "recentDay",
    "startTime",
    "endTime",
    "relation",
    "filts",
)
QUOTA_KEYS: Keys = ("type", "eventName", "analysis", "quota", "recentDay", "startTime", "endTime", "relation", "filts")
CALC_KEYS: Keys = ("isCalc", "property")
TAKEN_KEYS: Keys = ("columnName", "tableType")

_OF_TAGS: Mapping[str, Keys] = {
    VALUES: VALUE_KEYS,
    FIRST_LAST: (FIRST_LAST_EVENT,),
    FIRST_LAST_EVENT: FIRST_LAST_KEYS,
    "calcPropVo": CALC_KEYS,
    "property": TAKEN_KEYS,
    QUOTA: (QUOTA_EVENT,),
    QUOTA_EVENT: QUOTA_KEYS,
}
"""The keys of a tag's own objects, by the key that they stand under."""


def legal_keys(path: Path, root: Keys = QP_KEYS) -> Keys:
    """The keys of the object at a path of a definition whose own keys are `root`."""
    inner = _in_qp(path)
    if "filts" in inner:
        return FILTER_KEYS
    if len(inner) == len(path) and path[:1] and path[0] in TAG_KEYS:
        return _OF_TAGS[next(key for key in reversed(path) if isinstance(key, str))]
    if inner[-1:] == ("taPropQuota",):
        return MEASURE_KEYS
    if inner[:1] == ("events",):
        return EVENT_KEYS
    return QP_KEYS if inner != path else root


def tables_at(path: Path) -> tuple[str, ...]:
    """The tables that a property at a path may belong to."""
    in_event = ("events",), (FIRST_LAST,), (QUOTA,)
    return words.TABLES_IN_EVENT if _in_qp(path)[:1] in in_event else words.TABLES_AT_TOP


def _in_qp(path: Path) -> Path:
    """A path from the `qp` that it lies in; one that lies in none, as it is."""
    here = "userClusterDef"
    return path[path.index(here) + 1 :] if path[:1] == (VALUES,) and here in path else path
