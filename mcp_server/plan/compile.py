"""From a definition to a plan: names become columns, days become instants, words become predicates with exact bounds."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import assert_never

from mcp_server.language import vocabulary as words
from mcp_server.language.metadata import Metadata, Property
from mcp_server.language.model import EventCondition, Filter, Qp, TagQp, UserFilter
from mcp_server.language.model import EventSelection as TagRows
from mcp_server.language.values import (
    MAX_PLACES,
    Span,
    after,
    day_start,
    instant,
    parse_number,
    parse_numbers,
    parse_time,
    recent_days,
    span_between,
    span_of_days,
)
from mcp_server.language.vocabulary import MeasureWord, NumberTest, Relation, Test
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
    Number,
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

# Exact bounds (qp.md section 4)
#
# A column with `scale` places holds only multiples of 10^-scale. A bound between two of them moves to the nearest one
# that selects the same values, so engines compare values of one type and round nothing. Doubles (scale None) compare
# as doubles.


_EXACT = Context(prec=100)
_DIGITS = 38


def points(numbers: Sequence[Decimal], scale: int | None) -> Points:
    """Return those of the numbers that a value of the column can equal."""
    if scale is None:
        return Points(tuple(dict.fromkeys(float(n) for n in numbers)))
    return Points(tuple(dict.fromkeys(_own(n, scale) for n in numbers if _fits(n, scale) and floor(n, scale) == n)))


def above(number: Decimal, scale: int | None) -> Interval:
    """Return the values strictly greater than a number."""
    if scale is None:
        return Interval(low=float(number), low_open=True)
    return _bounded(low=floor(number, scale), high=None, scale=scale, low_open=True)


def below(number: Decimal, scale: int | None) -> Interval:
    """Return the values strictly less than a number."""
    if scale is None:
        return Interval(high=float(number), high_open=True)
    return _bounded(low=None, high=ceiling(number, scale), scale=scale, high_open=True)


def between(low: Decimal, high: Decimal, scale: int | None) -> Interval:
    """Return the values from low to high, both included."""
    if scale is None:
        return Interval(low=float(low), high=float(high))
    return _bounded(low=ceiling(low, scale), high=floor(high, scale), scale=scale)


def twice(number: Decimal) -> Decimal:
    """Return twice a number, exactly."""
    return _EXACT.add(number, number)


def floor(number: Decimal, scale: int) -> Decimal:
    return number.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_FLOOR, context=_EXACT)


def ceiling(number: Decimal, scale: int) -> Decimal:
    return number.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_CEILING, context=_EXACT)


def _fits(number: Decimal, scale: int) -> bool:
    return abs(number) < Decimal(10) ** (_DIGITS - scale)


def _own(number: Decimal, scale: int) -> Number:
    return int(number) if scale == 0 else floor(number, scale)


def _bounded(
    *, low: Decimal | None, high: Decimal | None, scale: int, low_open: bool = False, high_open: bool = False
) -> Interval:
    """Return an interval whose bounds a 38-digit column can hold: a bound beyond is dropped, or selects nothing."""
    if (low is not None and not _fits(low, scale) and low > 0) or (
        high is not None and not _fits(high, scale) and high < 0
    ):
        return Interval(low=1, high=0)
    kept_low = _own(low, scale) if low is not None and _fits(low, scale) else None
    kept_high = _own(high, scale) if high is not None and _fits(high, scale) else None
    return Interval(kept_low, kept_high, low_open, high_open)


# The compiler


def compile_definition(definition: Qp, metadata: Metadata) -> Plan:
    """Compile a cluster's definition that was read without problems."""
    scope = Compiler(metadata)
    tree, funnel = scope.conditions(definition)
    return scope.plan(tree, funnel)


def compile_tag(tag: TagQp, metadata: Metadata) -> TagPlan:
    """Compile a tag's definition that was read without problems (qp.md section 5)."""
    scope = Compiler(metadata)
    if tag.first_last:
        first_last = tag.first_last.event
        taken = scope.property(first_last.calc_prop.property.table_type, first_last.calc_prop.property.column_name)
        return TakenTag(scope.rows(first_last), Column(taken.table, taken.name), first_last.is_first)
    if tag.quota:
        event = tag.quota.event
        quota = scope.property("event", event.quota) if event.quota else None
        scale = 0 if words.MEASURES[event.analysis].counts or quota is None else quota.scale
        return MeasureTag(scope.rows(event), event.analysis, Column("event", quota.name) if quota else None, scale)
    values = tuple((v.tag_value, scope.conditions(v.definition)[0]) for v in tag.values)
    return ValuesTag(scope.plan(join("or", [tree for _, tree in values])), values)


def _side(key: str, leaves: Sequence[Bit], relation: Relation) -> tuple[FunnelStep, ...]:
    return tuple(FunnelStep(f"/{key}/{i}", leaf, join(relation, leaves[: i + 1])) for i, leaf in enumerate(leaves))


def _through(sides: Sequence[tuple[str, Sequence[Bit], Relation]]) -> tuple[FunnelStep, ...]:
    """One funnel over both sides, in which fewer and fewer are left; a side joined by `or` is one step."""
    parts: list[tuple[str, Tree]] = []
    for key, leaves, relation in sides:
        if relation == "or" and len(leaves) > 1:
            parts.append((f"/{key}", join(relation, leaves)))
        else:
            parts += [(f"/{key}/{i}", leaf) for i, leaf in enumerate(leaves)]
    return tuple(
        FunnelStep(path, alone, join("and", [tree for _, tree in parts[: i + 1]]))
        for i, (path, alone) in enumerate(parts)
    )


class Compiler:
    """Compiles definitions against one project's metadata; collects their conditions and the clusters they read."""

    def __init__(self, metadata: Metadata) -> None:
        self.metadata = metadata
        self.zone = metadata.tz
        self.events: list[EventBit] = []
        self.users: list[UserBit] = []
        self.clusters: list[ClusterSource] = []

    def conditions(self, definition: Qp) -> tuple[Tree, tuple[FunnelStep, ...]]:
        """Give every condition of a definition a bit; return the tree over them and the funnel."""
        event_leaves = [self.event(e) for e in definition.events]
        user_leaves = [self.user(f) for f in definition.filts]
        sides = [
            (key, leaves, relation)
            for key, leaves, relation in (
                ("events", event_leaves, definition.event_relation),
                ("filts", user_leaves, definition.relation),
            )
            if leaves
        ]
        tree = join(definition.event_user_relation, [join(relation, leaves) for _, leaves, relation in sides])
        if len(sides) == 2 and definition.event_user_relation == "and":
            return tree, _through(sides)
        return tree, tuple(step for side in sides for step in _side(*side))

    def plan(self, tree: Tree, funnel: tuple[FunnelStep, ...] = ()) -> Plan:
        """Return the plan of the conditions collected so far."""
        return Plan(tuple(self.events), tuple(self.users), tree, funnel, tuple(self.clusters))

    @property
    def _next_bit(self) -> int:
        return len(self.events) + len(self.users)

    # Events

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
            return self.recent(event.recent_day)
        return span_between(event.start_time, event.end_time, self.zone)

    def recent(self, text: str) -> Span:
        """Return the span of the days "A-B" before today."""
        days = recent_days(text, self.metadata.today)
        if days is None:
            raise ValueError(f"not a window: {text!r}")
        return span_of_days(days, self.zone)

    def measured(self, event: EventCondition) -> Measured:
        row, numbers = words.NUMBER_COMPARATORS[event.comparator], parse_numbers(event.num)
        if numbers is None:
            raise ValueError(f"not a number: {event.num!r}")
        word, quota = event.measure.analysis, event.measure.quota
        if words.MEASURES[word].counts:
            column, scale = Column("event", quota) if quota else None, 0
            return Measured(word, column, scale, _measure_test(word, row.test, numbers, scale), row.negated)
        prop = self.property("event", quota)
        test = _measure_test(word, row.test, numbers, prop.scale)
        return Measured(word, Column("event", prop.name), prop.scale, test, row.negated)

    # Filters

    def user(self, part: UserFilter) -> Bit:
        self.users.append(UserBit(self._next_bit, self.filter(part)))
        return Bit(self.users[-1].bit)

    def property(self, table: str, name: str) -> Property:
        prop = self.metadata.property(table, name)
        if prop is None:
            raise ValueError(f"unknown {table} property {name!r}")
        return prop

    def joined(self, filts: Sequence[Filter], relation: Relation) -> Predicate | None:
        parts = tuple(self.filter(f) for f in filts)
        if not parts:
            return None
        return parts[0] if len(parts) == 1 else Joined(relation, parts)

    def filter(self, part: Filter) -> Predicate:  # noqa: C901 - one case for each test of the language
        if part.is_group:
            return self.joined(part.filts, part.relation) or Never()
        prop, row, ftv = self.property(part.table_type, part.column_name), words.COMPARATORS[part.comparator], part.ftv
        column, negated = self.column(part, prop), row.negated
        match row.test:
            case Test.ONE_OF | Test.ABOVE | Test.BELOW | Test.BETWEEN:
                return _within(column, self.values(row.test, prop, ftv), negated)
            case Test.CONTAINS:
                return Contains(column, tuple(dict.fromkeys(ftv)), negated)
            case Test.MATCHES:
                return Matches(column, ftv[0], negated)
            case Test.TRUE:
                return IsTrue(column, negated)
            case Test.MISSING:
                return Missing(column, negated)
            case Test.MEMBER:
                return Missing(column, negated=not negated)
            case Test.HOLDS:
                return Holds(column, tuple(dict.fromkeys(ftv)), negated)
            case Test.ITEM_AT:
                return ItemAt(column, int(ftv[0]), ftv[1])
            case Test.EMPTY:
                return Empty(column, negated)
            case Test.RECENT:
                span = self.recent("-".join(ftv))
                return Within(column, Interval(span.start, span.end, high_open=True))
            case Test.BEFORE_DAY:
                day = self.metadata.today - timedelta(days=int(ftv[0]))
                return Within(column, Interval(high=day_start(day, self.zone), high_open=True))
            case Test.BEFORE_EVENT:
                return NearEvent(column, _seconds(part), 0)
            case Test.AFTER_EVENT:
                return NearEvent(column, 0, _seconds(part))
            case Test.AROUND_EVENT:
                return NearEvent(column, _seconds(part), _seconds(part))
            case other:
                assert_never(other)

    def column(self, part: Filter, prop: Property) -> Column:
        """Return the column of a property; a cluster or tag is a column of its members, which the plan then reads."""
        if prop.table != "cluster":
            return Column(prop.table, prop.name)
        source = ClusterSource(prop.name, part.cluster_date)
        if source not in self.clusters:
            self.clusters.append(source)
        return Column("cluster", "user_id" if prop.type == "cluster" else "value", self.clusters.index(source))

    def values(self, test: NumberTest, prop: Property, ftv: Sequence[str]) -> Interval | Points:
        """Return the bounds or points that a string, number or time is compared with."""
        if prop.type == "string":
            return Points(tuple(dict.fromkeys(ftv)))
        if prop.type == "time":
            return self.times(test, ftv)
        return _numbers(test, [n for n in map(parse_number, ftv) if n is not None], prop.scale)

    def times(self, test: NumberTest, ftv: Sequence[str]) -> Interval | Points:
        moments = [self.moment(text) for text in ftv]
        match test:
            case Test.ONE_OF:
                return Points(tuple(dict.fromkeys(m for m in moments if m is not None)))
            case Test.ABOVE:
                return Interval(low=moments[0], low_open=True)
            case Test.BELOW:
                return Interval(high=moments[0], high_open=True)
            case Test.BETWEEN:
                upper = parse_time(ftv[1])
                if upper and upper.bare_date:  # includes its whole day
                    return Interval(moments[0], after(upper.moment.date(), self.zone), high_open=True)
                return Interval(moments[0], moments[1])
            case other:
                assert_never(other)

    def moment(self, text: str) -> datetime | None:
        written = parse_time(text)
        return instant(written.moment, self.zone) if written else None


def _numbers(test: NumberTest, numbers: Sequence[Decimal], scale: int | None) -> Interval | Points:
    match test:
        case Test.ONE_OF:
            return points(numbers, scale)
        case Test.ABOVE:
            return above(numbers[0], scale)
        case Test.BELOW:
            return below(numbers[0], scale)
        case Test.BETWEEN:
            return between(numbers[0], numbers[1], scale)
        case other:
            assert_never(other)


def _measure_test(
    word: MeasureWord, test: NumberTest, numbers: Sequence[Decimal], scale: int | None
) -> Interval | Points:
    """Return the bounds of a measure; those of exact averages and medians as `Measured` says."""
    match word:
        case "TIMES" | "DISTINCT" | "SUM" | "MAX" | "MIN":
            return _numbers(test, numbers, scale)
        case "AVG":
            return _numbers(test, numbers, None if scale is None else MAX_PLACES)
        case "MEDIAN":
            return _numbers(test, numbers if scale is None else [twice(n) for n in numbers], scale)
        case other:
            assert_never(other)


def _within(column: Column, where: Interval | Points, negated: bool) -> Predicate:
    """Return a test of values; Never, or its negation, where no value of the column can pass it."""
    nothing = not where.values if isinstance(where, Points) else _empty(where)
    if not nothing:
        return Within(column, where, negated)
    return Missing(column, negated=True) if negated else Never()


def _empty(where: Interval) -> bool:
    if where.low is None or where.high is None:
        return False
    open_end = where.low_open or where.high_open
    return bool(where.low > where.high or (open_end and where.low == where.high))  # type: ignore[operator]  # both of one kind


def _seconds(part: Filter) -> int:
    return int(part.ftv[0]) * words.TIME_UNITS[part.time_unit][0]
