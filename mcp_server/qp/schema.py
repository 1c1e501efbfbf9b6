"""The definition language as JSON Schema (2020-12), made from the tables in `vocabulary.py`.

Three forms of the same thing:

* `complete()`: exactly what the models of `model.py` accept (tested); the content of `tool_schemas/qp.json`.
* `shown()`: for the input schema of one tool, written for a language model: short, inline, no references and
  no combinators, because clients and providers mishandle them. It says less than the models check.
* `outline()`: for all other tools; names the first-level keys only.
"""

from collections.abc import Callable, Iterable
from typing import Any

from mcp_server.qp import vocabulary as words
from mcp_server.qp.model import RECENT_DAY, TIME
from mcp_server.qp.numbers import NUMBER
from mcp_server.qp.vocabulary import COMPARATORS, MEASURES, NUMBER_COMPARATORS, RELATIONS, TABLES, TIME_UNITS

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

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


# --- the complete form ---------------------------------------------------------------------------


def complete() -> Schema:
    """The strict form of a definition, whole: what it accepts the models accept, and the other way round."""
    root = _object(
        {
            "events": _list(_ref("event"), "Event conditions: what users did.", maxItems=words.MAX_EVENTS),
            "event_relation": _relation("Joins the event conditions."),
            "filts": _list(_ref(_filter_name("user", words.MAX_DEPTH)), "Filters on user properties."),
            "relation": _relation("Joins the user filters."),
            "event_user_relation": _relation("Joins the event side and the user side; an empty side is left out."),
        }
    )
    head = {"$schema": DIALECT, "title": "qp", "description": "Which users belong to a cluster, in the strict form."}
    at_least_one = {"anyOf": [_nonempty("events"), _nonempty("filts")]}
    return head | root | at_least_one | {"examples": [EXAMPLE], "$defs": _definitions()}


def _definitions() -> Schema:
    parts = {
        "event": _event(),
        "measure": _measure(),
        "eventFilter": _condition(TABLES, lambda _: True),
        "userFilter": _condition(("user",), lambda row: not row.in_event),
    }
    for side in ("event", "user"):
        for depth in range(1, words.MAX_DEPTH + 1):
            parts[_filter_name(side, depth)] = _condition_or_group(side, depth)
    return parts


def _filter_name(side: str, depth: int) -> str:
    """Name of the filter that may hold groups `depth` deep."""
    return f"{side}Filter" + (f"OrGroup{depth}" if depth else "")


def _event() -> Schema:
    """One entry of `events`; how many numbers `num` holds follows from the comparator."""
    properties = {
        "eventName": _name(f"Exact name of an event; {words.ANY_EVENT} takes rows of every name."),
        "comparator": _enum(NUMBER_COMPARATORS, "Compares the measure with num; greater and less are strict."),
        "num": _string('A number as text; for range two, "low,high", both included.', maxLength=words.MAX_TEXT),
        "taPropQuota": _ref("measure"),
        "recentDay": _exact(
            RECENT_DAY, 'Days back from today, "A-B": 1-7 the past seven days without today; 0-7 seven days with today.'
        ),
        "startTime": _exact(TIME, "First moment, local time of the project; ignored beside recentDay."),
        "endTime": _exact(TIME, "Last moment, included; midnight takes in that whole day."),
        "relation": _relation("Joins filts."),
        "filts": _list(_ref(_filter_name("event", words.MAX_DEPTH)), "Only rows that pass these are measured."),
    }
    branches = []
    for values in sorted({row.values for row in NUMBER_COMPARATORS.values()}):
        fitting = [row.word for row in NUMBER_COMPARATORS.values() if row.values == values]
        branches.append(_when("comparator", fitting, {"properties": {"num": _exact(",".join([NUMBER] * values))}}))
    return _object(properties, ("eventName", "comparator", "num", "taPropQuota")) | {"allOf": branches}


def _measure() -> Schema:
    properties = {
        "analysis": _enum(MEASURES, "What is computed over one user's rows."),
        "quota": _name("The event property that is measured."),
    }
    bare = [row.word for row in MEASURES.values() if not row.quota_types]
    without, needed = {"properties": {"quota": False}}, {"required": ["quota"]}
    return _object(properties, ("analysis",)) | _when("analysis", bare, without, needed)


def _condition(tables: Iterable[str], legal: Callable[[words.Comparator], bool]) -> Schema:
    """A filter that is no group; how many values it takes follows from the comparator."""
    rows = [row for row in COMPARATORS.values() if legal(row)]
    near_event = [row.word for row in rows if row.in_event]
    text = _string(maxLength=words.MAX_TEXT)
    properties = {
        "tableType": _enum(tables, "Whose property."),
        "columnName": _name("Name of the property."),
        "comparator": _enum((row.word for row in rows), " ".join(_said(row) for row in rows)),
        "ftv": _list(text, "Values as text; a missing property matches only isNull and arrayIsNull."),
    }
    branches = []
    for low, high in sorted({row.values for row in rows}):
        fitting = [row.word for row in rows if row.values == (low, high)]
        count = {"properties": {"ftv": {"minItems": low, "maxItems": high}}} | ({"required": ["ftv"]} if low else {})
        branches.append(_when("comparator", fitting, count))
    if near_event:
        properties["timeUnit"] = _enum(TIME_UNITS, "Unit of the span around the event; a day is 24 hours.")
        branches.append(
            _when("comparator", near_event, {"required": ["timeUnit"]}, {"properties": {"timeUnit": False}})
        )
    return _object(properties, ("tableType", "columnName", "comparator")) | {"allOf": branches}


def _said(row: words.Comparator) -> str:
    """One word, the types it fits, and its number of values."""
    low, high = row.values
    count = str(low) if low == high else f"{low} or more"
    return f"{row.word}: {', '.join(sorted(row.types))}; {count} {'value' if count == '1' else 'values'}."


def _condition_or_group(side: str, depth: int) -> Schema:
    inner = _list(_ref(_filter_name(side, depth - 1)), "The parts of the group.", minItems=1)
    group = _object(
        {"filterType": _enum((words.GROUP,), "A group."), "relation": _relation("Joins filts."), "filts": inner},
        ("filterType", "filts"),
    )
    return {"if": {"required": ["filterType"]}, "then": group, "else": _ref(_filter_name(side, 0))}


# --- building blocks -----------------------------------------------------------------------------


def _object(properties: Schema, required: Iterable[str] = ()) -> Schema:
    needed = list(required)
    closed = {"type": "object", "properties": properties, "additionalProperties": False}
    return closed | ({"required": needed} if needed else {})


def _list(items: Schema, description: str, **limits: int) -> Schema:
    return {"type": "array", "description": description, "items": items} | limits


def _string(description: str = "", **limits: int) -> Schema:
    return {"type": "string"} | ({"description": description} if description else {}) | limits


def _name(description: str) -> Schema:
    return _string(description, minLength=1, maxLength=words.MAX_TEXT)


def _enum(values: Iterable[str], description: str) -> Schema:
    return {"type": "string", "description": description, "enum": list(values)}


def _relation(description: str) -> Schema:
    return _enum(RELATIONS, f"{description} Absent: and.")


def _exact(pattern: str, description: str = "") -> Schema:
    """A text that matches as a whole.

    In Python `$` stands before a last line break too, in ECMA it does not; so line breaks are ruled out by
    a second pattern, which every validator reads alike.
    """
    return _string(description) | {"pattern": f"^(?:{pattern})$", "not": {"pattern": "\\n"}}


def _when(key: str, values: list[str], then: Schema, otherwise: Schema | None = None) -> Schema:
    rule = {"if": {"required": [key], "properties": {key: {"enum": values}}}, "then": then}
    return rule | ({"else": otherwise} if otherwise else {})


def _nonempty(key: str) -> Schema:
    return {"required": [key], "properties": {key: {"minItems": 1}}}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


# --- the forms for tools -------------------------------------------------------------------------


def shown(depth: int = 2) -> Schema:
    """The language as a model reads it in one tool's input schema: inline, groups `depth` deep.

    Types stand where they help to write; exact shapes are left to the models, which accept tolerated
    forms and answer with problems that say more than a validator can.
    """
    relation = _plain(RELATIONS)
    event_words = list(COMPARATORS)
    user_words = [row.word for row in COMPARATORS.values() if not row.in_event]
    return {
        "type": "object",
        "properties": {
            "events": {"type": "array", "items": _shown_event(event_words, depth)},
            "event_relation": relation,
            "filts": _shown_filters(("user",), user_words, depth),
            "relation": relation | {"description": "joins filts"},
            "event_user_relation": relation,
        },
    }


def _shown_event(event_words: list[str], depth: int) -> Schema:
    event_filters = _shown_filters(TABLES, event_words, depth)
    return {
        "type": "object",
        "required": ["eventName", "comparator", "num", "taPropQuota"],
        "properties": {
            "eventName": {"type": "string", "description": f"{words.ANY_EVENT} = every event"},
            "comparator": _plain(NUMBER_COMPARATORS)
            | {"description": "greater, less are strict: at least 5 = greater 4"},
            "num": {"type": "string", "description": 'number as text; range: "low,high"'},
            "taPropQuota": {
                "type": "object",
                "required": ["analysis"],
                "properties": {
                    "analysis": _plain(MEASURES) | {"description": "TIMES less 1 = never did it"},
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
            "relation": _plain(RELATIONS),
            "filts": event_filters,
        },
    }


def _shown_filters(tables: Iterable[str], legal: list[str], depth: int) -> Schema:
    """A list of filters; the words and what they mean stand only at the outermost level."""
    properties = _shown_condition(tables, legal)
    bare = {name: _bare(part) for name, part in properties.items()}
    group: Schema = {}
    for _ in range(depth):
        group = {
            "filterType": _plain((words.GROUP,)),
            "relation": _plain(RELATIONS),
            "filts": _shown_list(bare | group),
        }
    if group:
        group["filterType"] |= {"description": "a group; takes only relation and filts"}
    return _shown_list(properties | group)


def _shown_condition(tables: Iterable[str], legal: list[str]) -> Schema:
    properties = {
        "tableType": _plain(tables),
        "columnName": {"type": "string"},
        "comparator": _plain(legal),
        "ftv": {
            "type": "array",
            "items": {"type": "string"},
            "description": "texts; equal with several = any of; include = contains. "
            "A missing value matches only isNull, not notEqual",
        },
    }
    near_event = any(COMPARATORS[word].in_event for word in legal)
    return properties | ({"timeUnit": _plain(TIME_UNITS)} if near_event else {})


def _bare(part: Schema) -> Schema:
    return {key: value for key, value in part.items() if key in ("type", "items")}


def _shown_list(properties: Schema) -> Schema:
    return {"type": "array", "items": {"type": "object", "properties": properties}}


def _plain(values: Iterable[str]) -> Schema:
    return {"type": "string", "enum": list(values)}


def outline() -> Schema:
    """A definition in the schema of a tool that only passes it on: the first-level keys."""
    parts = {"type": "array", "items": {"type": "object"}}
    return {
        "type": "object",
        "description": "A definition as validate_definition describes it.",
        "properties": {
            "events": parts,
            "event_relation": _plain(RELATIONS),
            "filts": parts,
            "relation": _plain(RELATIONS),
            "event_user_relation": _plain(RELATIONS),
        },
    }
