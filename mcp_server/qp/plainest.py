"""One spelling of the values of a definition, so that 3 and 3.0 of a number property are the same meaning.

Only with the project's metadata: of a text property they are two values (qp.md section 4).
"""

from typing import Any

from mcp_server.qp import vocabulary as words
from mcp_server.qp.definition import Definition
from mcp_server.qp.metadata import Metadata, Property
from mcp_server.qp.model import Qp
from mcp_server.qp.numbers import parse_number, plain
from mcp_server.qp.tags import TagQp
from mcp_server.qp.vocabulary import Test
from mcp_server.qp.window import parse_time, show_time


def plainest(definition: Definition, metadata: Metadata) -> Definition:
    """The same definition with each number and time of a filter in its shortest spelling."""
    if not isinstance(definition, Qp | TagQp):
        return definition
    return type(definition).model_validate(_plain(definition.wire(), metadata))


def _plain(node: Any, metadata: Metadata) -> Any:
    if isinstance(node, list):
        return [_plain(part, metadata) for part in node]
    if not isinstance(node, dict):
        return node
    node = {key: _plain(value, metadata) for key, value in node.items()}
    if "ftv" in node:
        found = metadata.property(str(node.get("tableType")), str(node.get("columnName")))
        row = words.COMPARATORS.get(str(node.get("comparator")))
        if found and row:
            node["ftv"] = [_value(text, i, row, found) for i, text in enumerate(node["ftv"])]
    return node


def _value(text: str, i: int, row: words.Comparator, found: Property) -> str:
    relative = row.test in (Test.RECENT, Test.BEFORE_DAY, Test.NEAR_EVENT)
    if relative or found.type == "number":
        number = parse_number(text.lstrip("0") or "0" if relative else text)
        return text if number is None else plain(number)
    written = parse_time(text) if found.type == "time" else None
    takes_in_its_day = row.test is Test.BETWEEN and i == 1 and written is not None and written.bare_date
    return text if written is None or not written.plain or takes_in_its_day else show_time(written.moment)
