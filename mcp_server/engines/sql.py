"""From a plan to one SQL statement: the only author of SQL over events and users, for clusters and tags.

What a dialect writes differently is one of its forms; names and values enter through its two quoting functions and
nowhere else.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import assert_never

from mcp_server.engines.dialect import ROW, SHOWN, Dialect, Tables
from mcp_server.language.values import Span
from mcp_server.language.vocabulary import MeasureWord, Relation
from mcp_server.plan.plan import (
    Bit,
    Column,
    Contains,
    Empty,
    EventBit,
    EventRows,
    Holds,
    Interval,
    IsTrue,
    ItemAt,
    Joined,
    Matches,
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
    holds_without_bits,
    needs,
)

# Rows, measures and predicates

_DAY = 24 * 3600
"""Seconds."""


class RowWriter:
    """Writes conditions on single rows, and measures over rows."""

    def __init__(self, dialect: Dialect, tables: Tables) -> None:
        self.dialect = dialect
        self.tables = tables
        self.user_id = dialect.identifier("#user_id")
        self.event_time = f"e.{dialect.identifier('#event_time')}"

    def known_user(self, user_id: str = "user_id") -> str:
        return f"{user_id} IN (SELECT {self.user_id} FROM {self.tables.users})"

    def from_rows(self, rows: EventRows, *, with_user: bool = False) -> list[str]:
        """Return the lines that name the event rows `e` and, where a filter or the caller needs it, their user `u`."""
        lines = [f"FROM {self.tables.events} AS e"]
        if with_user or (rows.where is not None and _reads_user(rows.where)):
            lines.append(f"JOIN {self.tables.users} AS u ON u.{self.user_id} = e.{self.user_id}")
        conditions = self._conditions(rows)
        return [*lines, *(f"{'  AND' if i else 'WHERE'} {condition}" for i, condition in enumerate(conditions))]

    def _conditions(self, rows: EventRows) -> Iterator[str]:
        """Yield the event's name, its days where they have a column of their own, its window, its filters."""
        dialect, span = self.dialect, rows.span
        if rows.event is not None:
            yield f"e.{dialect.identifier(dialect.event_name)} = {dialect.literal(rows.event)}"
        if dialect.day:
            first, last = (dialect.literal(day.isoformat()) for day in days_around(span))
            yield f"e.{dialect.identifier(dialect.day)} BETWEEN {first} AND {last}"
        if span.start is not None:
            yield f"{self.event_time} >= {dialect.literal(span.start)}"
        if span.end is not None:
            yield f"{self.event_time} < {dialect.literal(span.end)}"
        if rows.where is not None:
            yield self.predicate(rows.where)

    # Measures

    def measure(self, word: MeasureWord, column: str, scale: int | None) -> str:
        """Return a measure; of an exact column the median is doubled, and the average is that of doubles."""
        dialect = self.dialect
        match word:
            case "TIMES":
                return dialect.rows()
            case "DISTINCT":
                return dialect.distinct(column=column)
            case "MAX":
                return dialect.largest(column=column)
            case "MIN":
                return dialect.smallest(column=column)
            case "AVG":
                return dialect.rounded(value=dialect.average(column=column))
            case "SUM":
                if scale is None:
                    return dialect.rounded(value=dialect.sum(column=column))
                return dialect.exact_sum(column=column, scale=scale)
            case "MEDIAN":
                if scale is None:
                    return dialect.rounded(value=dialect.median(column=column))
                return dialect.twice_median(wide=dialect.wide(column=column) if scale == 0 else column)
            case other:
                assert_never(other)

    def average(self, column: str, scale: int, test: Interval | Points) -> str:
        """Return a test of the average of an exact column: the sum, in steps of the column, against a bound times the count.

        A bound between two steps is a whole number of steps and a fraction. The fraction's share of the count is
        divided as whole numbers, down or up as the comparison needs it, so nothing is rounded.
        """
        dialect = self.dialect
        total = (
            dialect.steps(column=column, steps=10**scale) if scale else dialect.exact_sum(column=column, scale=scale)
        )
        count = dialect.count(column=column)

        def against(operator: str, bound: object, up: bool) -> str:
            in_steps = Fraction(Decimal(str(bound))) * 10**scale
            parts = in_steps.denominator
            steps, rest = divmod(in_steps.numerator, parts)
            limit = f"{count} * {dialect.literal(steps)}"
            if not rest:
                return f"{total} {operator} {limit}"
            share = f"({count} * {rest} + {parts - 1 if up else 0})"
            whole = f"{total} {operator} {limit} + {dialect.whole_part(value=share, parts=parts)}"
            return f"({dialect.rest(value=share, parts=parts)} = 0 AND {whole})" if operator == "=" else whole

        if isinstance(test, Points):
            return " OR ".join(against("=", value, up=False) for value in test.values) or "FALSE"
        # total > bound is total > bound rounded down; total >= bound is total >= bound rounded up; and so on
        bounds = []
        if test.low is not None:
            bounds.append(against(">" if test.low_open else ">=", test.low, up=not test.low_open))
        if test.high is not None:
            bounds.append(against("<" if test.high_open else "<=", test.high, up=test.high_open))
        return " AND ".join(bounds) or f"{total} IS NOT NULL"

    # Predicates

    def column(self, column: Column) -> str:
        table = f"c{column.source}" if column.table == "cluster" else column.table[0]
        return f"{table}.{self.dialect.identifier(column.name)}"

    def predicate(self, predicate: Predicate) -> str:
        """Return a condition on one row, in brackets where it has parts; NULL (and so false) for a missing value."""
        if isinstance(predicate, Never):
            return "FALSE"
        if isinstance(predicate, Joined):
            return _joined(predicate.relation, map(self.predicate, predicate.parts))
        column, dialect = self.column(predicate.column), self.dialect
        match predicate:
            case Missing():
                return f"{column} IS {'NOT ' if predicate.negated else ''}NULL"
            case ItemAt():
                item = dialect.literal(predicate.item)
                return dialect.item_at(column=column, position=predicate.position, item=item)
            case NearEvent():
                spans = (predicate.before, predicate.after)
                low, high = (dialect.seconds(seconds=s, days=s // _DAY, rest=s % _DAY) for s in spans)
                return f"{column} BETWEEN {self.event_time} - {low} AND {self.event_time} + {high}"
            case Empty():
                passed = f"({column} IS NULL OR {dialect.no_items(column=column)})"
                return f"NOT {passed}" if predicate.negated else passed
            case Within() | Contains() | Matches() | IsTrue() | Holds():
                passed = self._unnegated(column, predicate)
                return f"NOT ({passed})" if predicate.negated else passed
            case other:
                assert_never(other)

    def _unnegated(self, column: str, predicate: Within | Contains | Matches | IsTrue | Holds) -> str:
        literal = self.dialect.literal
        match predicate:
            case Within():
                return self.test(column, predicate.where, negated=False)
            case Contains():
                tests = [self.dialect.contains(column=column, text=literal(text)) for text in predicate.texts]
                return tests[0] if len(tests) == 1 else f"({' OR '.join(tests)})"
            case Matches():
                return self.dialect.matches(column=column, pattern=literal(predicate.pattern))
            case Holds():
                return self.dialect.holds(column=column, items=literal(list(predicate.items)))
            case IsTrue():
                return column
            case other:
                assert_never(other)

    def test(self, value: str, where: Interval | Points, negated: bool) -> str:
        """Return a test of a value against bounds or points; NULL where the value is."""
        if isinstance(where, Points):
            if not where.values:
                return f"{value} IS NOT NULL" if negated else "FALSE"
            points = [self.dialect.literal(point) for point in where.values]
            passed = f"{value} = {points[0]}" if len(points) == 1 else f"{value} IN ({', '.join(points)})"
        else:
            bounds = []
            if where.low is not None:
                bounds.append(f"{value} {'>' if where.low_open else '>='} {self.dialect.literal(where.low)}")
            if where.high is not None:
                bounds.append(f"{value} {'<' if where.high_open else '<='} {self.dialect.literal(where.high)}")
            passed = (
                bounds[0] if len(bounds) == 1 else f"({' AND '.join(bounds)})" if bounds else f"{value} IS NOT NULL"
            )
        return f"NOT ({passed})" if negated else passed


def days_around(span: Span) -> tuple[date, date]:
    """Return the first and last day that a window touches, one more on each side; those of the calendar where it is open.

    The vendor's own SQL bounds `"$part_date"` so (te-api.md section 4.2): a day there may be that of another zone.
    """
    day = timedelta(days=1)
    first = span.start.date() if span.start else date.min
    last = (span.end - timedelta(microseconds=1)).date() if span.end and span.end > datetime.min else date.max  # noqa: DTZ901 - instants are naive
    return first - day if first > date.min else first, last + day if last < date.max else last


def _reads_user(predicate: Predicate) -> bool:
    if isinstance(predicate, Joined):
        return any(map(_reads_user, predicate.parts))
    return not isinstance(predicate, Never) and predicate.column.table == "user"


def _joined(relation: Relation, parts: Iterator[str]) -> str:
    match relation:
        case "and":
            return f"({' AND '.join(parts)})"
        case "or":
            return f"({' OR '.join(parts)})"
        case other:
            assert_never(other)


# Clusters
#
# Shape (measured, docs/decisions.md): one pruned, grouped sub-query per event condition giving (user, bit), UNION
# ALL, one GROUP BY, and the boolean tree over the bits. All conditions on users share one scan.

WORD = 62
"""Bits in one mask column: a signed 64-bit integer, with room to spare."""


def selection_sql(plan: Plan, dialect: Dialect, tables: Tables = SHOWN) -> str:
    """Return one SELECT of one column `user_id`: the users that the plan selects, each once."""
    return MaskWriter(plan, dialect, tables).selected("user_id")


def masks_sql(plan: Plan, dialect: Dialect, tables: Tables = SHOWN) -> str:
    """Return one SELECT of (user_id, m0, …): each user that any step of the funnel can select, with the bits that hold."""
    writer = MaskWriter(plan, dialect, tables)
    where = "" if tables.users_complete else f"\nWHERE {writer.known_user()}"
    return f"{writer.masks(any(map(holds_without_bits, _funnel(plan))))}\nSELECT *\nFROM masks{where}"


def funnel_sql(plan: Plan, dialect: Dialect, masks: str) -> str:
    """Return one row of counts over a table of masks: alone and left of each step in turn, then the whole."""
    return f"SELECT {_counts(plan, MaskWriter(plan, dialect, SHOWN))}\nFROM {masks}"


def counted_sql(plan: Plan, dialect: Dialect, tables: Tables) -> str:
    """Return one row of counts in one statement: all users, alone and left of each step in turn, then the whole."""
    writer = MaskWriter(plan, dialect, tables)
    everyone = any(map(holds_without_bits, _funnel(plan)))
    return (
        f"{writer.masks(everyone)}\nSELECT (SELECT count(*) FROM {tables.users}), {_counts(plan, writer)}"
        f"\nFROM masks\nWHERE {writer.known_user()}"
    )


def chosen_sql(plan: Plan, dialect: Dialect, masks: str) -> str:
    """Return a query of the selected users of a table of masks."""
    return f"SELECT user_id FROM {masks} WHERE {MaskWriter(plan, dialect, SHOWN).tree(plan.tree)}"


def _funnel(plan: Plan) -> list[Tree]:
    return [*(tree for step in plan.funnel for tree in (step.alone, step.left)), plan.tree]


def _counts(plan: Plan, writer: "MaskWriter") -> str:
    return ", ".join(f"count(CASE WHEN {writer.tree(tree)} THEN 1 END)" for tree in _funnel(plan))


class MaskWriter(RowWriter):
    """Writes the parts of one statement over the bits of a plan."""

    def __init__(self, plan: Plan, dialect: Dialect, tables: Tables) -> None:
        super().__init__(dialect, tables)
        self.plan = plan
        # In a statement that is only shown, a cluster is a table of its name.
        self.members = tables.members or tuple(dialect.identifier(c.name) for c in plan.clusters)
        self.words = range((max(plan.bits, 1) + WORD - 1) // WORD)

    def selected(self, columns: str) -> str:
        """Return the whole statement: columns over the bits of the users that the plan selects, each user once."""
        where = self.tree(self.plan.tree)
        if not self.tables.users_complete and not needs(self.plan.tree, frozenset(u.bit for u in self.plan.users)):
            where += f"\n  AND {self.known_user()}"
        return f"{self.masks(holds_without_bits(self.plan.tree))}\nSELECT {columns}\nFROM masks\nWHERE {where}"

    def masks(self, everyone: bool) -> str:
        """Return `WITH masks AS (…)`: one row per user, one column of bits per 62 conditions."""
        branches = [self.event_branch(e) for e in self.plan.events]
        if self.plan.users or everyone:
            branches.append(self.user_branch(self.plan.users, everyone))
        if len(branches) == 1:  # one branch lists each user once already
            return f"WITH masks AS (\n{_indented(branches[0])}\n)"
        union = "\n  UNION ALL\n".join(map(_indented, branches))
        merged = ", ".join(f"{self.dialect.merge(mask=f'm{w}')} AS m{w}" for w in self.words)
        return f"WITH bits AS (\n{union}\n), masks AS (\n  SELECT user_id, {merged}\n  FROM bits\n  GROUP BY user_id\n)"

    def event_branch(self, event: EventBit) -> list[str]:
        """Return the lines of one event condition's sub-query."""
        word, bit = divmod(event.bit, WORD)
        mask = ", ".join(f"{1 << bit if w == word else 0} AS m{w}" for w in self.words)
        lines = [f"SELECT e.{self.user_id} AS user_id, {mask}", *self.from_rows(event.rows)]
        lines.append(f"GROUP BY e.{self.user_id}")
        having = self.having(event)
        return [*lines, f"HAVING {having}"] if having else lines

    def user_branch(self, users: tuple[UserBit, ...], everyone: bool) -> list[str]:
        """Return the lines of the one sub-query of all conditions on users."""
        tests = [(u.bit, self.predicate(u.where)) for u in users]
        columns = []
        for w in self.words:
            cases = [f"CASE WHEN {test} THEN {1 << bit % WORD} ELSE 0 END" for bit, test in tests if bit // WORD == w]
            columns.append(f"{' + '.join(cases) or '0'} AS m{w}")
        lines = [f"SELECT u.{self.user_id} AS user_id, {', '.join(columns)}", f"FROM {self.tables.users} AS u"]
        lines += [
            f"LEFT JOIN {members} AS c{i} ON c{i}.user_id = u.{self.user_id}" for i, members in enumerate(self.members)
        ]
        return lines if everyone else [*lines, f"WHERE {' OR '.join(test for _, test in tests)}"]

    def tree(self, tree: Tree) -> str:
        """Return the boolean tree over the bits."""
        if isinstance(tree, Bit):
            holds = self.dialect.lacks_bit if tree.inverted else self.dialect.has_bit
            return holds(mask=f"m{tree.bit // WORD}", bit=1 << tree.bit % WORD)
        return _joined(tree.relation, map(self.tree, tree.parts))

    def having(self, event: EventBit) -> str:
        """Return what the rows of one user must pass; "" where any row does."""
        measured = event.measured
        negated = event.complement != measured.negated
        if measured.word == "TIMES" and _any_row(measured.test, fails=negated):
            return ""
        column = self.column(measured.column) if measured.column else ""
        if measured.scale is not None and measured.word == "AVG":
            passed = self.average(column, measured.scale, measured.test)
            return f"NOT ({passed})" if negated else passed
        return self.test(self.measure(measured.word, column, measured.scale), measured.test, negated)


def _any_row(test: Interval | Points, *, fails: bool) -> bool:
    """Whether every count from 1 up passes (or, with `fails`, fails) the test: it holds for a user with any row."""
    if isinstance(test, Points):
        return fails and all(v == 0 for v in test.values)
    if fails:
        return test.high is not None and not test.holds(1) and (test.low is None or test.holds(0))
    return test.holds(1) and test.high is None


def _indented(lines: list[str]) -> str:
    """Indent the lines of a sub-query. Lines are never split: a literal may hold line breaks of its own."""
    return "\n".join("  " + line for line in lines)


# Tags


def tag_sql(plan: TagPlan, dialect: Dialect, tables: Tables = SHOWN) -> str:
    """Return one SELECT of (user_id, value): the users of the user table that a tag reaches (qp.md section 5).

    Each user is there at most once, and no value is NULL. Values are VARCHAR for a tag of values, the property's own
    type for first and last; counts are BIGINT, exact columns stay exact (a median has one place more), everything
    else is a DOUBLE rounded to 9 places.
    """
    match plan:
        case ValuesTag():  # the bits of all definitions at once; the first definition that selects a user gives the value
            masks = MaskWriter(plan.plan, dialect, tables)
            cases = " ".join(f"WHEN {masks.tree(tree)} THEN {dialect.literal(text)}" for text, tree in plan.values)
            return masks.selected(f"user_id, CASE {cases} END AS value")
        case TakenTag():  # one row of each user, the first or last by time and load number
            writer = RowWriter(dialect, tables)
            turn = dialect.turn(time=writer.event_time, row=f"e.{dialect.identifier(ROW)}")
            value = (dialect.first if plan.first else dialect.last)(column=writer.column(plan.column), turn=turn)
            return _grouped(value, plan.rows, writer, with_user=plan.column.table == "user")
        case MeasureTag():
            writer = RowWriter(dialect, tables)
            return _grouped(_value(plan, writer), plan.rows, writer, with_user=False)
        case other:
            assert_never(other)


def _grouped(value: str, rows: EventRows, writer: RowWriter, *, with_user: bool) -> str:
    """Return a value of each user of the user table, from the user's rows; a NULL is no value."""
    user_id = f"e.{writer.user_id}"
    lines = [f"SELECT {user_id} AS user_id, {value} AS value", *writer.from_rows(rows, with_user=with_user)]
    if not writer.tables.users_complete:
        joint = "  AND" if any(line.startswith("WHERE ") for line in lines) else "WHERE"
        lines.append(f"{joint} {writer.known_user(user_id)}")
    lines.append(f"GROUP BY {user_id}")
    return f"SELECT user_id, value\nFROM (\n{_indented(lines)}\n) AS valued\nWHERE value IS NOT NULL"


def _value(plan: MeasureTag, writer: RowWriter) -> str:
    """Return a measure as a tag keeps it: exact sums and medians with their places."""
    value = writer.measure(plan.word, writer.column(plan.column) if plan.column else "", plan.scale)
    if plan.scale is None or plan.word not in ("SUM", "MEDIAN"):
        return value
    exact = writer.dialect.exact(value=value) if plan.scale == 0 else value
    return exact if plan.word == "SUM" else writer.dialect.half(value=exact, scale=plan.scale + 1)
