"""The definition language as JSON Schema (2020-12), made from the tables in `vocabulary.py`.

Three forms of the same thing:

* `complete()`: exactly what the models of `model.py` accept (tested); the content of `tool_schemas/qp.json`.
* `shown()`: for the input schema of one tool, written for a language model: short, inline, no references and
  no combinators, because clients and providers mishandle them. It says less than the models check.
* `outline()`: for all other tools; names the first-level keys only.
"""

from collections.abc import Iterable

from mcp_server.qp import json_schema as js
from mcp_server.qp import keys
from mcp_server.qp import vocabulary as words
from mcp_server.qp.examples import EXAMPLE, SQL_EXAMPLE, TAG_EXAMPLES
from mcp_server.qp.json_schema import Schema
from mcp_server.qp.model import DAY, RECENT_DAY, TIME
from mcp_server.qp.numbers import NUMBER
from mcp_server.qp.sql import LONGEST, PARAMETERS, SQL
from mcp_server.qp.tags import MAX_VALUES, PLAIN_MEASURE
from mcp_server.qp.vocabulary import COMPARATORS, MEASURES, NUMBER_COMPARATORS, RELATIONS, TIME_UNITS

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_PART: Schema = {"type": "object"}
_PARTS: Schema = {"type": "array", "items": _PART}
_SQL_PARTS: Schema = {SQL: {"type": "string"}}


# --- the complete form ---------------------------------------------------------------------------


def complete() -> Schema:
    """The strict form of a definition, whole: what it accepts the models accept, and the other way round."""
    head = {"$schema": DIALECT, "title": "qp", "description": "Which users belong to a cluster, in the strict form."}
    return head | _qp() | {"examples": [EXAMPLE], "$defs": _definitions()}


def complete_tag() -> Schema:
    """The strict form of a tag's definition, whole, as `complete` is for clusters: what `TagQp` accepts.

    That two values of a tag differ is not said here; it is checked with the meaning.
    """
    properties = {
        keys.VALUES: js.list_of(
            js.ref("value"), "Custom values, tried in order: the first match wins.", maxItems=MAX_VALUES
        ),
        keys.FIRST_LAST: js.object_of({keys.FIRST_LAST_EVENT: js.ref("firstLastEvent")}, (keys.FIRST_LAST_EVENT,)),
        keys.QUOTA: js.object_of({keys.QUOTA_EVENT: js.ref("quotaEvent")}, (keys.QUOTA_EVENT,)),
    }
    one_kind = [js.nonempty(keys.VALUES), {"required": [keys.FIRST_LAST]}, {"required": [keys.QUOTA]}]
    head = {"$schema": DIALECT, "title": "tagQp", "description": "Which value a tag gives a user, in the strict form."}
    parts = {"value": _tag_value(), "firstLastEvent": _first_last(), "quotaEvent": _quota_event(), "qp": _qp()}
    return (
        head
        | js.object_of(properties)
        | {"oneOf": one_kind, "examples": list(TAG_EXAMPLES), "$defs": parts | _definitions()}
    )


def complete_sql() -> Schema:
    """The strict form of SQL, of a cluster or of a tag, whole. What the text may hold is in docs/sql-clusters.md."""
    days = [js.exact(RECENT_DAY), {"type": "array", "items": js.exact(DAY), "minItems": 2, "maxItems": 2}]
    said = "The days of each ${PartDate:name} in the text: a recentDay, or the first and the last day."
    properties = {
        SQL: js.string('One SELECT: "#user_id", of a tag also the value.', minLength=1, maxLength=LONGEST),
        PARAMETERS: {"type": "object", "description": said, "additionalProperties": {"anyOf": days}},
    }
    head = {"$schema": DIALECT, "title": "sql", "description": "A cluster or a tag by SQL, in place of qp or tagQp."}
    return head | js.object_of(properties, (SQL,)) | {"examples": [SQL_EXAMPLE]}


def _tag_value() -> Schema:
    properties = {
        "tagValue": js.string("The value; no two are alike.", maxLength=words.MAX_TEXT),
        "tagRemark": js.string("A note; it changes nothing.", maxLength=words.MAX_TEXT),
        "userClusterDef": js.ref("qp"),
    }
    return js.object_of(properties, ("tagValue", "userClusterDef"))


def _first_last() -> Schema:
    """The value of a property in one event of each user."""
    taken = js.object_of(
        {
            "columnName": js.name("The property whose value is taken; not a list."),
            "tableType": js.one_of(words.TABLES_IN_EVENT, "Whose property."),
        },
        keys.TAKEN_KEYS,
    )
    calc = {"isCalc": {"type": "boolean", "const": False, "description": "Nothing is calculated."}, "property": taken}
    properties = {
        "isFirstEvent": {"type": "boolean", "description": "The first event counts; false: the last."},
        "calcPropVo": js.object_of(calc, ("property",)),
    }
    return js.object_of(_rows() | properties, ("eventName", "isFirstEvent", "calcPropVo"))


def _quota_event() -> Schema:
    """A measure of each user's rows."""
    measure = _measure()
    properties = {"type": js.one_of((PLAIN_MEASURE,), "The only kind.")} | _rows() | measure["properties"]
    return measure | js.object_of(properties, ("eventName", "analysis"))


def _qp() -> Schema:
    root = js.object_of(
        {
            "events": js.list_of(js.ref("event"), "Event conditions: what users did.", maxItems=words.MAX_EVENTS),
            "event_relation": js.relation("Joins the event conditions."),
            "filts": js.list_of(js.ref(_filter_name("user", words.MAX_DEPTH)), "Filters on user properties."),
            "relation": js.relation("Joins the user filters."),
            "event_user_relation": js.relation("Joins the event side and the user side; an empty side is left out."),
        }
    )
    return root | {"anyOf": [js.nonempty("events"), js.nonempty("filts")]}


def _definitions() -> Schema:
    parts = {
        "event": _event(),
        "measure": _measure(),
        "eventFilter": _condition(words.TABLES_IN_EVENT),
        "userFilter": _condition(words.TABLES_AT_TOP),
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
    rows = _rows()
    own = {
        "comparator": js.one_of(NUMBER_COMPARATORS, "Compares the measure with num; greater and less are strict."),
        "num": js.string('A number as text; for range two, "low,high", both included.', maxLength=words.MAX_TEXT),
        "taPropQuota": js.ref("measure"),
    }
    branches = []
    for values in sorted({row.values for row in NUMBER_COMPARATORS.values()}):
        fitting = [row.word for row in NUMBER_COMPARATORS.values() if row.values == values]
        branches.append(js.when("comparator", fitting, {"properties": {"num": js.exact(",".join([NUMBER] * values))}}))
    properties = {"eventName": rows["eventName"]} | own | rows
    return js.object_of(properties, ("eventName", "comparator", "num", "taPropQuota")) | {"allOf": branches}


def _rows() -> Schema:
    """What says which rows of an event count."""
    return {
        "eventName": js.name(f"Exact name of an event; {words.ANY_EVENT} takes rows of every name."),
        "recentDay": js.exact(
            RECENT_DAY, 'Days back from today, "A-B": 1-7 the past seven days without today; 0-7 seven days with today.'
        ),
        "startTime": js.exact(TIME, "First moment, local time of the project; ignored beside recentDay."),
        "endTime": js.exact(TIME, "Last moment, included; midnight takes in that whole day."),
        "relation": js.relation("Joins filts."),
        "filts": js.list_of(js.ref(_filter_name("event", words.MAX_DEPTH)), "Only rows that pass these are measured."),
    }


def _measure() -> Schema:
    properties = {
        "analysis": js.one_of(MEASURES, "What is computed over one user's rows."),
        "quota": js.name("The event property that is measured."),
    }
    bare = [row.word for row in MEASURES.values() if not row.quota_types]
    without, needed = {"properties": {"quota": False}}, {"required": ["quota"]}
    return js.object_of(properties, ("analysis",)) | js.when("analysis", bare, without, needed)


def _condition(tables: tuple[str, ...]) -> Schema:
    """A filter that is no group; how many values it takes follows from the comparator."""
    rows = [row for row in COMPARATORS.values() if row.fits(tables)]
    near_event = [row.word for row in rows if row.in_event]
    text = js.string(maxLength=words.MAX_TEXT)
    properties = {
        "tableType": js.one_of(tables, "Whose property."),
        "columnName": js.name("Name of the property."),
        "comparator": js.one_of((row.word for row in rows), " ".join(_said(row) for row in rows)),
        "ftv": js.list_of(text, "Values as text; a missing property matches only isNull and arrayIsNull."),
    }
    branches = []
    for low, high in sorted({row.values for row in rows}):
        fitting = [row.word for row in rows if row.values == (low, high)]
        count = {"properties": {"ftv": {"minItems": low, "maxItems": high}}} | ({"required": ["ftv"]} if low else {})
        branches.append(js.when("comparator", fitting, count))
    if near_event:
        properties["timeUnit"] = js.one_of(TIME_UNITS, "Unit of the span around the event; a day is 24 hours.")
        branches.append(
            js.when("comparator", near_event, {"required": ["timeUnit"]}, {"properties": {"timeUnit": False}})
        )
    if "cluster" in tables:
        properties["specifiedClusterDate"] = js.exact(DAY, "Clusters and tags: the version of this local day.")
        membership = [row.word for row in rows if row.of_cluster]
        branches.append(js.when("comparator", membership, {"properties": {"tableType": {"const": "cluster"}}}))
        branches.append(js.when("tableType", ["cluster"], {}, {"properties": {"specifiedClusterDate": False}}))
    return js.object_of(properties, ("tableType", "columnName", "comparator")) | {"allOf": branches}


def _said(row: words.Comparator) -> str:
    """One word, the types it fits, and its number of values."""
    low, high = row.values
    count = str(low) if low == high else f"{low} or more"
    return f"{row.word}: {', '.join(sorted(row.types))}; {count} {'value' if count == '1' else 'values'}."


def _condition_or_group(side: str, depth: int) -> Schema:
    inner = js.list_of(js.ref(_filter_name(side, depth - 1)), "The parts of the group.", minItems=1)
    group = js.object_of(
        {"filterType": js.one_of((words.GROUP,), "A group."), "relation": js.relation("Joins filts."), "filts": inner},
        ("filterType", "filts"),
    )
    return {"if": {"required": ["filterType"]}, "then": group, "else": js.ref(_filter_name(side, 0))}


# --- the forms for tools -------------------------------------------------------------------------


def shown(depth: int = 2) -> Schema:
    """The language as a model reads it in one tool's input schema: inline, groups `depth` deep.

    Types stand where they help to write; exact shapes are left to the models, which accept tolerated
    forms and answer with problems that say more than a validator can.
    """
    relation = _plain(RELATIONS)
    return {
        "type": "object",
        "properties": {
            "events": {"type": "array", "items": _shown_event(depth)},
            "event_relation": relation,
            "filts": _shown_filters(words.TABLES_AT_TOP, depth),
            "relation": relation | {"description": "joins filts"},
            "event_user_relation": relation,
            SQL: {"type": "string", "description": 'or SELECT "#user_id" from v_event_<project>, v_user_<project>'},
            PARAMETERS: _PART | {"description": '{"d": "1-7"} for ${PartDate:d}'},
        },
    }


def _shown_event(depth: int) -> Schema:
    event_filters = _shown_filters(words.TABLES_IN_EVENT, depth)
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


def _shown_filters(tables: tuple[str, ...], depth: int) -> Schema:
    """A list of filters; the words and what they mean stand only at the outermost level."""
    properties = _shown_condition(tables)
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


def _shown_condition(tables: tuple[str, ...]) -> Schema:
    legal = [row.word for row in COMPARATORS.values() if row.fits(tables)]
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
    return {
        "type": "object",
        "description": "A definition as validate_definition describes it.",
        "properties": {
            "events": _PARTS,
            "event_relation": _plain(RELATIONS),
            "filts": _PARTS,
            "relation": _plain(RELATIONS),
            "event_user_relation": _plain(RELATIONS),
            **_SQL_PARTS,
        },
    }


def tag_keys() -> Schema:
    """A tag's definition in the schema of a tool that only passes it on: the three kinds."""
    kinds = {keys.VALUES: _PARTS, keys.FIRST_LAST: {"type": "object"}, keys.QUOTA: {"type": "object"}} | _SQL_PARTS
    return {
        "type": "object",
        "description": "A tag definition as validate_definition describes it.",
        "properties": kinds,
    }


def tag_outline() -> Schema:
    """A tag's definition in the schema of a tool: the three kinds and their keys, without the filters' own."""
    text = {"type": "string"}
    rows = {"eventName": text, "recentDay": text, "relation": _plain(RELATIONS), "filts": _PARTS}
    value = {"type": "object", "properties": {"tagValue": text, "userClusterDef": _PART | {"description": "a qp"}}}
    taken = {"type": "object", "properties": {"columnName": text, "tableType": _plain(words.TABLES_IN_EVENT)}}
    first_last = {
        "isFirstEvent": {"type": "boolean"},
        "calcPropVo": {"type": "object", "properties": {"property": taken}},
    }
    measured = {"analysis": _plain(MEASURES), "quota": text}
    return {
        "type": "object",
        "description": "Exactly one; windows and filts as in a qp, which validate_definition describes.",
        "properties": {
            keys.VALUES: {"type": "array", "items": value, "description": "in order; the first that fits wins"},
            keys.FIRST_LAST: _holding(keys.FIRST_LAST_EVENT, rows | first_last),
            keys.QUOTA: _holding(keys.QUOTA_EVENT, rows | measured),
            SQL: text,
        },
    }


def _holding(key: str, properties: Schema) -> Schema:
    return {"type": "object", "properties": {key: {"type": "object", "properties": properties}}}
