"""Problems of shape: what the strict models refuse, each with our code and words, the legal words there and a suggestion."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mcp_server.errors import Problem
from mcp_server.language import vocabulary as words
from mcp_server.language.metadata import Metadata, Property, ValueType
from mcp_server.language.model import Filter, StrictModel, TakenProperty, keys_of, part_at
from mcp_server.language.problems import CODES, finding
from mcp_server.language.reading.document import LEVELS_LIMIT, LIST_LIMITS, TEXT_LIMIT, VALUES_LIMIT, Repaired
from mcp_server.language.reading.suggestions import (
    ANALYSES,
    COMPARATORS,
    KEYS,
    RELATIONS,
    TABLES,
    UNITS,
    WindowFault,
    bound_fault,
    number_or_suggestion,
    recent_fault,
    split_pair,
    suggest_number,
    suggest_time,
    suggest_window,
    suggest_word,
    time_or_suggestion,
)
from mcp_server.language.values import is_too_long
from mcp_server.language.vocabulary import AT_LEAST, AT_MOST, Path, bound_side, contains_side
from mcp_server.text import NOTHING, Text, listed, same


class Fault(NamedTuple):
    """One refusal of the models, with what is around it."""

    path: Path
    key: str
    node: Mapping[str, Any]
    """The object that holds `key`, as repaired; empty where that is no object."""
    got: Any
    at: str
    """The pointer into the arguments as they were sent."""
    metadata: Metadata
    part: type[StrictModel]
    """The model that refused it, or whose part did."""

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that a property may belong to here."""
        return self.part.tables if issubclass(self.part, Filter | TakenProperty) else words.TABLES_AT_TOP

    @property
    def property(self) -> Property | None:
        """The property that the condition is about."""
        return self.metadata.property(str(self.node.get("tableType")), str(self.node.get("columnName")))

    def beside(self, key: str) -> str:
        """The pointer to another key of the same object."""
        return f"{self.at.rpartition('/')[0]}/{key}"


TYPE_NAMES: Mapping[ValueType, Text] = {
    "cluster": Text("cluster", "分群"),
    "string": Text("text", "文本"),
    "number": Text("number", "数值"),
    "bool": Text("yes/no", "布尔"),
    "time": Text("time", "时间"),
    "list": Text("list", "列表"),
}


def types_named(types: frozenset[ValueType]) -> Text:
    """The names of types, for a message."""
    return listed([name for kind, name in TYPE_NAMES.items() if kind in types]) if types else same("")


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
    "type": (words.PLAIN_MEASURE,),
}


def shape_problems(
    error: ValidationError, done: Repaired, metadata: Metadata, model: type[StrictModel], *, every: bool = False
) -> Iterator[Problem]:
    """The shape problems of one definition of this model.

    A word that is unknown only because of another fault is left out, unless `every` one is asked for.
    """
    for detail in error.errors(include_url=False):
        problem = _problem(detail, done, metadata, model)
        if problem or every:
            yield problem or finding("comparator_unknown", done.pointer_to(tuple(detail["loc"])))


def _problem(detail: ErrorDetails, done: Repaired, metadata: Metadata, model: type[StrictModel]) -> Problem | None:
    """The problem of one refusal; None where another one reports it."""
    code = _CODE_OF.get(detail["type"], detail["type"])
    below = detail.get("ctx", {}).get("at", "")
    path: Path = (*detail["loc"], below) if below else tuple(detail["loc"])
    node, got = _node(done.value, path[:-1]), _node(done.value, path)
    at = done.pointer_to(path)
    key = str(path[-1]) if path else ""
    if code == "type_wrong" and got is None and "ftv" in path:
        return finding("ftv_null", at, got="null")
    if code == "type_wrong" and key in ("recentDay", "startTime", "endTime"):
        code = "window_invalid"
    if code not in CODES:
        return finding("type_wrong", at, got=_shown(got), expected=_OBJECT)
    make = _SPECIAL.get(code)
    if make:
        holder = node if isinstance(node, Mapping) else {}
        return make(Fault(path, key, holder, got, at, metadata, part_at(model, path[:-1])))
    if key == "num" and isinstance(got, list) and len(got) == 1:
        hint = number_or_suggestion(str(got[0]))
        return finding(code, at, got=got, expected=_EXPECTED_TYPE["string_type"], suggestion=hint)
    expected: object = _EXPECTED_TYPE.get(detail["type"], _OBJECT) if code == "type_wrong" else ""
    if key in _WORDS and code.endswith("_unknown"):
        expected = listed(_WORDS[key])
    return finding(code, at, got=_shown(got), expected=expected, suggestion=_hint(code, key, got))


def _shown(value: object) -> object:
    """A value to show; nothing where there is none."""
    return "" if value is None else value


def _hint(code: str, key: str, got: Any) -> str:
    """What to write in place of a wrong word, or of a measure that is a bare word."""
    if code == "tag_calculation":
        return "false"
    if not isinstance(got, str):
        return ""
    if code == "cluster_date_invalid":
        return suggest_time(got)[:10]
    if key == "taPropQuota" and got.upper() in words.MEASURES:
        return json.dumps({"analysis": got.upper()})
    if not code.endswith("_unknown"):
        return ""
    legal = _WORDS.get(key, ())
    table = {"relation_unknown": RELATIONS, "time_unit_unknown": UNITS}.get(code, {})
    return legal[0] if len(legal) == 1 else suggest_word(got, table, legal)


def _node(value: Any, path: Path) -> Any:
    """The value at a path of the repaired definition; None where there is none."""
    for step in path:
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


# Keys and sizes


def _key_unknown(f: Fault) -> Problem:
    legal = keys_of(f.part)
    free = [k for k in legal if k not in f.node or (k == "taPropQuota" and f.node[k] == _COUNTED)]
    hint = suggest_word(f.key, KEYS, free)
    if (
        hint == "recentDay"
        and "startTime" in free
        and isinstance(f.got, Mapping)
        and not suggest_window(_window(f.got))
    ):
        hint = "startTime"
    return finding("key_unknown", f.at, got=f.key, expected=listed(legal), suggestion=hint)


_COUNTED = {"analysis": "TIMES"}
"""The measure that a repair puts where there is none, perhaps only because its key was misspelt."""


_UNITS = Text(" It says what the number counts: {units}.", "它说明数字的单位：{units}。")


def _key_missing(f: Fault) -> Problem:
    suggestion = ""
    if f.key == "tableType":
        holding = [t for t in f.tables if f.metadata.property(t, str(f.node.get("columnName", "")))]
        suggestion = holding[0] if len(holding) == 1 else ""
    hint = _UNITS.format(units=listed(words.TIME_UNITS)) if f.key == "timeUnit" else NOTHING
    return finding("key_missing", f.at, expected=f.key, suggestion=suggestion, hint=hint)


def _too_large(f: Fault) -> Problem:
    limits = {**LIST_LIMITS, "ftv": VALUES_LIMIT, "filts": LEVELS_LIMIT}
    return finding("definition_too_large", f.at, got="", limit=limits.get(f.key, TEXT_LIMIT))


def _group_mixed(f: Fault) -> Problem:
    """Parts of a condition and of a group in one; for a group that only lacks its mark, the missing key."""
    if "filts" in f.node and not {"filterType", "columnName", "comparator"} & set(f.node):
        return finding(
            "key_missing", f.beside("filterType"), expected="filterType", suggestion=words.GROUP, hint=NOTHING
        )
    return finding("group_mixed", f.at, got=_shown(f.got))


# Words


def _comparator_unknown(f: Fault) -> Problem | None:
    """A word that does not exist; of one that would be read but for another fault, only that fault."""
    bound, contains = bound_side(f.got), contains_side(f.got)
    if not bound and not contains:
        return _no_such_comparator(f)
    if not issubclass(f.part, Filter):
        return None if bound else _no_such_comparator(f)  # the number or the measure is at fault
    known = f.property
    if known is None:
        return _part_at_fault(f)
    if contains or known.type not in ("number", "time"):
        hint = _CONTAINS_ON.get(known.type, ("", ""))[contains == "none"] if contains else ""
        return finding("comparator_not_for_type", f.at, got=f.got, expected=listed(_comparators(f)), suggestion=hint,
                       word=f.got, name=known.name, type=TYPE_NAMES[known.type])  # fmt: skip
    ftv = f.node.get("ftv", [])
    if not isinstance(ftv, list) or len(ftv) == 1:
        return None
    return finding("ftv_count", f.beside("ftv"), got=ftv, expected=_ONE_VALUE, word=f.got, count=len(ftv))


_CONTAINS_ON = {"number": ("equal", "notEqual"), "time": ("equal", "notEqual"), "bool": ("isTrue", "isFalse")}
"""What comes nearest to "contains" where nothing is contained: (positive, negated)."""


def _part_at_fault(f: Fault) -> Problem | None:
    """What hides the property that a condition is about; None where another problem reports it (an unknown name)."""
    for key in ("tableType", "columnName"):
        other = f._replace(path=(*f.path[:-1], key), key=key, got=f.node.get(key), at=f.beside(key))
        if key not in f.node:
            return _key_missing(other)
        if key == "tableType" and isinstance(other.got, str) and other.got not in f.tables:
            return _table_unknown(other)
    return None


def _no_such_comparator(f: Fault) -> Problem:
    legal = _comparators(f)
    known = f.property if issubclass(f.part, Filter) else None
    bounds = not issubclass(f.part, Filter) or (known is not None and known.type in ("number", "time"))
    read = [*legal, AT_LEAST[0], AT_MOST[0]] if bounds else legal
    hint = suggest_word(str(f.got), COMPARATORS, read)
    return finding("comparator_unknown", f.at, got=_shown(f.got), expected=listed(legal), suggestion=hint)


def _comparators(f: Fault) -> list[str]:
    """The comparators that are legal here, narrowed by the property's type where it is known."""
    if not issubclass(f.part, Filter):
        return list(words.NUMBER_COMPARATORS)
    known = f.property
    return [
        row.word
        for row in words.COMPARATORS.values()
        if (known is None or known.type in row.types) and row.fits(f.tables)
    ]


def _only_of_cluster(f: Fault) -> Problem:
    """What has to change is the table, not the comparator."""
    at, got = f.beside("tableType"), f.node.get("tableType", "")
    return finding("comparator_only_of_cluster", at, got=got, expected="cluster", suggestion="cluster")


def _analysis_unknown(f: Fault) -> Problem:
    population = isinstance(f.got, str) and f.got.strip().upper() in words.POPULATION_MEASURES
    code = "analysis_not_per_user" if population else "analysis_unknown"
    hint = "TIMES" if population else suggest_word(str(f.got), ANALYSES, words.MEASURES)
    return finding(code, f.at, got=_shown(f.got), expected=listed(words.MEASURES), suggestion=hint)


def _quota_missing(f: Fault) -> Problem:
    word = f.got.get("analysis", "") if isinstance(f.got, Mapping) else ""
    return finding("quota_missing", f.at + "/quota", expected="quota", word=word)


def _table_unknown(f: Fault) -> Problem:
    table = suggest_word(str(f.got), TABLES, tuple(words.TABLES))
    name, expected = str(f.node.get("columnName", "")), " / ".join(f.tables)
    if table == "event" and "event" not in f.tables:
        return finding("property_of_events", f.at, got=_shown(f.got), name=f.node.get("columnName", ""))
    if table == "cluster" and {"events", "filts"} <= set(f.path):
        return finding("cluster_in_event", f.at, got=_shown(f.got), expected=expected)
    holding = [t for t in f.tables if f.metadata.property(t, name)]
    if len(holding) == 1:
        hint = holding[0]
    elif table in words.TABLES and table not in f.tables:
        hint = ""
    else:
        hint = suggest_word(str(f.got), TABLES, f.tables)
    return finding("table_unknown", f.at, got=_shown(f.got), expected=expected, suggestion=hint)


# Values, numbers and windows

_ONE_VALUE = Text("exactly one value in ftv", "有 1 个值")
ONE_NUMBER = Text("one number", "一个数")


def _ftv_count(f: Fault) -> Problem:
    row = words.COMPARATORS[f.node["comparator"]]
    low, high = row.values
    if high == 0:
        expected = Text("no value (ftv: [])", "为空（[]）")
    elif low == high:
        several = Text("exactly {n} values in ftv", "有 {n} 个值").format(n=low)
        expected = _ONE_VALUE if low == 1 else several
    else:
        expected = Text("at least one value in ftv", "至少有 1 个值")
    given = f.got if isinstance(f.got, list) else []
    hint = "[]" if high == 0 else _two_of_one(f, row, given)
    return finding("ftv_count", f.at, got=_shown(f.got), expected=expected, suggestion=hint, word=row.word,
                   count=len(given))  # fmt: skip


def _two_of_one(f: Fault, row: words.Comparator, given: list[Any]) -> str:
    """Both values where they were written as one: "1-7" as a window, "1~3" or two dates as a range."""
    if len(given) != 1 or not isinstance(given[0], str):
        return ""
    known, pair = f.property, []
    if row.test is words.Test.RECENT:
        pair = (given[0] if re.fullmatch("[0-9]{1,5}-[0-9]{1,5}", given[0]) else suggest_window(given[0])).split("-")
    elif row.test is words.Test.BETWEEN and known:
        pair = split_pair(given[0], time_or_suggestion if known.type == "time" else number_or_suggestion)
    return json.dumps(pair) if len(pair) == 2 else ""


def _num_count(f: Fault) -> Problem:
    row = words.NUMBER_COMPARATORS[f.node["comparator"]]
    expected = ONE_NUMBER if row.values == 1 else Text('two numbers, "low,high"', "两个数“下限,上限”")
    return finding("num_count", f.at, got=_shown(f.got), expected=expected, word=row.word)


def _num_invalid(f: Fault) -> Problem:
    if isinstance(f.got, str) and is_too_long(f.got):
        return finding("num_too_long", f.at, got=f.got)
    return finding("num_invalid", f.at, got=_shown(f.got), suggestion=suggest_num(f.got, f.node.get("comparator")))


def suggest_num(got: object, comparator: object) -> str:
    """The number, or of a range the two, that `num` was probably meant to be; "" where that would be a guess."""
    if not isinstance(got, str):
        return ""
    pair = split_pair(got, number_or_suggestion) if comparator == "range" else []
    return ",".join(pair) or suggest_number(got)


def _window_invalid(f: Fault) -> Problem:
    text = _window(f.got)
    fault = recent_fault(text, f.metadata.today) if f.key == "recentDay" else bound_fault(f.key, text)
    fault = fault or WindowFault(NOTHING)  # never: what the models refuse is no window
    return finding("window_invalid", f.at, got=_shown(f.got), suggestion=fault.suggestion, why=fault.why)


def _window(got: object) -> str:
    """What was sent as a window, as text: `[1, 7]` as "1,7", the values of an object with a dash between them."""
    if isinstance(got, list):
        return ",".join(map(str, got[:3]))
    if isinstance(got, Mapping):
        return " - ".join(str(value)[:50] for value in list(got.values())[:3])
    return got if isinstance(got, str) else ""


_SPECIAL = {
    "key_unknown": _key_unknown,
    "key_missing": _key_missing,
    "definition_too_large": _too_large,
    "comparator_unknown": _comparator_unknown,
    "analysis_unknown": _analysis_unknown,
    "ftv_count": _ftv_count,
    "group_mixed": _group_mixed,
    "comparator_only_of_cluster": _only_of_cluster,
    "num_count": _num_count,
    "num_invalid": _num_invalid,
    "quota_missing": _quota_missing,
    "table_unknown": _table_unknown,
    "window_invalid": _window_invalid,
}
