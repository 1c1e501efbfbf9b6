"""The exact form of the definition language as JSON Schema (2020-12): what the models accept, no more and no less.

The content of `tool_schemas/qp.json`, `tag_qp.json` and `sql.json`, made from `mcp_server/language/vocabulary.py`. A
test holds it to the models.
"""

from collections.abc import Iterable, Sequence

from mcp_server.language import vocabulary as words
from mcp_server.language.model import DAY, RECENT_DAY, TIME
from mcp_server.language.schema import EXAMPLE, TAG_EXAMPLES, Schema
from mcp_server.language.sql import LONGEST, PARAMETERS, SQL
from mcp_server.language.values import NUMBER
from mcp_server.language.vocabulary import (
    COMPARATORS,
    MAX_VALUES,
    MEASURES,
    NUMBER_COMPARATORS,
    PLAIN_MEASURE,
    TIME_UNITS,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"

SQL_EXAMPLE: Schema = {
    "sql": 'SELECT "#user_id" FROM v_event_1 WHERE ${PartDate:days} AND "$part_event" = \'consume_item\' '
    'GROUP BY "#user_id" HAVING count(*) > 4',
    "parameters": {"days": "1-7"},
}
"""The first half of `EXAMPLE` as SQL."""


def complete() -> Schema:
    """The strict form of a definition, whole: what it accepts the models accept, and the other way round."""
    head = {"$schema": DIALECT, "title": "qp", "description": "Which users belong to a cluster, in the strict form."}
    return head | _qp() | {"examples": [EXAMPLE], "$defs": _definitions()}


def complete_tag() -> Schema:
    """The strict form of a tag's definition, whole, as `complete` is for clusters: what `TagQp` accepts.

    That two values of a tag differ is not said here; it is checked with the meaning.
    """
    properties = {
        words.VALUES: list_of(
            ref("value"), "Custom values, tried in order: the first match wins.", maxItems=MAX_VALUES
        ),
        words.FIRST_LAST: object_of({words.FIRST_LAST_EVENT: ref("firstLastEvent")}, (words.FIRST_LAST_EVENT,)),
        words.QUOTA: object_of({words.QUOTA_EVENT: ref("quotaEvent")}, (words.QUOTA_EVENT,)),
    }
    one_kind = [nonempty(words.VALUES), {"required": [words.FIRST_LAST]}, {"required": [words.QUOTA]}]
    head = {"$schema": DIALECT, "title": "tagQp", "description": "Which value a tag gives a user, in the strict form."}
    parts = {"value": _tag_value(), "firstLastEvent": _first_last(), "quotaEvent": _quota_event(), "qp": _qp()}
    return (
        head
        | object_of(properties)
        | {"oneOf": one_kind, "examples": list(TAG_EXAMPLES), "$defs": parts | _definitions()}
    )


def complete_sql() -> Schema:
    """The strict form of SQL, of a cluster or of a tag, whole. What the text may hold is in docs/sql-clusters.md."""
    days = [exact(RECENT_DAY), {"type": "array", "items": exact(DAY), "minItems": 2, "maxItems": 2}]
    said = "The days of each ${PartDate:name} in the text: a recentDay, or the first and the last day."
    properties = {
        SQL: string('One SELECT: "#user_id", of a tag also the value.', minLength=1, maxLength=LONGEST),
        PARAMETERS: {"type": "object", "description": said, "additionalProperties": {"anyOf": days}},
    }
    head = {"$schema": DIALECT, "title": "sql", "description": "A cluster or a tag by SQL, in place of qp or tagQp."}
    return head | object_of(properties, (SQL,)) | {"examples": [SQL_EXAMPLE]}


def _tag_value() -> Schema:
    properties = {
        "tagValue": string("The value; no two are alike.", maxLength=words.MAX_TEXT),
        "tagRemark": string("A note; it changes nothing.", maxLength=words.MAX_TEXT),
        "userClusterDef": ref("qp"),
    }
    return object_of(properties, ("tagValue", "userClusterDef"))


def _first_last() -> Schema:
    """The value of a property in one event of each user."""
    taken = object_of(
        {
            "columnName": name("The property whose value is taken; not a list."),
            "tableType": one_of(words.TABLES_IN_EVENT, "Whose property."),
        },
        ("columnName", "tableType"),
    )
    calc = {"isCalc": {"type": "boolean", "const": False, "description": "Nothing is calculated."}, "property": taken}
    properties = {
        "isFirstEvent": {"type": "boolean", "description": "The first event counts; false: the last."},
        "calcPropVo": object_of(calc, ("property",)),
    }
    return object_of(_rows() | properties, ("eventName", "isFirstEvent", "calcPropVo"))


def _quota_event() -> Schema:
    """A measure of each user's rows."""
    measure = _measure()
    properties = {"type": one_of((PLAIN_MEASURE,), "The only kind.")} | _rows() | measure["properties"]
    return measure | object_of(properties, ("eventName", "analysis"))


def _qp() -> Schema:
    root = object_of(
        {
            "events": list_of(ref("event"), "Event conditions: what users did.", maxItems=words.MAX_EVENTS),
            "event_relation": relation("Joins the event conditions."),
            "filts": list_of(ref(_filter_name("user", words.MAX_DEPTH)), "Filters on user properties."),
            "relation": relation("Joins the user filters."),
            "event_user_relation": relation("Joins the event side and the user side; an empty side is left out."),
        }
    )
    return root | {"anyOf": [nonempty("events"), nonempty("filts")]}


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
        "comparator": one_of(NUMBER_COMPARATORS, "Compares the measure with num; greater and less are strict."),
        "num": string('A number as text; for range two, "low,high", both included.', maxLength=words.MAX_TEXT),
        "taPropQuota": ref("measure"),
    }
    branches = []
    for values in sorted({row.values for row in NUMBER_COMPARATORS.values()}):
        fitting = [row.word for row in NUMBER_COMPARATORS.values() if row.values == values]
        branches.append(when("comparator", fitting, {"properties": {"num": exact(",".join([NUMBER] * values))}}))
    properties = {"eventName": rows["eventName"]} | own | rows
    return object_of(properties, ("eventName", "comparator", "num", "taPropQuota")) | {"allOf": branches}


def _rows() -> Schema:
    """What says which rows of an event count."""
    return {
        "eventName": name(f"Exact name of an event; {words.ANY_EVENT} takes rows of every name."),
        "recentDay": exact(
            RECENT_DAY, 'Days back from today, "A-B": 1-7 the past seven days without today; 0-7 seven days with today.'
        ),
        "startTime": exact(TIME, "First moment, local time of the project; ignored beside recentDay."),
        "endTime": exact(TIME, "Last moment, included; midnight takes in that whole day."),
        "relation": relation("Joins filts."),
        "filts": list_of(ref(_filter_name("event", words.MAX_DEPTH)), "Only rows that pass these are measured."),
    }


def _measure() -> Schema:
    properties = {
        "analysis": one_of(MEASURES, "What is computed over one user's rows."),
        "quota": name("The event property that is measured."),
    }
    bare = [row.word for row in MEASURES.values() if not row.quota_types]
    without, needed = {"properties": {"quota": False}}, {"required": ["quota"]}
    return object_of(properties, ("analysis",)) | when("analysis", bare, without, needed)


def _condition(tables: tuple[str, ...]) -> Schema:
    """A filter that is no group; how many values it takes follows from the comparator."""
    rows = [row for row in COMPARATORS.values() if row.fits(tables)]
    near_event = [row.word for row in rows if row.in_event]
    text = string(maxLength=words.MAX_TEXT)
    properties = {
        "tableType": one_of(tables, "Whose property."),
        "columnName": name("Name of the property."),
        "comparator": one_of((row.word for row in rows), " ".join(_said(row) for row in rows)),
        "ftv": list_of(text, "Values as text; a missing property matches only isNull and arrayIsNull."),
    }
    branches = []
    for low, high in sorted({row.values for row in rows}):
        fitting = [row.word for row in rows if row.values == (low, high)]
        count = {"properties": {"ftv": {"minItems": low, "maxItems": high}}} | ({"required": ["ftv"]} if low else {})
        branches.append(when("comparator", fitting, count))
    if near_event:
        properties["timeUnit"] = one_of(TIME_UNITS, "Unit of the span around the event; a day is 24 hours.")
        branches.append(when("comparator", near_event, {"required": ["timeUnit"]}, {"properties": {"timeUnit": False}}))
    if "cluster" in tables:
        properties["specifiedClusterDate"] = exact(DAY, "Clusters and tags: the version of this local day.")
        membership = [row.word for row in rows if row.of_cluster]
        branches.append(when("comparator", membership, {"properties": {"tableType": {"const": "cluster"}}}))
        branches.append(when("tableType", ["cluster"], {}, {"properties": {"specifiedClusterDate": False}}))
    return object_of(properties, ("tableType", "columnName", "comparator")) | {"allOf": branches}


def _said(row: words.Comparator) -> str:
    """One word, the types it fits, and its number of values."""
    low, high = row.values
    count = str(low) if low == high else f"{low} or more"
    return f"{row.word}: {', '.join(sorted(row.types))}; {count} {'value' if count == '1' else 'values'}."


def _condition_or_group(side: str, depth: int) -> Schema:
    inner = list_of(ref(_filter_name(side, depth - 1)), "The parts of the group.", minItems=1)
    group = object_of(
        {"filterType": one_of((words.GROUP,), "A group."), "relation": relation("Joins filts."), "filts": inner},
        ("filterType", "filts"),
    )
    return {"if": {"required": ["filterType"]}, "then": group, "else": ref(_filter_name(side, 0))}


# Building blocks.


def object_of(properties: Schema, required: Iterable[str] = ()) -> Schema:
    """An object with these keys and no others."""
    needed = list(required)
    closed = {"type": "object", "properties": properties, "additionalProperties": False}
    return closed | ({"required": needed} if needed else {})


def list_of(items: Schema, description: str, **limits: int) -> Schema:
    """A list of parts of one kind."""
    return {"type": "array", "description": description, "items": items} | limits


def string(description: str = "", **limits: int) -> Schema:
    """Any text within limits."""
    return {"type": "string"} | ({"description": description} if description else {}) | limits


def name(description: str) -> Schema:
    """The name of something: a text that is not empty."""
    return string(description, minLength=1, maxLength=words.MAX_TEXT)


def one_of(values: Iterable[str], description: str) -> Schema:
    """One of the words of a table."""
    return {"type": "string", "description": description, "enum": list(values)}


def relation(description: str) -> Schema:
    """How parts are joined."""
    return one_of(words.RELATIONS, f"{description} Absent: and.")


def exact(pattern: str, description: str = "") -> Schema:
    """A text that matches as a whole.

    In Python `$` stands before a last line break too, in ECMA it does not; so line breaks are ruled out by
    a second pattern, which every validator reads alike.
    """
    return string(description) | {"pattern": f"^(?:{pattern})$", "not": {"pattern": "\\n"}}


def when(key: str, values: Sequence[str], then: Schema, otherwise: Schema | None = None) -> Schema:
    """What holds besides where a key has one of these values, and what otherwise."""
    rule = {"if": {"required": [key], "properties": {key: {"enum": list(values)}}}, "then": then}
    return rule | ({"else": otherwise} if otherwise else {})


def nonempty(key: str) -> Schema:
    """A list that is there and not empty."""
    return {"required": [key], "properties": {key: {"minItems": 1}}}


def ref(name: str) -> Schema:
    """A part that is defined once."""
    return {"$ref": f"#/$defs/{name}"}
