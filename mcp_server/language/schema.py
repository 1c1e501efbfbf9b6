"""The definition language in the input schemas of tools (JSON Schema 2020-12), made from `vocabulary.py`.

The full schemas are for the one tool that a model learns the language from: short, inline, without references and
combinators, because clients and providers mishandle them. The brief ones are for all other tools: the same keys without
their words, groups one level less deep. No object is without properties and none refuses others, because some clients drop
what an object does not name and others fail on `additionalProperties`. Both check less than the models; the exact form is in
`tool_schemas/qp.json` (`tools/language_schema.py`).
"""

from collections.abc import Iterable
from typing import Any

from mcp_server.language import vocabulary as words
from mcp_server.language.sql import PARAMETERS, SQL
from mcp_server.language.vocabulary import (
    AT_LEAST,
    AT_MOST,
    COMPARATORS,
    MEASURES,
    NUMBER_COMPARATORS,
    RELATIONS,
    TIME_UNITS,
)

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}

EXAMPLE: Schema = {
    "events": [
        {
            "eventName": "consume_item",
            "comparator": "greater",
            "num": "4",
            "recentDay": "1-7",
            "taPropQuota": {"analysis": "TIMES"},
        }
    ],
    "event_relation": "and",
    "filts": [{"tableType": "user", "columnName": "user_level", "comparator": "equal", "ftv": ["3"]}],
    "relation": "and",
    "event_user_relation": "and",
}
"""The vendor page's own example: more than four items in the past seven days, level 3."""

_ON_ANDROID: Schema = {"tableType": "event", "columnName": "#os", "comparator": "equal", "ftv": ["android"]}
TAG_EXAMPLES: tuple[Schema, ...] = (
    {words.VALUES: [{"tagValue": "heavy", "userClusterDef": {"events": EXAMPLE["events"]}}]},
    {
        words.FIRST_LAST: {
            words.FIRST_LAST_EVENT: {
                "eventName": "pay",
                "isFirstEvent": True,
                "calcPropVo": {"isCalc": False, "property": {"columnName": "#vp@test_num", "tableType": "event"}},
                "recentDay": "0-1",
                "filts": [_ON_ANDROID],
            }
        }
    },
    {
        words.QUOTA: {
            words.QUOTA_EVENT: {
                "type": "normal",
                "eventName": "activity_attend",
                "analysis": "DISTINCT",
                "quota": "activity_reward",
                "recentDay": "0-1",
                "filts": [_ON_ANDROID],
            }
        }
    },
)
"""One tag of each kind, after the vendor page's own examples."""


_BOUNDS = (AT_LEAST[1], AT_MOST[1])
"""At least and at most as they are accepted; a repair writes them in the vendor's words."""
_SQL = (
    'instead of conditions: SELECT "#user_id" FROM v_event_<project> WHERE ${PartDate:days} AND '
    '"$part_event" = \'pay\' GROUP BY "#user_id" HAVING count(*) >= 3; v_user_<project> has the user properties'
)


def full_qp(depth: int = 2) -> Schema:
    """A cluster's definition as a model reads it in one tool's input schema: inline, groups `depth` deep.

    Types are given where they help to write; exact shapes are left to the models, which accept tolerated forms and
    answer with problems that explain more than a validator can.
    """
    relation = _one_of(RELATIONS)
    return _object(
        {
            "events": _list(_event(depth)),
            "event_relation": relation,
            "filts": _list(_filter(words.TABLES_AT_TOP, depth)),
            "relation": relation | {"description": "joins filts"},
            "event_user_relation": relation,
            SQL: _said(_SQL),
            PARAMETERS: _object({"days": _said("1-7, for ${PartDate:days}")}),
        }
    )


def _event(depth: int) -> Schema:
    comparators = _one_of((*NUMBER_COMPARATORS, *_BOUNDS))
    measure = _object(
        {
            "analysis": _one_of(MEASURES) | {"description": "TIMES less 1 = never did it"},
            "quota": _said("event property; not with TIMES"),
        }
    )
    properties = {
        "eventName": _said(f"{words.ANY_EVENT} = every event"),
        "comparator": comparators | {"description": "greater, less are strict; >= at least, <= at most"},
        "num": _said('number as text; range: "low,high", both ends count'),
        "taPropQuota": measure | {"required": ["analysis"]},
        "recentDay": _said(
            "days back: 1-7 = past seven days without today, 0-7 = seven days with today, 0-1 = today; "
            "no window = all time"
        ),
        "startTime": _said("yyyy-MM-dd[ HH:mm:ss], instead of recentDay"),
        "endTime": _said("included; a date or midnight = its whole day"),
        "relation": _one_of(RELATIONS),
        "filts": _list(_filter(words.TABLES_IN_EVENT, depth)),
    }
    return _object(properties) | {"required": ["eventName", "comparator", "num", "taPropQuota"]}


_VALUES = (
    "texts; equal, include (contains) and arrayIncludeItem with several = any of. range: low, high, both ends count. "
    "A missing value matches only isNull, not notEqual. "
    "relativeCurrentBetween: A, B, from B to A days ago as recentDay A-B; relativeCurrentBefore: N, earlier than N days ago"
)
_NEAR_EVENT = "; relativeEventBefore, After, Absolute: N timeUnit before, after or around the event's time"


def _filter(tables: tuple[str, ...], depth: int) -> Schema:
    """A filter or a group; the words and what they mean are given only at the outermost level."""
    legal = [row.word for row in COMPARATORS.values() if row.fits(tables)]
    near_event = any(COMPARATORS[word].in_event for word in legal)
    properties = {
        "tableType": _one_of(tables),
        "columnName": _TEXT,
        "comparator": _one_of((*legal, *_BOUNDS)),
        "ftv": _TEXTS | {"description": _VALUES + (_NEAR_EVENT if near_event else "")},
        **({"timeUnit": _one_of(TIME_UNITS)} if near_event else {}),
    }
    if not depth:
        return _object(properties)
    kind = _one_of((words.GROUP,)) | {"description": "a group; takes only relation and filts"}
    return _object(properties | _group(_bare_filter(depth - 1, near_event=near_event)) | {"filterType": kind})


def _bare_filter(depth: int, *, near_event: bool = False) -> Schema:
    """A filter or a group by its keys alone."""
    properties = {"tableType": _TEXT, "columnName": _TEXT, "comparator": _TEXT, "ftv": _TEXTS}
    properties |= {"timeUnit": _TEXT} if near_event else {}
    return _object(properties | (_group(_bare_filter(depth - 1, near_event=near_event)) if depth else {}))


def _group(part: Schema) -> Schema:
    return {"filterType": _TEXT, "relation": _TEXT, "filts": _list(part)}


def _bare_event() -> Schema:
    """An event condition by its keys alone."""
    measure = _object({"analysis": _TEXT, "quota": _TEXT})
    return _object({"eventName": _TEXT, "comparator": _TEXT, "num": _TEXT, "taPropQuota": measure} | _rows())


def _rows() -> Schema:
    """The keys that decide which rows of an event count."""
    keys = ("recentDay", "startTime", "endTime", "relation")
    return dict.fromkeys(keys, _TEXT) | {"filts": _list(_bare_filter(0, near_event=True))}


def brief_qp() -> Schema:
    """A cluster's definition in the schema of a tool that only passes it on: the keys."""
    said = {"description": "A definition as validate_definition describes it."}
    return _object(_bare_conditions(depth=1) | _sql()) | said


def _bare_conditions(depth: int) -> Schema:
    return {
        "events": _list(_bare_event()),
        "event_relation": _TEXT,
        "filts": _list(_bare_filter(depth)),
        "relation": _TEXT,
        "event_user_relation": _TEXT,
    }


def _sql() -> Schema:
    return {SQL: _TEXT, PARAMETERS: _object({"days": _TEXT})}


def brief_tag() -> Schema:
    """A tag's definition in the schema of a tool that only passes it on: the three kinds and their keys."""
    return _tag(_TEXT, _TEXT) | {"description": "A tag definition as validate_definition describes it."}


def full_tag() -> Schema:
    """A tag's definition as a model reads it: the three kinds and their keys, without the filters' own."""
    tag = _tag(_one_of(words.TABLES_IN_EVENT), _one_of(MEASURES))
    tag["properties"][words.VALUES] |= {"description": "in order; the first that fits wins; userClusterDef is a qp"}
    return tag | {"description": "Exactly one; windows and filts as in a qp, which validate_definition describes."}


def _tag(table: Schema, analysis: Schema) -> Schema:
    rows = {"eventName": _TEXT} | _rows()
    taken = _object({"property": _object({"columnName": _TEXT, "tableType": table})})
    first_last = _object(rows | {"isFirstEvent": {"type": "boolean"}, "calcPropVo": taken})
    measured = _object(rows | {"analysis": analysis, "quota": _TEXT})
    return _object(
        {
            words.VALUES: _list(_object({"tagValue": _TEXT, "userClusterDef": _object(_bare_conditions(depth=0))})),
            words.FIRST_LAST: _object({words.FIRST_LAST_EVENT: first_last}),
            words.QUOTA: _object({words.QUOTA_EVENT: measured}),
            **_sql(),
        }
    )


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _said(description: str) -> Schema:
    return _TEXT | {"description": description}


def _one_of(values: Iterable[str]) -> Schema:
    return {"type": "string", "enum": list(values)}
