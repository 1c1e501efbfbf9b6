"""Tolerant reading: what people and models write, rewritten into the documented form (qp.md sections 1 and 5).

Every change is reported and none changes the meaning. What cannot be read in exactly one way is left as it is, and
`check.py` reports it as a problem. Some words depend on a property's type (`contains`, `gte`, times with an offset), so
the project's metadata is read here too.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from mcp_server.language import vocabulary as words
from mcp_server.language.metadata import Metadata, Property
from mcp_server.language.model import (
    CalcProp,
    EventCondition,
    EventFilter,
    FirstLast,
    FirstLastEvent,
    Keys,
    Measure,
    Qp,
    Quota,
    QuotaEvent,
    StrictModel,
    TagQp,
    TagValue,
    TakenProperty,
    keys_of,
)
from mcp_server.language.reading.document import (
    ABSENT,
    MAX_NESTING,
    Place,
    Repaired,
    as_wire_text,
    from_json,
    is_absent,
    oversized,
    too_deep,
)
from mcp_server.language.sql import SQL_KEYS
from mcp_server.language.values import parse_number, parse_time, plain, show_time, to_project_time
from mcp_server.language.vocabulary import Path, bound_side, contains_side, synonyms_of
from mcp_server.text import Text

OPTIONAL = frozenset({"event_relation", "relation", "event_user_relation", "recentDay", "startTime", "endTime", "quota",
                       "timeUnit", "filterType", "specifiedClusterDate"})  # fmt: skip
_AS_TEXT = Text("values are text on the wire", "线上格式中的值一律为文本")
_AS_LIST = Text("a list is expected here", "此处应为列表")
_AS_JSON = Text("was JSON sent as text", "原为文本形式的 JSON")
_SPELLING = Text("the documented spelling", "按文档写法")
_SYNONYM = Text("the documented word with the same meaning", "同义词，改用文档中的词")
_BLANKS = Text("blanks around it removed", "去掉了首尾空白")
_DISPLAY = Text("only for display; dropped", "仅用于展示，已略去")
EMPTY_KEY = Text("an empty optional key is absent", "可选项为空，视为未填")
_COUNTED = Text("without a measure, the number of times counts", "未写指标，按次数统计")
_LOCAL = Text("in the project's local time", "换算为项目当地时间")
_BOUND = Text("the vendor has no at-least or at-most; same meaning", "平台没有“大于等于/小于等于”，改为等价写法")
_BY_TYPE = Text("the word for this type of property; same meaning", "按属性类型改为等价写法")
_ONLY_TABLE = Text("left out; the only table with a property of this name", "未填，补上唯一有该属性的表")
_ONE_TEXT = Text('two numbers are written "low,high"', "两个数写成“下限,上限”")
_AS_BOOL = Text("true or false is expected here", "此处应为 true 或 false")
_NO_PARTS = Text("nothing is in it", "其中没有内容")
_DEFAULT = Text("left out; this is the only legal value", "未填，补上唯一可用的值")


def repair(raw: object, metadata: Metadata, root: Path = ()) -> Repaired:
    """Rewrite a definition as it was sent into the documented form, as far as it can be read."""
    repairer = _Repairer(Repaired(moved={(): root}), metadata)
    repairer.done.value = repairer.qp(raw, Place((), root))
    return repairer.done


def repair_tag(raw: object, metadata: Metadata, root: Path = ()) -> Repaired:
    """Rewrite a tag's definition, as `repair` does a cluster's."""
    repairer = _TagRepairer(Repaired(moved={(): root}), metadata)
    repairer.done.value = repairer.tag(raw, Place((), root))
    return repairer.done


class _Part(NamedTuple):
    """An object with its keys in the documented spelling, and the place of each."""

    value: dict[str, Any]
    places: dict[str, Place]


class _Repairer:
    """One walk over one definition. A method per kind of part; each returns the rewritten part."""

    optional = OPTIONAL
    """Keys that are absent where they are empty."""

    def __init__(self, done: Repaired, metadata: Metadata) -> None:
        self.done = done
        self.metadata = metadata

    def qp(self, raw: object, place: Place) -> object:
        part = self._part(raw, place, Qp)
        if part is None:
            return raw
        for key in ("event_relation", "relation", "event_user_relation"):
            self._word(part, key, words.RELATIONS)
        self._each(part, "events", self._event)
        self._each(part, "filts", self._filter)
        return part.value

    def _event(self, raw: object, place: Place) -> object:
        part = self._part(raw, place, EventCondition)
        if part is None:
            return raw
        self._rows(part)
        self._measure(part, place)
        self._num(part)
        self._word(part, "comparator", words.NUMBER_COMPARATORS, synonyms_of(words.NUMBER_COMPARATORS.values()))
        self._count_bounds(part)
        return part.value

    def _rows(self, part: _Part) -> None:
        """The keys that decide which rows of an event count."""
        self._strip(part, "eventName")
        self._word(part, "relation", words.RELATIONS)
        if (text := as_wire_text(part.value.get("recentDay"))) is not None:
            self._set(part, "recentDay", text, _AS_TEXT)
        self._strip(part, "recentDay")
        for key in ("startTime", "endTime"):
            self._strip(part, key)
            if isinstance(part.value.get(key), str):
                part.value[key] = self._local(part.value[key], part.places[key])
        self._each(part, "filts", self._filter)

    def _filter(self, raw: object, place: Place) -> object:
        part = self._part(raw, place, EventFilter) if len(place.path) <= 2 * MAX_NESTING else None
        if part is None:
            return raw
        out = part.value
        if str(out.get("filterType", "")).strip().upper() == "SIMPLE":
            self.done.note(part.places["filterType"], out.pop("filterType"), ABSENT, _DISPLAY)
        self._word(part, "filterType", (words.GROUP,))
        if "filterType" in out or ("filts" in out and "columnName" not in out):
            self._word(part, "relation", words.RELATIONS)
            self._each(part, "filts", self._filter)
        else:
            self._condition(part)
        return out

    def _condition(self, part: _Part) -> None:
        out = part.value
        self._table(part)
        self._strip(part, "specifiedClusterDate")
        known = self._property(part, "columnName", out.get("tableType"))
        self._values(part, known)
        self._word(part, "comparator", words.COMPARATORS, synonyms_of(words.COMPARATORS.values()))
        self._word(part, "timeUnit", words.TIME_UNITS)
        if known:
            self._words_by_type(part, known)
        row = words.COMPARATORS.get(str(out.get("comparator")))
        if row and not row.values[1] and out.get("ftv", ()) == "":
            self.done.note(part.places["ftv"], out.pop("ftv"), ABSENT, EMPTY_KEY)

    def _table(self, part: _Part) -> None:
        """The table of a property; where it was left out, the only one that has a property of this name."""
        self._word(part, "tableType", words.TABLES, {"user_cluster": "cluster"})
        name = part.value.get("columnName")
        if "tableType" in part.value or not isinstance(name, str) or not name.strip():
            return
        place = part.places["columnName"]
        inside = {"events", words.FIRST_LAST_EVENT, words.QUOTA_EVENT} & set(place.path)
        tables = words.TABLES_IN_EVENT if inside else words.TABLES_AT_TOP
        holding = [table for table in tables if self.metadata.property(table, name.strip())]
        if len(holding) == 1:
            at = Place((*place.path[:-1], "tableType"), (*place.sent[:-1], "tableType"))
            part.value["tableType"], part.places["tableType"] = holding[0], at
            self.done.note(at, ABSENT, holding[0], _ONLY_TABLE)

    # Keys, objects, lists

    def _part(self, raw: object, place: Place, kind: type[StrictModel]) -> _Part | None:
        """An object, also as JSON text, with its keys in the documented spelling; None for anything else."""
        node = self._parsed(raw, place, dict)
        if not isinstance(node, dict):
            return None
        legal = keys_of(kind)
        part = _Part({}, {})
        for old, value in node.items():
            new = _legal_key(old, legal)
            if new != old and (new in node or new in part.value):
                new = old  # both spellings were sent: the other one stays, unknown, and becomes a problem
            at = place.to(new, old)
            if value is None:
                continue  # absent, whatever the key
            display = new in words.DISPLAY_KEYS and new not in legal
            other_form = new not in legal and new.strip().casefold() in SQL_KEYS
            empty = value == "" or (is_absent(value) and not all(map(is_absent, node.values())))
            if display or ((new in self.optional or other_form) and empty):
                self.done.note(place.to(old), value, ABSENT, _DISPLAY if display else EMPTY_KEY)
                continue
            if new != old:
                self.done.note(at, old, new, _SPELLING)
            part.value[new], part.places[new] = value, at
        return part

    def _part_under(self, part: _Part, key: str, kind: type[StrictModel]) -> _Part | None:
        """The object under a key, as `_part` gives it, put in its place."""
        inner = self._part(part.value[key], part.places[key], kind) if key in part.value else None
        if inner is not None:
            part.value[key] = inner.value
        return inner

    def _parsed(self, raw: object, place: Place, kind: type) -> object:
        """The object or list that a JSON text holds; anything else as it is."""
        if not isinstance(raw, str) or raw.lstrip()[:1] not in ("{", "["):
            return raw
        try:
            value = from_json(raw)
        except ValueError:
            return raw
        large = too_deep(value) or oversized(value, place.path, most_objects=words.MAX_OBJECTS)
        if not isinstance(value, kind) or large:
            return raw
        self.done.note(place, raw, value, _AS_JSON)
        return value

    def _each(self, part: _Part, key: str, one: Callable[[object, Place], object]) -> None:
        """Rewrite a list of parts; a lone part becomes a list of one."""
        if key not in part.value:
            return
        place = part.places[key]
        value = self._parsed(part.value[key], place, list)
        if isinstance(value, str):
            value = self._parsed(value, place, dict)
        if isinstance(value, dict) and not value:
            self._set(part, key, [], _NO_PARTS)
        elif isinstance(value, dict):
            part.value[key] = [one(value, self._listed(value, place))]
        elif isinstance(value, list):
            part.value[key] = [one(item, place.to(i)) for i, item in enumerate(value)]

    def _listed(self, value: object, place: Place) -> Place:
        """Note that a lone value becomes a list of one; return its place there."""
        self.done.note(place, value, [value], _AS_LIST)
        self.done.moved[(*place.path, 0)] = place.sent
        return place.within(0)

    # Words and names

    def _word(self, part: _Part, key: str, legal: Iterable[str], synonyms: Mapping[str, str] | None = None) -> None:
        """A word in another letter case, or a synonym with one reading, becomes the documented word."""
        written = part.value.get(key)
        if not isinstance(written, str) or written in (known := tuple(legal)):
            return
        folded = written.strip().casefold()
        for spellings, reason in ({word: word for word in known}, _SPELLING), (synonyms or {}, _SYNONYM):
            word = next((word for spelling, word in spellings.items() if spelling.casefold() == folded), None)
            if word:
                self._set(part, key, word, reason)
                return

    def _strip(self, part: _Part, key: str) -> None:
        written = part.value.get(key)
        if isinstance(written, str) and written != written.strip():
            self._set(part, key, written.strip(), _BLANKS)

    def _property(self, part: _Part, key: str, table: object) -> Property | None:
        """The property of this name; the name gets the declared spelling (names ignore case)."""
        self._strip(part, key)
        name = part.value.get(key)
        if not isinstance(name, str) or not isinstance(table, str):
            return None
        known = self.metadata.property(table, name)
        if known and known.name != name:
            self._set(part, key, known.name, _SPELLING)
        return known

    def _set(self, part: _Part, key: str, value: Any, reason: Text) -> None:
        self.done.note(part.places[key], part.value[key], value, reason)
        part.value[key] = value

    # Measures and numbers

    def _measure(self, part: _Part, place: Place) -> None:
        if "taPropQuota" not in part.value:
            part.value["taPropQuota"] = {"analysis": "TIMES"}
            self.done.note(place.to("taPropQuota"), ABSENT, part.value["taPropQuota"], _COUNTED)
            return
        measure = self._part_under(part, "taPropQuota", Measure)
        if measure is None:
            return
        if measure.value.get("analysis", "") == "":
            measure.value["analysis"] = "TIMES"
            self.done.note(part.places["taPropQuota"].to("analysis"), ABSENT, "TIMES", _COUNTED)
        self._analysis(measure)

    def _analysis(self, part: _Part) -> None:
        self._word(part, "analysis", words.MEASURES, synonyms_of(words.MEASURES.values()))
        self._property(part, "quota", "event")

    def _num(self, part: _Part) -> None:
        value = part.value.get("num")
        if isinstance(value, list) and len(value) == 2:
            pair = [as_wire_text(v) if not isinstance(v, str) else v.strip() for v in value]
            if None not in pair:
                self._set(part, "num", ",".join(p for p in pair if p is not None), _ONE_TEXT)
        elif (text := as_wire_text(value)) is not None:
            self._set(part, "num", text, _AS_TEXT)
        elif isinstance(value, str):
            tidy = ",".join(p.strip() for p in value.split(","))
            if tidy != value:
                self._set(part, "num", tidy, _BLANKS)

    def _count_bounds(self, part: _Part) -> None:
        """`gte 5` on a count becomes `greater 4`; on another measure a range up to the vendor's limit."""
        side, number = bound_side(part.value.get("comparator")), parse_number(part.value.get("num"))
        measure = part.value.get("taPropQuota")
        row = words.MEASURES.get(str(measure.get("analysis"))) if isinstance(measure, dict) else None
        if not side or number is None or row is None:
            return
        if not row.counts:
            low, high = words.NUMBER_MIN, words.NUMBER_MAX
            num = part.value["num"]
            self._set(part, "comparator", "range", _BOUND)
            self._set(part, "num", f"{num},{high}" if side == "least" else f"{low},{num}", _BOUND)
            return
        self._set(part, "comparator", "greater" if side == "least" else "less", _BOUND)
        if number == int(number):
            self._set(part, "num", plain(number + (-1 if side == "least" else 1)), _BOUND)

    # Values of filters

    def _values(self, part: _Part, known: Property | None) -> None:
        if "ftv" not in part.value:
            return
        place = part.places["ftv"]
        value = self._parsed(part.value["ftv"], place, list)
        if value is None or isinstance(value, dict):
            return
        if isinstance(value, list):
            part.value["ftv"] = [self._value(v, place.to(i), known) for i, v in enumerate(value)]
        else:
            part.value["ftv"] = [self._value(value, self._listed(value, place), known)]

    def _value(self, value: object, place: Place, known: Property | None) -> object:
        text = self._text(value, place)
        if text is not value:
            return text
        if not isinstance(value, str) or known is None or known.type not in ("number", "time"):
            return value
        tidy = value.strip()
        if tidy != value:
            self.done.note(place, value, tidy, _BLANKS)
        return self._local(tidy, place) if known.type == "time" else tidy

    def _text(self, value: object, place: Place) -> object:
        """A number or bool as text; anything else as it is."""
        text = as_wire_text(value)
        if text is None:
            return value
        self.done.note(place, value, text, _AS_TEXT)
        return text

    def _local(self, text: str, place: Place) -> str:
        """A time with an offset, or with a `T`, in the documented form and the project's local time."""
        written = parse_time(text)
        if written is None or written.plain:
            return text
        moment = to_project_time(written, self.metadata.tz)
        if moment is None or moment.microsecond % 1000:
            return text
        self.done.note(place, text, show_time(moment), _LOCAL)
        return show_time(moment)

    def _words_by_type(self, part: _Part, known: Property) -> None:
        """`contains`, `gte`, `equal "true"`: the word that the property's type needs."""
        word, ftv = part.value.get("comparator"), part.value.get("ftv")
        contains, bound = contains_side(word), bound_side(word)
        if contains and known.type in ("string", "list"):
            pair = ("include", "notInclude") if known.type == "string" else ("arrayIncludeItem", "arrayNotIncludeItem")
            self._set(part, "comparator", pair[contains == "none"], _BY_TYPE)
        elif not isinstance(ftv, list) or len(ftv) != 1:
            return
        elif known.type == "bool" and word in ("equal", "notEqual"):
            truth = {"true": True, "false": False}.get(str(ftv[0]).strip().casefold())
            if truth is not None:
                self._set(part, "comparator", "isTrue" if truth == (word == "equal") else "isFalse", _BY_TYPE)
                self._set(part, "ftv", [], _BY_TYPE)
        elif bound and known.type in ("number", "time"):
            number = known.type == "number"
            low, high = (words.NUMBER_MIN, words.NUMBER_MAX) if number else (words.TIME_MIN, words.TIME_MAX)
            self._set(part, "comparator", "range", _BOUND)
            self._set(part, "ftv", [ftv[0], high] if bound == "least" else [low, ftv[0]], _BOUND)
            if bound == "most":
                place = part.places["ftv"]
                self.done.moved[(*place.path, 1)] = (*place.sent, 0)


def _legal_key(key: str, legal: Keys) -> str:
    """The documented spelling of a key; one that is unknown as it is."""
    if key in legal or key in words.DISPLAY_KEYS:
        return key
    bare = key.strip()
    if words.OLD_KEYS.get(bare) in legal:
        return words.OLD_KEYS[bare]
    return next((k for k in legal if k.casefold() == bare.casefold()), key)


# The objects that only tags have

_TRUTH = {"true": True, "1": True, "false": False, "0": False}


class _TagRepairer(_Repairer):
    """One walk over one tag's definition."""

    optional = OPTIONAL | {*keys_of(TagQp), "type", "isCalc"}

    def tag(self, raw: object, place: Place) -> object:
        part = self._part(raw, place, TagQp)
        if part is None:
            return raw
        self._each(part, words.VALUES, self._tag_value)
        first_last = self._part_under(part, words.FIRST_LAST, FirstLast)
        if first_last:
            self._first_last(first_last)
        quota = self._part_under(part, words.QUOTA, Quota)
        if quota:
            self._measured(quota)
        return part.value

    def _tag_value(self, raw: object, place: Place) -> object:
        part = self._part(raw, place, TagValue)
        if part is None:
            return raw
        out = part.value
        for key in ("tagValue", "tagRemark"):
            if key in out:
                out[key] = self._text(out[key], part.places[key])
        if "userClusterDef" in out:
            out["userClusterDef"] = self.qp(out["userClusterDef"], part.places["userClusterDef"])
        return out

    def _first_last(self, holder: _Part) -> None:
        event = self._part_under(holder, words.FIRST_LAST_EVENT, FirstLastEvent)
        if event is None:
            return
        self._rows(event)
        self._truth(event, "isFirstEvent")
        calc = self._part_under(event, "calcPropVo", CalcProp)
        if calc is None:
            return
        self._truth(calc, "isCalc")
        self._default(calc, "isCalc", event.places["calcPropVo"], value=False)
        taken = self._part_under(calc, "property", TakenProperty)
        if taken:
            self._word(taken, "tableType", words.TABLES)
            self._property(taken, "columnName", taken.value.get("tableType"))

    def _measured(self, holder: _Part) -> None:
        event = self._part_under(holder, words.QUOTA_EVENT, QuotaEvent)
        if event is None:
            return
        self._word(event, "type", (words.PLAIN_MEASURE,))
        self._default(event, "type", holder.places[words.QUOTA_EVENT], value=words.PLAIN_MEASURE)
        self._rows(event)
        self._analysis(event)

    def _default(self, part: _Part, key: str, place: Place, *, value: object) -> None:
        """Fill in the only legal value of a key that was left out."""
        if key not in part.value:
            part.value[key] = value
            self.done.note(place.to(key), ABSENT, value, _DEFAULT)

    def _truth(self, part: _Part, key: str) -> None:
        """`"true"`, `"False"`, 1 and 0 as true and false."""
        written = part.value.get(key)
        if isinstance(written, bool) or not isinstance(written, str | int):
            return
        truth = _TRUTH.get(str(written).strip().casefold())
        if truth is not None:
            self._set(part, key, truth, _AS_BOOL)
