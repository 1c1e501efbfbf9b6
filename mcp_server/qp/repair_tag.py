"""Tolerant reading of a tag's definition: as `repair.py`, for the objects that only tags have (qp.md section 5)."""

from typing import Any

from mcp_server.qp import keys
from mcp_server.qp import vocabulary as words
from mcp_server.qp.metadata import Metadata
from mcp_server.qp.repair import OPTIONAL, Repairer
from mcp_server.qp.sent import ABSENT, Place, Repaired
from mcp_server.qp.tags import PLAIN_MEASURE
from mcp_server.text import Text

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

    optional = OPTIONAL | {*keys.TAG_KEYS, "type", "isCalc"}

    def tag(self, raw: object, place: Place) -> object:
        node = self._object(raw, place)
        if not isinstance(node, dict):
            return node
        out, places = self._keys(node, place, keys.TAG_KEYS)
        self._each(out, keys.VALUES, places, self._tag_value)
        first_last = self._object_at(out, keys.FIRST_LAST, places, (keys.FIRST_LAST_EVENT,))
        if first_last:
            self._first_last(*first_last)
        quota = self._object_at(out, keys.QUOTA, places, (keys.QUOTA_EVENT,))
        if quota:
            self._measured(*quota)
        return out

    def _tag_value(self, raw: object, place: Place) -> object:
        node = self._object(raw, place)
        if not isinstance(node, dict):
            return node
        out, places = self._keys(node, place, keys.VALUE_KEYS)
        if "tagRemark" in out and out["tagRemark"] is None:
            self.done.note(places["tagRemark"], out.pop("tagRemark"), ABSENT, _NO_REMARK)
        for key in ("tagValue", "tagRemark"):
            if key in out:
                out[key] = self._text(out[key], places[key])
        if "userClusterDef" in out:
            out["userClusterDef"] = self.qp(out["userClusterDef"], places["userClusterDef"])
        return out

    def _first_last(self, holder: dict[str, Any], holder_places: dict[str, Place]) -> None:
        found = self._object_at(holder, keys.FIRST_LAST_EVENT, holder_places, keys.FIRST_LAST_KEYS)
        if not found:
            return
        out, places = found
        self._rows(out, places)
        self._truth(out, "isFirstEvent", places)
        calc = self._object_at(out, "calcPropVo", places, keys.CALC_KEYS)
        if not calc:
            return
        self._truth(calc[0], "isCalc", calc[1])
        self._default(calc[0], "isCalc", places["calcPropVo"], value=False)
        taken = self._object_at(calc[0], "property", calc[1], keys.TAKEN_KEYS)
        if taken:
            self._word(taken[0], "tableType", taken[1], words.TABLES)
            self._strip(taken[0], "columnName", taken[1])
            self._property(taken[0], taken[1], taken[0].get("tableType"), "columnName")

    def _measured(self, holder: dict[str, Any], holder_places: dict[str, Place]) -> None:
        found = self._object_at(holder, keys.QUOTA_EVENT, holder_places, keys.QUOTA_KEYS)
        if not found:
            return
        out, places = found
        self._word(out, "type", places, (PLAIN_MEASURE,))
        self._default(out, "type", holder_places[keys.QUOTA_EVENT], value=PLAIN_MEASURE)
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
