"""From a definition to a plan: names become columns, days become instants, words become predicates."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, NamedTuple, cast

from mcp_server.language import vocabulary as words
from mcp_server.language.metadata import Metadata, Property
from mcp_server.language.model import EventCondition, Filter, FirstLastEvent, Qp, QuotaEvent, TagQp, UserFilter
from mcp_server.language.model import EventSelection as TagRows
from mcp_server.language.numbers import MAX_PLACES, parse_number, parse_numbers
from mcp_server.language.window import (
    Span,
    after,
    day_start,
    instant,
    parse_time,
    recent_days,
    span_between,
    span_of_days,
)
from mcp_server.plan import grid
from mcp_server.plan.plan import (
    Bit,
    ClusterSource,
    Column,
    Contains,
    Empty,
    EventBit,
    EventRows,
    FunnelStep,
    Holds,
    Interval,
    IsTrue,
    ItemAt,
    Joined,
    Matches,
    Measured,
    MeasureTag,
    Missing,
    NearEvent,
    Never,
    Plan,
    Points,
    Predicate,
    TagPlan,
    TakenTag,
    Tree,
    UserBit,
    ValuesTag,
    Within,
    join,
)

# From a definition to a plan: names become columns, days become instants, words become predicates.


Relation = Literal["and", "or"]


def compile_definition(definition: Qp, metadata: Metadata) -> Plan:
    """The plan of a definition that `qp.check.read` found no problem in."""
    scope = Compiler(metadata)
    tree, funnel = scope.conditions(definition)
    return scope.plan(tree, funnel)


def _side(key: str, leaves: Sequence[Bit], relation: Relation) -> tuple[FunnelStep, ...]:
    return tuple(FunnelStep(f"/{key}/{i}", leaf, join(relation, leaves[: i + 1])) for i, leaf in enumerate(leaves))


def _relation(word: str) -> Relation:
    return cast("Relation", word)


class _Asked(NamedTuple):
    """One condition of a filter, its names looked up."""

    part: Filter
    found: Property
    column: Column
    negated: bool


class Compiler:
    """Compiles definitions against one project's metadata; collects their conditions and the clusters they read."""

    def __init__(self, metadata: Metadata) -> None:
        self.metadata = metadata
        self.zone = metadata.tz
        self.events: list[EventBit] = []
        self.users: list[UserBit] = []
        self.clusters: list[ClusterSource] = []

    def conditions(self, definition: Qp) -> tuple[Tree, tuple[FunnelStep, ...]]:
        """Give every condition of a definition a bit; its tree over them, and its funnel."""
        event_leaves = [self.event(e) for e in definition.events]
        user_leaves = [self.user(f) for f in definition.filts]
        event_side = _side("events", event_leaves, _relation(definition.event_relation))
        user_side = _side("filts", user_leaves, _relation(definition.relation))
        sides = [side[-1].left for side in (event_side, user_side) if side]
        return join(_relation(definition.event_user_relation), sides), (*event_side, *user_side)

    def plan(self, tree: Tree, funnel: tuple[FunnelStep, ...] = ()) -> Plan:
        """The plan of what was collected."""
        return Plan(tuple(self.events), tuple(self.users), tree, funnel, tuple(self.clusters))

    @property
    def _next_bit(self) -> int:
        return len(self.events) + len(self.users)

    # events

    def event(self, event: EventCondition) -> Bit:
        measured = self.measured(event)
        complement = measured.word == "TIMES" and measured.test.holds(0) is not measured.negated
        self.events.append(EventBit(self._next_bit, self.rows(event), measured, complement))
        return Bit(self.events[-1].bit, complement)

    def rows(self, event: EventCondition | TagRows) -> EventRows:
        name = None if event.event_name == words.ANY_EVENT else event.event_name
        return EventRows(name, self.window(event), self.joined(event.filts, event.relation))

    def window(self, event: EventCondition | TagRows) -> Span:
        if event.recent_day:
            days = recent_days(event.recent_day, self.metadata.today)
            if days is None:
                raise ValueError(f"not a window: {event.recent_day!r}")
            return span_of_days(days, self.zone)
        return span_between(event.start_time, event.end_time, self.zone)

    def measured(self, event: EventCondition) -> Measured:
        row, numbers = words.NUMBER_COMPARATORS[event.comparator], parse_numbers(event.num)
        if numbers is None:
            raise ValueError(f"not a number: {event.num!r}")
        word = event.measure.analysis
        if words.MEASURES[word].counts:
            column = Column("event", event.measure.quota) if event.measure.quota else None
            return Measured(word, column, 0, _numbers(row.test, numbers, 0), row.negated)
        found = self.property("event", event.measure.quota)
        test = _numbers(row.test, numbers, found.scale)
        if found.scale is not None and word == "AVG":
            test = _numbers(row.test, numbers, MAX_PLACES)
        elif found.scale is not None and word == "MEDIAN":
            test = _numbers(row.test, [grid.twice(n) for n in numbers], found.scale)
        return Measured(word, Column("event", found.name), found.scale, test, row.negated)

    # filters

    def user(self, part: UserFilter) -> Bit:
        self.users.append(UserBit(self._next_bit, self.filter(part)))
        return Bit(self.users[-1].bit)

    def property(self, table: str, name: str) -> Property:
        found = self.metadata.property(table, name)
        if found is None:
            raise ValueError(f"unknown {table} property {name!r}")
        return found

    def joined(self, filts: Sequence[Filter], relation: str) -> Predicate | None:
        parts = tuple(self.filter(f) for f in filts)
        if not parts:
            return None
        return parts[0] if len(parts) == 1 else Joined(_relation(relation), parts)

    def filter(self, part: Filter) -> Predicate:
        if part.is_group:
            return self.joined(part.children, part.relation) or Never()
        found = self.property(part.table_type, part.column_name)
        row = words.COMPARATORS[part.comparator]
        return _BUILD[row.test](self, _Asked(part, found, self.column(part, found), row.negated))

    def column(self, part: Filter, found: Property) -> Column:
        """Where a property stands; a cluster or tag is a column of its members, which the plan then reads."""
        if found.table != "cluster":
            return Column(found.table, found.name)
        source = ClusterSource(found.name, part.cluster_date)
        if source not in self.clusters:
            self.clusters.append(source)
        return Column("cluster", "user_id" if found.type == "cluster" else "value", self.clusters.index(source))

    def values(self, asked: _Asked) -> Predicate:
        """The words that compare a string, number or time with given values."""
        test, ftv = words.COMPARATORS[asked.part.comparator].test, asked.part.ftv
        if asked.found.type == "string":
            return Within(asked.column, Points(tuple(dict.fromkeys(ftv))), asked.negated)
        if asked.found.type == "time":
            return _within(asked, self.times(test, ftv))
        numbers = [n for n in map(parse_number, ftv) if n is not None]
        return _within(asked, _numbers(test, numbers, asked.found.scale))

    def times(self, test: words.Test, ftv: Sequence[str]) -> Interval | Points:
        moments = [self.moment(text) for text in ftv]
        if test is words.Test.ONE_OF:
            return Points(tuple(dict.fromkeys(m for m in moments if m is not None)))
        if test is words.Test.ABOVE:
            return Interval(low=moments[0], low_open=True)
        if test is words.Test.BELOW:
            return Interval(high=moments[0], high_open=True)
        upper = parse_time(ftv[1])
        if upper and upper.bare_date:  # takes in its whole day
            return Interval(moments[0], after(upper.moment.date(), self.zone), high_open=True)
        return Interval(moments[0], moments[1])

    def moment(self, text: str) -> datetime | None:
        written = parse_time(text)
        return instant(written.moment, self.zone) if written else None

    def recent(self, asked: _Asked) -> Predicate:
        days = recent_days("-".join(asked.part.ftv), self.metadata.today)
        if days is None:
            raise ValueError(f"not a window: {asked.part.ftv!r}")
        span = span_of_days(days, self.zone)
        return Within(asked.column, Interval(span.start, span.end, high_open=True))

    def before_day(self, asked: _Asked) -> Predicate:
        day = self.metadata.today - timedelta(days=int(asked.part.ftv[0]))
        return Within(asked.column, Interval(high=day_start(day, self.zone), high_open=True))

    def near_event(self, asked: _Asked) -> Predicate:
        seconds = int(asked.part.ftv[0]) * words.TIME_UNITS[asked.part.time_unit][0]
        before = seconds if asked.part.comparator != "relativeEventAfter" else 0
        later = seconds if asked.part.comparator != "relativeEventBefore" else 0
        return NearEvent(asked.column, before, later)


def _numbers(test: words.Test, numbers: Sequence[Decimal], scale: int | None) -> Interval | Points:
    if test is words.Test.ONE_OF:
        return grid.points(numbers, scale)
    if test is words.Test.ABOVE:
        return grid.above(numbers[0], scale)
    if test is words.Test.BELOW:
        return grid.below(numbers[0], scale)
    return grid.between(numbers[0], numbers[1], scale)


def _within(asked: _Asked, where: Interval | Points) -> Predicate:
    """A test of values; one that no value of the column can pass is said as such."""
    nothing = not where.values if isinstance(where, Points) else _empty(where)
    if not nothing:
        return Within(asked.column, where, asked.negated)
    return Missing(asked.column, negated=True) if asked.negated else Never()


def _empty(where: Interval) -> bool:
    if where.low is None or where.high is None:
        return False
    open_end = where.low_open or where.high_open
    return bool(where.low > where.high or (open_end and where.low == where.high))  # type: ignore[operator]  # both of one kind


_BUILD: Mapping[words.Test, Callable[[Compiler, _Asked], Predicate]] = {
    words.Test.ONE_OF: Compiler.values,
    words.Test.ABOVE: Compiler.values,
    words.Test.BELOW: Compiler.values,
    words.Test.BETWEEN: Compiler.values,
    words.Test.CONTAINS: lambda _, a: Contains(a.column, tuple(dict.fromkeys(a.part.ftv)), a.negated),
    words.Test.MATCHES: lambda _, a: Matches(a.column, a.part.ftv[0], a.negated),
    words.Test.TRUE: lambda _, a: IsTrue(a.column, a.negated),
    words.Test.MISSING: lambda _, a: Missing(a.column, a.negated),
    words.Test.MEMBER: lambda _, a: Missing(a.column, negated=not a.negated),
    words.Test.HOLDS: lambda _, a: Holds(a.column, tuple(dict.fromkeys(a.part.ftv)), a.negated),
    words.Test.ITEM_AT: lambda _, a: ItemAt(a.column, int(a.part.ftv[0]), a.part.ftv[1]),
    words.Test.EMPTY: lambda _, a: Empty(a.column, a.negated),
    words.Test.RECENT: Compiler.recent,
    words.Test.BEFORE_DAY: Compiler.before_day,
    words.Test.NEAR_EVENT: Compiler.near_event,
}


# From a tag's definition to a plan (qp.md section 5).


def compile_tag(tag: TagQp, metadata: Metadata) -> TagPlan:
    """The plan of a tag's definition that was read without problems."""
    scope = Compiler(metadata)
    if tag.first_last:
        return _taken(tag.first_last.event, scope)
    if tag.quota:
        return _measured(tag.quota.event, scope)
    values = tuple((v.tag_value, scope.conditions(v.definition)[0]) for v in tag.values)
    return ValuesTag(scope.plan(join("or", [tree for _, tree in values])), values)


def _taken(event: FirstLastEvent, scope: Compiler) -> TakenTag:
    taken = event.calc_prop.property
    found = scope.property(taken.table_type, taken.column_name)
    return TakenTag(scope.rows(event), Column(found.table, found.name), event.is_first)


def _measured(event: QuotaEvent, scope: Compiler) -> MeasureTag:
    word = event.analysis
    found = scope.property("event", event.quota) if event.quota else None
    scale = 0 if words.MEASURES[word].counts or found is None else found.scale
    return MeasureTag(scope.rows(event), word, Column("event", found.name) if found else None, scale)
