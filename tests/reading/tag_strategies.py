"""Valid definitions of tags in the strict form for hypothesis, drawn over a world."""

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.reading.strategies import Json, definitions, filters_of, measures, windows
from tests.reading.worlds import STRINGS, World, worlds


@dataclass(frozen=True)
class TagCase:
    """A world and tags over it."""

    world: World
    tags: Sequence[Json]


@st.composite
def tag_cases(draw: st.DrawFn, most: int = 10) -> TagCase:
    """One world and up to `most` tags."""
    world = draw(worlds())
    size = draw(st.integers(1, most))
    return TagCase(world, draw(st.lists(tags(world), min_size=size, max_size=size)))


def tags(world: World) -> st.SearchStrategy[Json]:
    """A tag of one of the three kinds."""
    return st.one_of(values_tags(world), first_last_tags(world), metric_tags(world))


@st.composite
def values_tags(draw: st.DrawFn, world: World) -> Json:
    texts = draw(st.lists(st.sampled_from(STRINGS), min_size=1, max_size=3, unique=True))
    values = []
    for text in texts:
        value: Json = {"tagValue": text, "userClusterDef": draw(definitions(world))}
        values.append(value | draw(st.sampled_from(({}, {"tagRemark": ""}, {"tagRemark": "because"}))))
    return {"userTagValueDefs": values}


@st.composite
def first_last_tags(draw: st.DrawFn, world: World) -> Json:
    table = draw(st.sampled_from(("event", "event", "event", "user")))
    column = draw(st.sampled_from([c for c in world.columns[table] if c.kind != "list"]))
    calc: Json = {"isCalc": False, "property": {"columnName": column.name, "tableType": table}}
    event = {"isFirstEvent": draw(st.booleans()), "calcPropVo": calc} | draw(_rows(world))
    return {"userTagConFirstLastEventDef": {"userTagConFirstLastEvent": event}}


@st.composite
def metric_tags(draw: st.DrawFn, world: World) -> Json:
    event = {"type": "normal"} | draw(measures(world)) | draw(_rows(world))
    return {"userTagConQuotaDef": {"userTagConQuotaEvent": event}}


@st.composite
def _rows(draw: st.DrawFn, world: World) -> Json:
    """The rows of an event in a window, with or without filters."""
    rows: Json = {"eventName": draw(st.sampled_from((*world.names, "anyEvent")))} | draw(windows(world))
    if draw(st.integers(0, 2)) == 2:
        rows["filts"] = draw(st.lists(filters_of(world, inside=True, depth=2), max_size=2))
        rows |= draw(st.sampled_from(({}, {"relation": "and"}, {"relation": "or"})))
    return rows
