"""Problems of shape: what the strict models refuse, reported in the words of this project."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mcp_server.errors import Problem
from mcp_server.language import vocabulary as words
from mcp_server.language.metadata import Metadata, Property
from mcp_server.language.model import MAX_VALUES, PLAIN_MEASURE
from mcp_server.language.numbers import is_too_long
from mcp_server.language.problems import CODES, finding
from mcp_server.language.reading.document import Repaired
from mcp_server.language.reading.suggestions import (
    ANALYSES,
    AT_LEAST,
    AT_MOST,
    COMPARATORS,
    KEYS,
    RELATIONS,
    TABLES,
    UNITS,
    WindowFault,
    as_number,
    as_time,
    bound_fault,
    likely_number,
    likely_pair,
    likely_time,
    likely_window,
    meant,
    recent_fault,
)
from mcp_server.language.vocabulary import QP_KEYS, Keys, Path, bound_side, contains_side, legal_keys, tables_at
from mcp_server.text import NOTHING, Text, listed, same

# One refusal of the strict models, with what stands around it, as the messages about it need it.


class Fault(NamedTuple):
    """One refusal of the models, with what stands around it."""

    path: Path
    key: str
    node: Any
    """The object that holds `key`, as repaired."""
    got: Any
    sent: str
    """The pointer into the arguments as they were sent."""
    metadata: Metadata
    root: Keys
    """The keys of the definition itself."""


def quoted(value: object) -> object:
    """A value to show; nothing for what is not there."""
    return "" if value is None else value


TYPE_NAMES: Mapping[str, Text] = {
    "cluster": Text("cluster", "分群"),
    "string": Text("text", "文本"),
    "number": Text("number", "数值"),
    "bool": Text("yes/no", "布尔"),
    "time": Text("time", "时间"),
    "list": Text("list", "列表"),
}


def types_named(types: frozenset[Any]) -> Text:
    """The names of types, for a message."""
    return listed([TYPE_NAMES[t] for t in TYPE_NAMES if t in types]) if types else same("")


# Problems of shape of values: numbers, windows, and how many values there are, with what was probably meant.


ONE_VALUE = Text("exactly one value in ftv", "有 1 个值")


def ftv_count(f: Fault) -> Problem:
    row = words.COMPARATORS[f.node["comparator"]]
    low, high = row.values
    if high == 0:
        expected = Text("no value (ftv: [])", "为空（[]）")
    elif low == high:
        several = Text("exactly {n} values in ftv", "有 {n} 个值").format(n=low)
        expected = ONE_VALUE if low == 1 else several
    else:
        expected = Text("at least one value in ftv", "至少有 1 个值")
    given = f.got if isinstance(f.got, list) else []
    hint = "[]" if high == 0 else _two_of_one(f, row, given)
    return finding("ftv_count", f.sent, got=quoted(f.got), expected=expected, suggestion=hint, word=row.word,
                   count=len(given))  # fmt: skip


def _two_of_one(f: Fault, row: words.Comparator, given: list[Any]) -> str:
    """Both values where they were written as one: "1-7" as a window, "1~3" or two dates as a range."""
    if len(given) != 1 or not isinstance(given[0], str):
        return ""
    found = f.metadata.property(str(f.node.get("tableType")), str(f.node.get("columnName")))
    if row.test is words.Test.RECENT:
        pair = (given[0] if re.fullmatch("[0-9]{1,5}-[0-9]{1,5}", given[0]) else likely_window(given[0])).split("-")
    elif row.test is words.Test.BETWEEN and found:
        pair = likely_pair(given[0], as_time if found.type == "time" else as_number)
    else:
        pair = []
    return json.dumps(pair) if len(pair) == 2 else ""


ONE_NUMBER = Text("one number", "一个数")


def num_count(f: Fault) -> Problem:
    one = words.NUMBER_COMPARATORS[f.node["comparator"]].values == 1
    expected = ONE_NUMBER if one else Text('two numbers, "low,high"', "两个数“下限,上限”")
    return finding("num_count", f.sent, got=quoted(f.got), expected=expected, word=f.node["comparator"])


def num_invalid(f: Fault) -> Problem:
    if isinstance(f.got, str) and is_too_long(f.got):
        return finding("num_too_long", f.sent, got=f.got)
    return finding("num_invalid", f.sent, got=quoted(f.got), suggestion=likely_num(f.got, f.node))


def likely_num(got: object, node: object) -> str:
    """The number, or of a range the two, that `num` was probably meant to be."""
    if not isinstance(got, str):
        return ""
    word = node.get("comparator") if isinstance(node, Mapping) else None
    pair = likely_pair(got, as_number) if word == "range" else []
    return ",".join(pair) or likely_number(got)


def window_invalid(f: Fault) -> Problem:
    text = as_window(f.got)
    at_all = recent_fault(text, f.metadata.today) if f.key == "recentDay" else bound_fault(f.key, text)
    fault = at_all or WindowFault(NOTHING)  # never: what the models refuse is no window
    return finding("window_invalid", f.sent, got=quoted(f.got), suggestion=fault.suggestion, why=fault.why)


def as_window(got: object) -> str:
    """What was sent as a window, as text: `[1, 7]` as "1,7", the values of an object with a dash between them."""
    if isinstance(got, list):
        return ",".join(map(str, got[:3]))
    if isinstance(got, Mapping):
        return " - ".join(str(value)[:50] for value in list(got.values())[:3])
    return got if isinstance(got, str) else ""


# Problems of shape: what the strict models refuse, said in the house's words.
#
# Each pydantic error becomes one problem with our code, the legal keys or words at that place, and the nearest one as
# a suggestion.


_CODE_OF = {
    "missing": "key_missing",
    "extra_forbidden": "key_unknown",
    "string_type": "type_wrong",
    "tuple_type": "type_wrong",
    "bool_type": "type_wrong",
    "model_type": "type_wrong",
    "model_attributes_type": "type_wrong",
    "string_too_short": "name_empty",
    "string_too_long": "definition_too_large",
    "too_long": "definition_too_large",
    "string_unicode": "text_invalid",
}
_EXPECTED_TYPE = {
    "string_type": Text("text", "文本"),
    "tuple_type": Text("a list", "列表"),
    "bool_type": Text("true or false", " true 或 false"),
}
_OBJECT = Text("an object", "对象")
_WORDS = {
    "relation": tuple(words.RELATIONS),
    "event_relation": tuple(words.RELATIONS),
    "event_user_relation": tuple(words.RELATIONS),
    "analysis": tuple(words.MEASURES),
    "timeUnit": tuple(words.TIME_UNITS),
    "filterType": (words.GROUP,),
    "type": (PLAIN_MEASURE,),
}


def shape_problems(
    error: ValidationError, done: Repaired, metadata: Metadata, root: Keys = QP_KEYS, *, all_of_them: bool = False
) -> Iterator[Problem]:
    """The shape problems of one definition, whose own keys are `root`.

    A word that is only unknown because of another fault is left out, unless `all_of_them` are asked for.
    """
    for detail in error.errors(include_url=False):
        problem = _problem(detail, done, metadata, root)
        if problem or all_of_them:
            yield problem or finding("comparator_unknown", done.as_sent(tuple(detail["loc"])))


def _problem(detail: ErrorDetails, done: Repaired, metadata: Metadata, root: Keys) -> Problem | None:
    """The problem of one refusal; None where another one says it."""
    code = _CODE_OF.get(detail["type"], detail["type"])
    at = detail.get("ctx", {}).get("at", "")
    path: Path = (*detail["loc"], at) if at else tuple(detail["loc"])
    node = _node(done.value, path[:-1])
    got = _node(done.value, path)
    sent = done.as_sent(path)
    key = str(path[-1]) if path else ""
    if code == "type_wrong" and got is None and "ftv" in path:
        return finding("ftv_null", sent, got="null", suggestion="isNull")
    if code == "type_wrong" and key in ("recentDay", "startTime", "endTime"):
        code = "window_invalid"
    if code not in CODES:
        return finding("type_wrong", sent, got=quoted(got), expected=_OBJECT)
    make = _SPECIAL.get(code)
    if make:
        return make(Fault(path, key, node, got, sent, metadata, root))
    if key == "num" and isinstance(got, list) and len(got) == 1:
        return finding(code, sent, got=got, expected=_EXPECTED_TYPE["string_type"], suggestion=as_number(str(got[0])))
    expected: object = _EXPECTED_TYPE.get(detail["type"], _OBJECT) if code == "type_wrong" else ""
    if key in _WORDS and code.endswith("_unknown"):
        expected = listed(_WORDS[key])
    return finding(code, sent, got=quoted(got), expected=expected, suggestion=_hint(code, key, got))


def _hint(code: str, key: str, got: Any) -> str:
    """What to write in place of a wrong word, or of a measure that is a bare word."""
    if code == "tag_calculation":
        return "false"
    if not isinstance(got, str):
        return ""
    if code == "cluster_date_invalid":
        return likely_time(got)[:10]
    if key == "taPropQuota" and got.upper() in words.MEASURES:
        return json.dumps({"analysis": got.upper()})
    if not code.endswith("_unknown"):
        return ""
    legal = _WORDS.get(key, ())
    table = {"relation_unknown": RELATIONS, "time_unit_unknown": UNITS}.get(code, {})
    return legal[0] if len(legal) == 1 else meant(got, table, legal)


def _node(value: Any, path: Path) -> Any:
    """What stands at a path of the repaired definition; None where nothing does."""
    for step in path:
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def _key_unknown(f: Fault) -> Problem:
    legal, node = legal_keys(f.path[:-1], f.root), f.node if isinstance(f.node, Mapping) else {}
    free = [k for k in legal if k not in node or (k == "taPropQuota" and node[k] == _COUNTED)]
    hint = meant(f.key, KEYS, free)
    if hint == "recentDay" and "startTime" in free and not likely_window(as_window(f.got)):
        hint = "startTime" if isinstance(f.got, Mapping) else hint
    return finding("key_unknown", f.sent, got=f.key, expected=listed(legal), suggestion=hint)


_COUNTED = {"analysis": "TIMES"}
"""Stands where no measure was sent, and perhaps only because its key was misspelt."""


def _key_missing(f: Fault) -> Problem:
    suggestion = ""
    if f.key == "tableType" and isinstance(f.node, Mapping):
        holding = [t for t in tables_at(f.path) if f.metadata.property(t, str(f.node.get("columnName", "")))]
        suggestion = holding[0] if len(holding) == 1 else ""
    return finding("key_missing", f.sent, expected=f.key, suggestion=suggestion)


def _too_large(f: Fault) -> Problem:
    limits = {
        "events": Text("{n} event conditions", "{n} 个事件条件").format(n=words.MAX_EVENTS),
        "ftv": Text("{n} values", "{n} 个值").format(n=words.MANY),
        "filts": Text("{n} levels of groups", "{n} 层嵌套组").format(n=words.MAX_DEPTH),
        "userTagValueDefs": Text("{n} values of a tag", "{n} 个标签值").format(n=MAX_VALUES),
    }
    text = Text("{n} characters", "{n} 个字符").format(n=words.MAX_TEXT)
    return finding("definition_too_large", f.sent, got="", limit=limits.get(f.key, text))


def _comparator_unknown(f: Fault) -> Problem | None:
    """A word that does not exist; or one that would be read, were there not something else wrong, which alone is told."""
    bound, contains = bound_side(f.got), contains_side(f.got)
    if not bound and not contains:
        return _no_such_comparator(f)
    if "filts" not in f.path:
        return None if bound else _no_such_comparator(f)  # the number or the measure is at fault
    node = f.node if isinstance(f.node, Mapping) else {}
    found = f.metadata.property(str(node.get("tableType")), str(node.get("columnName")))
    if found is None:
        return _part_at_fault(f, node)
    if contains or found.type not in ("number", "time"):
        return _not_for_type(f, found)
    ftv = node.get("ftv", [])
    if not isinstance(ftv, list) or len(ftv) == 1:
        return None
    return finding(
        "ftv_count", f.sent.rpartition("/")[0] + "/ftv", got=ftv, expected=ONE_VALUE, word=f.got, count=len(ftv)
    )


def _part_at_fault(f: Fault, node: Mapping[str, Any]) -> Problem | None:
    """What hides the property that a condition is about; None where that is told elsewhere (a name that is unknown)."""
    for key in ("tableType", "columnName"):
        here = f._replace(
            path=(*f.path[:-1], key), key=key, got=node.get(key), sent=f"{f.sent.rpartition('/')[0]}/{key}"
        )
        if key not in node:
            return _key_missing(here)
        if key == "tableType" and isinstance(here.got, str) and here.got not in tables_at(f.path):
            return _table_unknown(here)
    return None


def _not_for_type(f: Fault, found: Property) -> Problem:
    legal = listed(comparators_at(f.path[:-1], f.node, f.metadata))
    hint = _CONTAINS_ON.get(found.type, ("", ""))[contains_side(f.got) == "none"] if contains_side(f.got) else ""
    return finding("comparator_not_for_type", f.sent, got=f.got, expected=legal, suggestion=hint,
                   word=f.got, name=found.name, type=TYPE_NAMES[found.type])  # fmt: skip


_CONTAINS_ON = {"number": ("equal", "notEqual"), "time": ("equal", "notEqual"), "bool": ("isTrue", "isFalse")}
"""What comes nearest to "contains" where nothing is contained: (positive, negated)."""


def _no_such_comparator(f: Fault) -> Problem:
    legal = list(comparators_at(f.path[:-1], f.node, f.metadata))
    return finding(
        "comparator_unknown",
        f.sent,
        got=quoted(f.got),
        expected=listed(legal),
        suggestion=meant(str(f.got), COMPARATORS, [*legal, *_bounds_at(f)]),
    )


def _bounds_at(f: Fault) -> tuple[str, ...]:
    """The words for at least and at most, where they are read."""
    if "filts" not in f.path:
        return (AT_LEAST, AT_MOST)
    found = (
        f.metadata.property(str(f.node.get("tableType")), str(f.node.get("columnName")))
        if isinstance(f.node, Mapping)
        else None
    )
    return (AT_LEAST, AT_MOST) if found and found.type in ("number", "time") else ()


def comparators_at(path: Path, node: Any, metadata: Metadata) -> Iterator[str]:
    """The comparators that are legal for the condition at a path, narrowed by the property's type where it is known."""
    if "filts" not in path:
        yield from words.NUMBER_COMPARATORS
        return
    found = (
        metadata.property(str(node.get("tableType")), str(node.get("columnName")))
        if isinstance(node, Mapping)
        else None
    )
    tables = tables_at(path)
    for row in words.COMPARATORS.values():
        if (found is None or found.type in row.types) and row.fits(tables):
            yield row.word


def _analysis_unknown(f: Fault) -> Problem:
    population = isinstance(f.got, str) and f.got.strip().upper() in words.POPULATION_MEASURES
    code = "analysis_not_per_user" if population else "analysis_unknown"
    hint = "TIMES" if population else meant(str(f.got), ANALYSES, words.MEASURES)
    return finding(code, f.sent, got=quoted(f.got), expected=listed(words.MEASURES), suggestion=hint)


def _group_mixed(f: Fault) -> Problem:
    """Parts of a condition and of a group in one; a group that only lacks its mark is told so."""
    node = f.node if isinstance(f.node, Mapping) else {}
    if "filts" in node and not {"filterType", "columnName", "comparator"} & set(node):
        at = f.sent.rpartition("/")[0] + "/filterType"
        return finding("key_missing", at, expected="filterType", suggestion=words.GROUP)
    return finding("group_mixed", f.sent, got=quoted(f.got))


def _only_of_cluster(f: Fault) -> Problem:
    """What has to change is the table, not the comparator."""
    at = f.sent.rpartition("/")[0] + "/tableType"
    got = f.node.get("tableType", "") if isinstance(f.node, Mapping) else ""
    return finding("comparator_only_of_cluster", at, got=got, expected="cluster", suggestion="cluster")


def _quota_missing(f: Fault) -> Problem:
    word = f.got.get("analysis", "") if isinstance(f.got, Mapping) else ""
    return finding("quota_missing", f.sent + "/quota", expected="quota", word=word)


def _table_unknown(f: Fault) -> Problem:
    tables = tables_at(f.path)
    said = meant(str(f.got), TABLES, tuple(words.TABLES))
    if said == "event" and "event" not in tables:
        name = f.node.get("columnName", "") if isinstance(f.node, Mapping) else ""
        return finding("property_of_events", f.sent, got=quoted(f.got), name=name)
    if said == "cluster" and {"events", "filts"} <= set(f.path):
        return finding("cluster_in_event", f.sent, got=quoted(f.got), expected=" / ".join(tables))
    name = str(f.node.get("columnName", "")) if isinstance(f.node, Mapping) else ""
    holding = [t for t in tables if f.metadata.property(t, name)]
    hint = (
        holding[0]
        if len(holding) == 1
        else ""
        if said in words.TABLES and said not in tables
        else meant(str(f.got), TABLES, tables)
    )
    return finding("table_unknown", f.sent, got=quoted(f.got), expected=" / ".join(tables), suggestion=hint)


_SPECIAL = {
    "key_unknown": _key_unknown,
    "key_missing": _key_missing,
    "definition_too_large": _too_large,
    "comparator_unknown": _comparator_unknown,
    "analysis_unknown": _analysis_unknown,
    "ftv_count": ftv_count,
    "group_mixed": _group_mixed,
    "comparator_only_of_cluster": _only_of_cluster,
    "num_count": num_count,
    "num_invalid": num_invalid,
    "quota_missing": _quota_missing,
    "table_unknown": _table_unknown,
    "window_invalid": window_invalid,
}
