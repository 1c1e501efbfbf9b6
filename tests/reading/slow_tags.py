"""The second reading of qp.md section 5: the value that a tag gives each user, straight from the wire form.

As in `slow.py`, nothing is shared with `mcp_server`, and a definition is expected in the strict form.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from tests.reading import slow
from tests.reading.slow import Clusters, Part, Person, Project, Row, Schema


def tag_values(
    tag: Part,
    users: Sequence[Row],
    events: Sequence[Row],
    schema: Schema,
    zone: str,
    today: date,
    clusters: Clusters = MappingProxyType({}),
) -> dict[int, Any]:
    """The value of every user of the user table that has one.

    Values are texts (values tag), the property's own (first or last event), or numbers (metric). Numbers are exact
    fractions, but floats where the column is of doubles, and for every AVG.
    """
    (key, content), *others = [(key, part) for key, part in tag.items() if part]
    assert not others, "one kind of tag"
    give = {
        "userTagValueDefs": _first_that_matches,
        "userTagConFirstLastEventDef": _of_first_or_last,
        "userTagConQuotaDef": _of_metric,
    }[key]
    project = Project(schema, zone, today, clusters)
    values = {person.user["#user_id"]: give(content, person, project) for person in slow.people(users, events)}
    return {user: value for user, value in values.items() if value is not None}


def _first_that_matches(values: Sequence[Part], person: Person, project: Project) -> str | None:
    for value in values:
        if slow.is_member(value["userClusterDef"], person, project):
            text: str = value["tagValue"]
            return text
    return None


def _of_first_or_last(content: Part, person: Person, project: Project) -> Any:
    """The value in that one event; missing there is no value, though other events may have one."""
    wanted = content["userTagConFirstLastEvent"]
    rows = slow.matching(wanted, person, project)
    if not rows:
        return None
    pick = min if wanted["isFirstEvent"] else max
    event = pick(rows, key=lambda row: (row["#event_time"], row["$row"]))
    taken = wanted["calcPropVo"]["property"]
    name, kind = project.property(taken["tableType"], taken["columnName"])
    assert kind != "list", "a list is no value of a tag"
    return exact((person.user if taken["tableType"] == "user" else event)[name])


def _of_metric(content: Part, person: Person, project: Project) -> Fraction | float | None:
    """The measure, of users with at least one matching row."""
    wanted = content["userTagConQuotaEvent"]
    rows = slow.matching(wanted, person, project)
    if not rows:
        return None
    result = slow.measure(wanted, rows, project)
    if wanted["analysis"] == "AVG" and isinstance(result, Fraction):
        return float(round(result, 9))
    return result


def exact(value: Any) -> Any:
    """A value as `tag_values` gives them: whole numbers and decimals as fractions."""
    return Fraction(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value
