"""Tolerant reading: what people and models write, rewritten into the documented form (qp.md sections 1 and 5)."""

from collections.abc import Iterable, Mapping
from typing import Any

from mcp_server.language import vocabulary
from mcp_server.language import vocabulary as words
from mcp_server.language.metadata import Metadata, Property
from mcp_server.language.model import PLAIN_MEASURE
from mcp_server.language.numbers import parse_number, plain
from mcp_server.language.reading.document import (
    ABSENT,
    MAX_NESTING,
    Place,
    Repaired,
    as_wire_text,
    from_json,
    oversized,
    too_deep,
)
from mcp_server.language.vocabulary import (
    EVENT_KEYS,
    FILTER_KEYS,
    MEASURE_KEYS,
    QP_KEYS,
    Keys,
    bound_side,
    contains_side,
    synonyms_of,
)
from mcp_server.language.window import parse_time, show_time, to_project_time
from mcp_server.text import Text

# Tolerant reading: what people and models write, rewritten into the documented form (qp.md section 1).
#
# Every change is reported and none changes the meaning. What cannot be read in exactly one way is left as it is;
# `check.py` then names it as a problem. Some words depend on a property's type (`contains`, `gte`, times with an
# offset), so the project's metadata is read here too.


OPTIONAL = frozenset({"event_relation", "relation", "event_user_relation", "recentDay", "startTime", "endTime", "quota",
                       "timeUnit", "filterType", "specifiedClusterDate"})  # fmt: skip
_AS_TEXT = Text("values are text on the wire", "线上格式中的值一律为文本")
_AS_LIST = Text("a list is expected here", "此处应为列表")
_AS_JSON = Text("was JSON sent as text", "原为文本形式的 JSON")
_SPELLING = Text("the documented spelling", "按文档写法")
_SYNONYM = Text("the documented word with the same meaning", "同义词，改用文档中的词")
_BLANKS = Text("blanks around it removed", "去掉了首尾空白")
_DISPLAY = Text("only for display; dropped", "仅用于展示，已略去")
_ABSENT = Text("an empty optional key is absent", "可选项为空，视为未填")
_COUNTED = Text("without a measure, the number of times counts", "未写指标，按次数统计")
_LOCAL = Text("in the project's local time", "换算为项目当地时间")
_BOUND = Text("the vendor has no at-least or at-most; same meaning", "平台没有“大于等于/小于等于”，改为等价写法")
_BY_TYPE = Text("the word for this type of property; same meaning", "按属性类型改为等价写法")
_ONE_TEXT = Text('two numbers are written "low,high"', "两个数写成“下限,上限”")


def repair(raw: object, metadata: Metadata, root: tuple[str | int, ...] = ()) -> Repaired:
    """Rewrite a definition as it was sent into the documented form, as far as it can be read."""
    done = Repaired()
    done.value = Repairer(done, metadata).qp(raw, Place((), root))
    done.moved[()] = root
    return done


class Repairer:
    """One walk over one definition. A method per kind of part; each returns the rewritten part."""

    optional = OPTIONAL
    """Keys that are absent where they are empty."""

    def __init__(self, done: Repaired, metadata: Metadata) -> None:
        self.done = done
        self.metadata = metadata

    def qp(self, raw: object, place: Place) -> object:
        node = self._object(raw, place)
        if not isinstance(node, dict):
            return node
        out, places = self._keys(node, place, QP_KEYS)
        for key in ("event_relation", "relation", "event_user_relation"):
            self._word(out, key, places, words.RELATIONS)
        self._each(out, "events", places, self.event)
        self._each(out, "filts", places, self.filter)
        return out

    def event(self, raw: object, place: Place) -> object:
        node = self._object(raw, place)
        if not isinstance(node, dict):
            return node
        out, places = self._keys(node, place, EVENT_KEYS)
        self._rows(out, places)
        self._measure(out, place, places)
        self._num(out, places)
        self._word(out, "comparator", places, words.NUMBER_COMPARATORS, synonyms_of(words.NUMBER_COMPARATORS.values()))
        self._count_bounds(out, places)
        return out

    def _rows(self, out: dict[str, Any], places: dict[str, Place]) -> None:
        """What says which rows of an event count."""
        self._strip(out, "eventName", places)
        self._word(out, "relation", places, words.RELATIONS)
        if (text := as_wire_text(out.get("recentDay"))) is not None:
            self._set(out, "recentDay", places, text, _AS_TEXT)
        self._strip(out, "recentDay", places)
        for key in ("startTime", "endTime"):
            self._time(out, key, places)
        self._each(out, "filts", places, self.filter)

    def filter(self, raw: object, place: Place) -> object:
        node = self._object(raw, place)
        if not isinstance(node, dict) or len(place.now) > 2 * MAX_NESTING:
            return node
        out, places = self._keys(node, place, FILTER_KEYS)
        if str(out.get("filterType", "")).strip().upper() == "SIMPLE":
            self.done.note(places["filterType"], out.pop("filterType"), ABSENT, _DISPLAY)
        self._word(out, "filterType", places, (words.GROUP,))
        if "filterType" in out or ("filts" in out and "columnName" not in out):
            self._word(out, "relation", places, words.RELATIONS)
            self._each(out, "filts", places, self.filter)
        else:
            self._condition(out, places)
        return out

    def _condition(self, out: dict[str, Any], places: dict[str, Place]) -> None:
        self._word(out, "tableType", places, words.TABLES, {"user_cluster": "cluster"})
        self._strip(out, "specifiedClusterDate", places)
        self._strip(out, "columnName", places)
        found = self._property(out, places, out.get("tableType"), "columnName")
        self._values(out, places, found)
        self._word(out, "comparator", places, words.COMPARATORS, synonyms_of(words.COMPARATORS.values()))
        self._word(out, "timeUnit", places, words.TIME_UNITS)
        if found:
            self._words_by_type(out, places, found)
        row = words.COMPARATORS.get(str(out.get("comparator")))
        if row and not row.values[1] and out.get("ftv", ()) in (None, ""):
            self.done.note(places["ftv"], out.pop("ftv"), ABSENT, _ABSENT)

    # keys, objects, lists

    def _object(self, raw: object, place: Place) -> object:
        """An object, also where it came as JSON text."""
        return self._parsed(raw, place, dict)

    def _object_at(
        self, out: dict[str, Any], key: str, places: dict[str, Place], legal: Keys
    ) -> tuple[dict[str, Any], dict[str, Place]] | None:
        """The object under a key with its own keys in the documented spelling, and where each stood."""
        node = self._object(out.get(key), places[key]) if key in out else None
        if not isinstance(node, dict):
            return None
        inner, inner_places = self._keys(node, places[key], legal)
        out[key] = inner
        return inner, inner_places

    def _parsed(self, raw: object, place: Place, kind: type) -> object:
        if not isinstance(raw, str) or raw.lstrip()[:1] not in ("{", "["):
            return raw
        try:
            value = from_json(raw)
        except ValueError:
            return raw
        if (
            not isinstance(value, kind)
            or too_deep(value)
            or oversized(value, place.now, most_objects=words.MAX_OBJECTS)
        ):
            return raw
        self.done.note(place, raw, value, _AS_JSON)
        return value

    def _keys(self, node: dict[str, Any], place: Place, legal: Keys) -> tuple[dict[str, Any], dict[str, Place]]:
        """The node with its keys in the documented spelling, and where each stood."""
        out: dict[str, Any] = {}
        places: dict[str, Place] = {}
        for old, value in node.items():
            new = _legal_key(old, legal)
            if new != old and (new in node or new in out):
                new = old  # both spellings were sent: the other one stays, unknown, and is named as a problem
            here = place.to(new, old)
            if (new in words.DISPLAY_KEYS and new not in legal) or (new in self.optional and value in ("", None)):
                self.done.note(place.to(old), value, ABSENT, _DISPLAY if new in words.DISPLAY_KEYS else _ABSENT)
                continue
            if new != old:
                self.done.note(here, old, new, _SPELLING)
            out[new], places[new] = value, here
        return out, places

    def _each(self, out: dict[str, Any], key: str, places: dict[str, Place], one: Any) -> None:
        """Rewrite a list of parts; a lone part becomes a list of one."""
        if key not in out:
            return
        place = places[key]
        value = self._parsed(out[key], place, list)
        if isinstance(value, str):
            value = self._parsed(value, place, dict)
        if isinstance(value, dict):
            self.done.note(place, value, [value], _AS_LIST)
            self.done.moved[(*place.now, 0)] = place.sent
            value = [value]
            out[key] = [one(value[0], place.within(0))]
        elif isinstance(value, list):
            out[key] = [one(part, place.to(i)) for i, part in enumerate(value)]

    # words and names

    def _word(
        self,
        out: dict[str, Any],
        key: str,
        places: dict[str, Place],
        legal: Iterable[str],
        synonyms: Mapping[str, str] | None = None,
    ) -> None:
        """A word in another letter case, or a synonym with one reading, becomes the documented word."""
        written = out.get(key)
        if not isinstance(written, str) or written in (known := tuple(legal)):
            return
        folded = written.strip().casefold()
        spelt, meant = (
            {s.casefold(): w for s, w in rows} for rows in (zip(known, known, strict=True), (synonyms or {}).items())
        )
        if folded in spelt:
            self._set(out, key, places, spelt[folded], _SPELLING)
        elif folded in meant:
            self._set(out, key, places, meant[folded], _SYNONYM)

    def _strip(self, out: dict[str, Any], key: str, places: dict[str, Place]) -> None:
        written = out.get(key)
        if isinstance(written, str) and written != written.strip():
            self._set(out, key, places, written.strip(), _BLANKS)

    def _property(self, out: dict[str, Any], places: dict[str, Place], table: object, key: str) -> Property | None:
        """The property that is meant; its name gets the declared spelling (names ignore case)."""
        name = out.get(key)
        if not isinstance(name, str) or not isinstance(table, str):
            return None
        found = self.metadata.property(table, name)
        if found and found.name != name:
            self._set(out, key, places, found.name, _SPELLING)
        return found

    def _set(self, out: dict[str, Any], key: str, places: dict[str, Place], value: Any, reason: Text) -> None:
        self.done.note(places[key], out[key], value, reason)
        out[key] = value

    # measures and numbers

    def _measure(self, out: dict[str, Any], place: Place, places: dict[str, Place]) -> None:
        if "taPropQuota" not in out:
            out["taPropQuota"] = {"analysis": "TIMES"}
            self.done.note(place.to("taPropQuota"), ABSENT, out["taPropQuota"], _COUNTED)
            return
        found = self._object_at(out, "taPropQuota", places, MEASURE_KEYS)
        if not found:
            return
        measure, inner = found
        if measure.get("analysis") in (None, ""):
            measure["analysis"] = "TIMES"
            self.done.note(places["taPropQuota"].to("analysis"), ABSENT, "TIMES", _COUNTED)
        else:
            self._analysis(measure, inner)
        self._quota(measure, inner)

    def _analysis(self, out: dict[str, Any], places: dict[str, Place]) -> None:
        self._word(out, "analysis", places, words.MEASURES, synonyms_of(words.MEASURES.values()))

    def _quota(self, out: dict[str, Any], places: dict[str, Place]) -> None:
        self._strip(out, "quota", places)
        self._property(out, places, "event", "quota")

    def _num(self, out: dict[str, Any], places: dict[str, Place]) -> None:
        value = out.get("num")
        if isinstance(value, list) and len(value) == 2:
            pair = [as_wire_text(v) if not isinstance(v, str) else v.strip() for v in value]
            if None not in pair:
                self._set(out, "num", places, ",".join(p for p in pair if p is not None), _ONE_TEXT)
        elif (text := as_wire_text(value)) is not None:
            self._set(out, "num", places, text, _AS_TEXT)
        elif isinstance(value, str):
            tidy = ",".join(p.strip() for p in value.split(","))
            if tidy != value:
                self._set(out, "num", places, tidy, _BLANKS)

    def _count_bounds(self, out: dict[str, Any], places: dict[str, Place]) -> None:
        """`gte 5` on a count becomes `greater 4`; on another measure a range up to the vendor's limit."""
        side, number = bound_side(out.get("comparator")), parse_number(out.get("num"))
        measure = out.get("taPropQuota")
        row = words.MEASURES.get(str(measure.get("analysis"))) if isinstance(measure, dict) else None
        if not side or number is None or row is None:
            return
        if not row.counts:
            low, high = (out["num"], words.NUMBER_MAX) if side == "least" else (words.NUMBER_MIN, out["num"])
            self._set(out, "comparator", places, "range", _BOUND)
            self._set(out, "num", places, f"{low},{high}", _BOUND)
            return
        whole = number == int(number)
        step = (-1 if side == "least" else 1) if whole else 0
        self._set(out, "comparator", places, "greater" if side == "least" else "less", _BOUND)
        if step:
            self._set(out, "num", places, plain(number + step), _BOUND)

    # values of filters

    def _values(self, out: dict[str, Any], places: dict[str, Place], found: Property | None) -> None:
        if "ftv" not in out:
            return
        place = places["ftv"]
        value = self._parsed(out["ftv"], place, list)
        if value is None or isinstance(value, dict):
            return
        if isinstance(value, list):
            out["ftv"] = [self._value(v, place.to(i), found) for i, v in enumerate(value)]
            return
        self.done.note(place, value, [value], _AS_LIST)
        self.done.moved[(*place.now, 0)] = place.sent
        out["ftv"] = [self._value(value, place.within(0), found)]

    def _value(self, value: object, place: Place, found: Property | None) -> object:
        text = self._text(value, place)
        if text is not value:
            return text
        if not isinstance(value, str) or found is None or found.type not in ("number", "time"):
            return value
        tidy = value.strip()
        if tidy != value:
            self.done.note(place, value, tidy, _BLANKS)
        return self._local(tidy, place) if found.type == "time" else tidy

    def _text(self, value: object, place: Place) -> object:
        """A number or bool as text; anything else as it is."""
        text = as_wire_text(value)
        if text is None:
            return value
        self.done.note(place, value, text, _AS_TEXT)
        return text

    def _time(self, out: dict[str, Any], key: str, places: dict[str, Place]) -> None:
        self._strip(out, key, places)
        if isinstance(out.get(key), str):
            out[key] = self._local(out[key], places[key])

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

    def _words_by_type(self, out: dict[str, Any], places: dict[str, Place], found: Property) -> None:
        word, ftv = out.get("comparator"), out.get("ftv")
        if not isinstance(word, str):
            return
        contains = contains_side(word)
        if contains and found.type in ("string", "list"):
            pair = ("include", "notInclude") if found.type == "string" else ("arrayIncludeItem", "arrayNotIncludeItem")
            self._set(out, "comparator", places, pair[contains == "none"], _BY_TYPE)
        elif found.type == "bool" and word in ("equal", "notEqual") and (truth := _truth(ftv)) is not None:
            self._set(out, "comparator", places, "isTrue" if truth == (word == "equal") else "isFalse", _BY_TYPE)
            self._set(out, "ftv", places, [], _BY_TYPE)
        elif (
            (side := bound_side(word)) and isinstance(ftv, list) and len(ftv) == 1 and found.type in ("number", "time")
        ):
            low, high = (
                (words.NUMBER_MIN, words.NUMBER_MAX) if found.type == "number" else (words.TIME_MIN, words.TIME_MAX)
            )
            self._set(out, "comparator", places, "range", _BOUND)
            self._set(out, "ftv", places, [ftv[0], high] if side == "least" else [low, ftv[0]], _BOUND)
            if side == "most":
                self.done.moved[(*places["ftv"].now, 1)] = (*places["ftv"].sent, 0)


def _truth(ftv: object) -> bool | None:
    """The yes or no that a list of one value says, in any letter case."""
    said = ftv[0].strip().casefold() if isinstance(ftv, list) and len(ftv) == 1 and isinstance(ftv[0], str) else ""
    return {"true": True, "false": False}.get(said)


def _legal_key(key: str, legal: tuple[str, ...]) -> str:
    if key in legal or key in words.DISPLAY_KEYS:
        return key
    bare = key.strip()
    if words.OLD_KEYS.get(bare) in legal:
        return words.OLD_KEYS[bare]
    folded = {k.casefold(): k for k in legal}
    return folded.get(bare.casefold(), key)


# Tolerant reading of a tag's definition: as `repair.py`, for the objects that only tags have (qp.md section 5).


_AS_BOOL = Text("true or false is expected here", "此处应为 true 或 false")
_NO_REMARK = Text("no remark is an empty text or no key", "没有备注时应为空文本或省略")
_DEFAULT = Text("left out; this is the only legal value", "未填，补上唯一可用的值")
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


def repair_tag(raw: object, metadata: Metadata, root: tuple[str | int, ...] = ()) -> Repaired:
    """Rewrite a tag's definition as it was sent into the documented form, as far as it can be read."""
    done = Repaired()
    done.value = _TagRepairer(done, metadata).tag(raw, Place((), root))
    done.moved[()] = root
    return done


class _TagRepairer(Repairer):
    """One walk over one tag's definition."""

    optional = OPTIONAL | {*vocabulary.TAG_KEYS, "type", "isCalc"}

    def tag(self, raw: object, place: Place) -> object:
        node = self._object(raw, place)
        if not isinstance(node, dict):
            return node
        out, places = self._keys(node, place, vocabulary.TAG_KEYS)
        self._each(out, vocabulary.VALUES, places, self._tag_value)
        first_last = self._object_at(out, vocabulary.FIRST_LAST, places, (vocabulary.FIRST_LAST_EVENT,))
        if first_last:
            self._first_last(*first_last)
        quota = self._object_at(out, vocabulary.QUOTA, places, (vocabulary.QUOTA_EVENT,))
        if quota:
            self._measured(*quota)
        return out

    def _tag_value(self, raw: object, place: Place) -> object:
        node = self._object(raw, place)
        if not isinstance(node, dict):
            return node
        out, places = self._keys(node, place, vocabulary.VALUE_KEYS)
        if "tagRemark" in out and out["tagRemark"] is None:
            self.done.note(places["tagRemark"], out.pop("tagRemark"), ABSENT, _NO_REMARK)
        for key in ("tagValue", "tagRemark"):
            if key in out:
                out[key] = self._text(out[key], places[key])
        if "userClusterDef" in out:
            out["userClusterDef"] = self.qp(out["userClusterDef"], places["userClusterDef"])
        return out

    def _first_last(self, holder: dict[str, Any], holder_places: dict[str, Place]) -> None:
        found = self._object_at(holder, vocabulary.FIRST_LAST_EVENT, holder_places, vocabulary.FIRST_LAST_KEYS)
        if not found:
            return
        out, places = found
        self._rows(out, places)
        self._truth(out, "isFirstEvent", places)
        calc = self._object_at(out, "calcPropVo", places, vocabulary.CALC_KEYS)
        if not calc:
            return
        self._truth(calc[0], "isCalc", calc[1])
        self._default(calc[0], "isCalc", places["calcPropVo"], value=False)
        taken = self._object_at(calc[0], "property", calc[1], vocabulary.TAKEN_KEYS)
        if taken:
            self._word(taken[0], "tableType", taken[1], words.TABLES)
            self._strip(taken[0], "columnName", taken[1])
            self._property(taken[0], taken[1], taken[0].get("tableType"), "columnName")

    def _measured(self, holder: dict[str, Any], holder_places: dict[str, Place]) -> None:
        found = self._object_at(holder, vocabulary.QUOTA_EVENT, holder_places, vocabulary.QUOTA_KEYS)
        if not found:
            return
        out, places = found
        self._word(out, "type", places, (PLAIN_MEASURE,))
        self._default(out, "type", holder_places[vocabulary.QUOTA_EVENT], value=PLAIN_MEASURE)
        self._rows(out, places)
        self._analysis(out, places)
        self._quota(out, places)

    def _default(self, out: dict[str, Any], key: str, place: Place, *, value: object) -> None:
        """The documented form says the only legal value of a key that was left out."""
        if key not in out:
            out[key] = value
            self.done.note(place.to(key), ABSENT, value, _DEFAULT)

    def _truth(self, out: dict[str, Any], key: str, places: dict[str, Place]) -> None:
        """`"true"`, `"False"`, 1 and 0 as true and false."""
        written = out.get(key)
        if isinstance(written, bool) or not isinstance(written, str | int):
            return
        meant = _TRUTH.get(str(written).strip().casefold())
        if meant is not None:
            self._set(out, key, places, meant, _AS_BOOL)
