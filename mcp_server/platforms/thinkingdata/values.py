"""Values of a query's answer as text: times in the documented form, lists as JSON, missing ones empty."""

import json
import re

_TIME = re.compile(r"(\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2})(?:\.(\d+))?")


def shown(value: object) -> str:
    """A value as people read it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    text = str(value)
    time = _TIME.fullmatch(text)
    if time is None:
        return text
    fraction = (time[2] or "")[:3]
    return time[1].replace("T", " ") + (f".{fraction}" if fraction.strip("0") else "")
