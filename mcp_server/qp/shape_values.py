"""Problems of shape of values: numbers, windows, and how many values there are, with what was probably meant."""

import json
import re
from collections.abc import Mapping
from typing import Any

from mcp_server.errors import Problem
from mcp_server.qp import vocabulary as words
from mcp_server.qp.fault import Fault, quoted
from mcp_server.qp.likely import (
    WindowFault,
    as_number,
    as_time,
    bound_fault,
    likely_number,
    likely_pair,
    likely_window,
    recent_fault,
)
from mcp_server.qp.numbers import is_too_long
from mcp_server.qp.problems import finding
from mcp_server.text import NOTHING, Text

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
