"""Tags over the project in `projects.py`, each legal, with some keys replaced; a key set to None is left out."""

from tests.language.projects import event, user

Json = dict[str, object]

FIRST_LAST = "/userTagConFirstLastEventDef/userTagConFirstLastEvent"
QUOTA = "/userTagConQuotaDef/userTagConQuotaEvent"


def value(text: object, definition: object = None, **more: object) -> Json:
    """One value of a tag: of those who bought more than four times, where no definition is given."""
    return {"tagValue": text, "userClusterDef": definition or {"events": [event()]}, **more}


def values_tag(*values: object) -> Json:
    return {
        "userTagValueDefs": list(values) or [value("heavy"), value("local", {"filts": [user("city", "equal", "上海")]})]
    }


def first_tag(**keys: object) -> Json:
    """The amount of each user's first purchase."""
    base = {"eventName": "purchase", "isFirstEvent": True, "calcPropVo": taken("amount"), "recentDay": "1-7"}
    return {"userTagConFirstLastEventDef": {"userTagConFirstLastEvent": _given(base | keys)}}


def taken(column: object, table: str = "event", **more: object) -> Json:
    return {"isCalc": False, "property": {"columnName": column, "tableType": table}} | more


def metric_tag(**keys: object) -> Json:
    """The sum of each user's amounts."""
    base = {"type": "normal", "eventName": "purchase", "analysis": "SUM", "quota": "amount", "recentDay": "1-7"}
    return {"userTagConQuotaDef": {"userTagConQuotaEvent": _given(base | keys)}}


def _given(keys: Json) -> Json:
    return {key: value for key, value in keys.items() if value is not None}
