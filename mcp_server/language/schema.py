"""The definition language in the input schemas of tools (JSON Schema 2020-12), made from `vocabulary.py`.

The full schemas are for the one tool that a model learns the language from: short, inline, without references and
combinators, because clients and providers mishandle them. The brief ones are for all other tools and name the first-level
keys. Both check less than the models; the exact form is in `tool_schemas/qp.json` (`tools/language_schema.py`).
"""

from collections.abc import Iterable
from typing import Any

from mcp_server.language import vocabulary as words
from mcp_server.language.sql import PARAMETERS, SQL
from mcp_server.language.vocabulary import COMPARATORS, MEASURES, NUMBER_COMPARATORS, RELATIONS, TIME_UNITS

Schema = dict[str, Any]

_PART: Schema = {"type": "object"}
_PARTS: Schema = {"type": "array", "items": _PART}
_TEXT: Schema = {"type": "string"}

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


def full_qp(depth: int = 2) -> Schema:
    """A cluster's definition as a model reads it in one tool's input schema: inline, groups `depth` deep.

    Types are given where they help to write; exact shapes are left to the models, which accept tolerated forms and
    answer with problems that explain more than a validator can.
    """
    relation = _one_of(RELATIONS)
    return {
        "type": "object",
        "properties": {
            "events": {"type": "array", "items": _event(depth)},
            "event_relation": relation,
            "filts": _filters(words.TABLES_AT_TOP, depth),
            "relation": relation | {"description": "joins filts"},
            "event_user_relation": relation,
            SQL: {"type": "string", "description": 'or SELECT "#user_id" from v_event_<project>, v_user_<project>'},
            PARAMETERS: _PART | {"description": '{"d": "1-7"} for ${PartDate:d}'},
        },
    }


def _event(depth: int) -> Schema:
    return {
        "type": "object",
        "required": ["eventName", "comparator", "num", "taPropQuota"],
        "properties": {
            "eventName": {"type": "string", "description": f"{words.ANY_EVENT} = every event"},
            "comparator": _one_of(NUMBER_COMPARATORS)
            | {"description": "greater, less are strict: at least 5 = greater 4"},
            "num": {"type": "string", "description": 'number as text; range: "low,high"'},
            "taPropQuota": {
                "type": "object",
                "required": ["analysis"],
                "properties": {
                    "analysis": _one_of(MEASURES) | {"description": "TIMES less 1 = never did it"},
                    "quota": {"type": "string", "description": "event property; not with TIMES"},
                },
            },
            "recentDay": {
                "type": "string",
                "description": "days back: 1-7 = past seven days without today, 0-7 = seven days with today, "
                "0-1 = today; no window = all time",
            },
            "startTime": {"type": "string", "description": "yyyy-MM-dd[ HH:mm:ss], instead of recentDay"},
            "endTime": {"type": "string", "description": "included; a date = its whole day"},
            "relation": _one_of(RELATIONS),
            "filts": _filters(words.TABLES_IN_EVENT, depth),
        },
    }


def _filters(tables: tuple[str, ...], depth: int) -> Schema:
    """A list of filters; the words and what they mean are given only at the outermost level."""
    properties = _condition(tables)
    bare = {
        name: {key: value for key, value in part.items() if key in ("type", "items")}
        for name, part in properties.items()
    }
    group: Schema = {}
    for _ in range(depth):
        group = {"filterType": _one_of((words.GROUP,)), "relation": _one_of(RELATIONS), "filts": _list(bare | group)}
    if group:
        group["filterType"] |= {"description": "a group; takes only relation and filts"}
    return _list(properties | group)


def _condition(tables: tuple[str, ...]) -> Schema:
    legal = [row.word for row in COMPARATORS.values() if row.fits(tables)]
    properties = {
        "tableType": _one_of(tables),
        "columnName": {"type": "string"},
        "comparator": _one_of(legal),
        "ftv": {
            "type": "array",
            "items": {"type": "string"},
            "description": "texts; equal with several = any of; include = contains. "
            "A missing value matches only isNull, not notEqual",
        },
    }
    near_event = any(COMPARATORS[word].in_event for word in legal)
    return properties | ({"timeUnit": _one_of(TIME_UNITS)} if near_event else {})


def _list(properties: Schema) -> Schema:
    return {"type": "array", "items": {"type": "object", "properties": properties}}


def _one_of(values: Iterable[str]) -> Schema:
    return {"type": "string", "enum": list(values)}


def brief_qp() -> Schema:
    """A cluster's definition in the schema of a tool that only passes it on: the first-level keys."""
    return {
        "type": "object",
        "description": "A definition as validate_definition describes it.",
        "properties": {
            "events": _PARTS,
            "event_relation": _one_of(RELATIONS),
            "filts": _PARTS,
            "relation": _one_of(RELATIONS),
            "event_user_relation": _one_of(RELATIONS),
            SQL: _TEXT,
        },
    }


def brief_tag() -> Schema:
    """A tag's definition in the schema of a tool that only passes it on: the three kinds."""
    return {
        "type": "object",
        "description": "A tag definition as validate_definition describes it.",
        "properties": {words.VALUES: _PARTS, words.FIRST_LAST: _PART, words.QUOTA: _PART, SQL: _TEXT},
    }


def full_tag() -> Schema:
    """A tag's definition as a model reads it: the three kinds and their keys, without the filters' own."""
    rows = {"eventName": _TEXT, "recentDay": _TEXT, "relation": _one_of(RELATIONS), "filts": _PARTS}
    value = {"type": "object", "properties": {"tagValue": _TEXT, "userClusterDef": _PART | {"description": "a qp"}}}
    taken = {"type": "object", "properties": {"columnName": _TEXT, "tableType": _one_of(words.TABLES_IN_EVENT)}}
    first_last = {
        "isFirstEvent": {"type": "boolean"},
        "calcPropVo": {"type": "object", "properties": {"property": taken}},
    }
    measured = {"analysis": _one_of(MEASURES), "quota": _TEXT}
    return {
        "type": "object",
        "description": "Exactly one; windows and filts as in a qp, which validate_definition describes.",
        "properties": {
            words.VALUES: {"type": "array", "items": value, "description": "in order; the first that fits wins"},
            words.FIRST_LAST: _holding(words.FIRST_LAST_EVENT, rows | first_last),
            words.QUOTA: _holding(words.QUOTA_EVENT, rows | measured),
            SQL: _TEXT,
        },
    }


def _holding(key: str, properties: Schema) -> Schema:
    return {"type": "object", "properties": {key: {"type": "object", "properties": properties}}}
