"""From a plan to one SQL statement: the only author of SQL over events and users, for clusters and tags."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from mcp_server.engines.dialect import SHOWN, Dialect, Tables
from mcp_server.engines.zones import FIRST
from mcp_server.language.window import Span
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
    implies,
    true_of_nothing_done,
)

# Rows, measures and predicates as SQL: what the statements of clusters and of tags have in common.


DAY = 24 * 3600
"""Seconds."""


class RowWriter:
    """Writes what is about single rows, and measures over them."""

    def __init__(self, dialect: Dialect, tables: Tables) -> None:
        self.dialect = dialect
        self.tables = tables
        self.user_id = dialect.identifier("#user_id")

    # rows

    def known_user(self, user_id: str = "user_id") -> str:
        return f"{user_id} IN (SELECT {self.user_id} FROM {self.tables.users})"

    def from_rows(self, rows: EventRows, *, with_user: bool = False) -> list[str]:
        """The lines that name a definition's event rows `e`, beside them their user `u` where one is asked for."""
        lines = [f"FROM {self.tables.events} AS e"]
        if with_user or (rows.where is not None and _asks_user(rows.where)):
            lines.append(f"JOIN {self.tables.users} AS u ON u.{self.user_id} = e.{self.user_id}")
        conditions = self._conditions(rows)
        return [*lines, *(f"{'  AND' if i else 'WHERE'} {condition}" for i, condition in enumerate(conditions))]

    def _conditions(self, rows: EventRows) -> Iterator[str]:
        """The name of the event, its days where they have a column of their own, its window, its filters."""
        if rows.event is not None:
            yield f"e.{self.dialect.identifier(self.dialect.event_name)} = {self.dialect.literal(rows.event)}"
        if self.dialect.day:
            first, last = (self.dialect.literal(day.isoformat()) for day in days_around(rows.span))
            yield f"e.{self.dialect.identifier(self.dialect.day)} BETWEEN {first} AND {last}"
        time = f"e.{self.dialect.identifier('#event_time')}"
        if rows.span.start is not None:
            yield f"{time} >= {self.dialect.literal(rows.span.start)}"
        if rows.span.end is not None:
            yield f"{time} < {self.dialect.literal(rows.span.end)}"
        if rows.where is not None:
            yield self.predicate(rows.where)

    # measures

    def measure(self, word: str, column: str, scale: int | None) -> str:
        if scale is None and word in ("SUM", "AVG", "MEDIAN"):
            return self.dialect.call("rounded", value=self.dialect.call(word, column=column))
        if word == "SUM":
            return self.dialect.call("exact_sum", column=column, scale=scale)
        if word == "MEDIAN":
            wide = self.dialect.call("wide", column=column) if scale == 0 else column
            return self.dialect.call("twice_median", wide=wide)
        return self.dialect.call(word, column=column)

    def average(self, column: str, scale: int, test: Interval | Points) -> str:
        """The average of an exact column: the sum, in steps of the column, against a bound times the count.

        A bound between two steps is a whole number of steps and a fraction; the fraction's share of the count is
        divided as whole numbers, down or up as the comparison wants, so that nothing is rounded.
        """
        total = (
            self.dialect.call("steps", column=column, steps=10**scale)
            if scale
            else self.dialect.call("exact_sum", column=column, scale=scale)
        )
        count = self.dialect.call("count", column=column)

        def against(operator: str, bound: Decimal, up: bool) -> str:
            bound_in_steps = Fraction(bound) * 10**scale
            steps, rest = divmod(bound_in_steps.numerator, bound_in_steps.denominator)
            limit = f"{count} * {self.dialect.literal(steps)}"
            if not rest:
                return f"{total} {operator} {limit}"
            parts = bound_in_steps.denominator
            share = f"({count} * {rest} + {parts - 1 if up else 0})"
            whole = f"{total} {operator} {limit} + {self.dialect.call('whole_part', value=share, parts=parts)}"
            exact = f"{self.dialect.call('rest', value=share, parts=parts)} = 0"
            return f"({exact} AND {whole})" if operator == "=" else whole

        if isinstance(test, Points):
            return " OR ".join(against("=", Decimal(str(v)), up=False) for v in test.values) or "FALSE"
        # total > bound is total > bound rounded down; total >= bound is total >= bound rounded up; and so on
        low = (
            []
            if test.low is None
            else [against(">" if test.low_open else ">=", Decimal(str(test.low)), up=not test.low_open)]
        )
        high = (
            []
            if test.high is None
            else [against("<" if test.high_open else "<=", Decimal(str(test.high)), up=test.high_open)]
        )
        return " AND ".join([*low, *high]) or f"{total} IS NOT NULL"

    # predicates

    def column(self, column: Column) -> str:
        if column.table == "cluster":
            return f"c{column.source}.{self.dialect.identifier(column.name)}"
        return f"{column.table[0]}.{self.dialect.identifier(column.name)}"

    def predicate(self, predicate: Predicate) -> str:
        """A condition on one row, in brackets where it has parts. Null (and so false) for a missing value."""
        if isinstance(predicate, Never):
            return "FALSE"
        if isinstance(predicate, Joined):
            return "(" + f" {predicate.relation.upper()} ".join(map(self.predicate, predicate.parts)) + ")"
        column = self.column(predicate.column)
        if isinstance(predicate, Missing):
            return f"{column} IS {'NOT ' if predicate.negated else ''}NULL"
        if isinstance(predicate, ItemAt):
            return self.dialect.call(
                "item_at", column=column, position=predicate.position, item=self.dialect.literal(predicate.item)
            )
        if isinstance(predicate, NearEvent):
            return self._near_event(column, predicate)
        if isinstance(predicate, Empty):
            empty = f"({column} IS NULL OR {self.dialect.call('no_items', column=column)})"
            return f"NOT {empty}" if predicate.negated else empty
        passed = self._positive(column, predicate)
        return f"NOT ({passed})" if predicate.negated else passed

    def _positive(self, column: str, predicate: Within | Contains | Matches | IsTrue | Holds) -> str:
        literal = self.dialect.literal
        if isinstance(predicate, Within):
            return self.test(column, predicate.where, negated=False)
        if isinstance(predicate, Contains):
            found = [self.dialect.call("contains", column=column, text=literal(t)) for t in predicate.texts]
            return found[0] if len(found) == 1 else f"({' OR '.join(found)})"
        if isinstance(predicate, Matches):
            return self.dialect.call("matches", column=column, pattern=literal(predicate.pattern))
        if isinstance(predicate, Holds):
            return self.dialect.call("holds", column=column, items=literal(list(predicate.items)))
        return column

    def _near_event(self, column: str, predicate: NearEvent) -> str:
        time = f"e.{self.dialect.identifier('#event_time')}"
        low, high = (
            self.dialect.call("seconds", seconds=s, days=s // DAY, rest=s % DAY)
            for s in (predicate.before, predicate.after)
        )
        return f"{column} BETWEEN {time} - {low} AND {time} + {high}"

    def test(self, value: str, where: Interval | Points, negated: bool) -> str:
        """A value against bounds or points; null where the value is."""
        if isinstance(where, Points) and not where.values:
            return f"{value} IS NOT NULL" if negated else "FALSE"
        passed = self._in_points(value, where) if isinstance(where, Points) else self._in_interval(value, where)
        return f"NOT ({passed})" if negated else passed

    def _in_points(self, value: str, where: Points) -> str:
        shown = [self.dialect.literal(v) for v in where.values]
        return f"{value} = {shown[0]}" if len(shown) == 1 else f"{value} IN ({', '.join(shown)})"

    def _in_interval(self, value: str, where: Interval) -> str:
        bounds = []
        if where.low is not None:
            bounds.append(f"{value} {'>' if where.low_open else '>='} {self.dialect.literal(where.low)}")
        if where.high is not None:
            bounds.append(f"{value} {'<' if where.high_open else '<='} {self.dialect.literal(where.high)}")
        if not bounds:
            return f"{value} IS NOT NULL"
        return bounds[0] if len(bounds) == 1 else f"({' AND '.join(bounds)})"


def days_around(span: Span) -> tuple[date, date]:
    """The days that a window touches, and one more on each side; those of the whole calendar where it is open.

    The vendor's own SQL bounds `"$part_date"` so (te-api.md section 4.2): a day there may be that of another zone.
    """
    day = timedelta(days=1)
    first = span.start.date() if span.start else date.min
    last = (span.end - timedelta(microseconds=1)).date() if span.end and span.end > FIRST else date.max
    return first - day if first > date.min else first, last + day if last < date.max else last


def _asks_user(predicate: Predicate) -> bool:
    if isinstance(predicate, Joined):
        return any(map(_asks_user, predicate.parts))
    return not isinstance(predicate, Never) and predicate.column.table == "user"


# From a plan to one SQL statement. With `emit_rows` and `emit_tag` the only author of SQL over events and users.
#
# Shape (measured, docs/decisions.md): one pruned, grouped sub-query per event condition giving (user, bit), UNION
# ALL, one GROUP BY, and the boolean tree over the bits. All conditions on users share one scan. What a dialect writes
# differently is one entry of its table; names and values enter through its two quoting functions and nowhere else.


WORD = 62
"""Bits in one mask column: a signed 64-bit integer, with room to spare."""


def selection_sql(plan: Plan, dialect: Dialect, tables: Tables = SHOWN) -> str:
    """One SELECT of one column `user_id`: the users that the plan selects, each once."""
    return MaskWriter(plan, dialect, tables).selected("user_id")


def masks_sql(plan: Plan, dialect: Dialect, tables: Tables = SHOWN) -> str:
    """One SELECT of (user_id, m0, …): every user any step of the funnel can select, with the bits that hold."""
    writer = MaskWriter(plan, dialect, tables)
    trees = [plan.tree, *(t for step in plan.funnel for t in (step.alone, step.left))]
    everyone = any(map(true_of_nothing_done, trees))
    where = "" if tables.users_complete else f"\nWHERE {writer.known_user()}"
    return f"{writer.masks(everyone)}\nSELECT *\nFROM masks{where}"


def funnel_sql(plan: Plan, dialect: Dialect, masks: str) -> str:
    """One row of counts over a table of masks: alone and left of each step in turn, then the whole."""
    writer = MaskWriter(plan, dialect, SHOWN)
    trees = [t for step in plan.funnel for t in (step.alone, step.left)]
    counts = [f"count(CASE WHEN {writer.tree(t)} THEN 1 END)" for t in (*trees, plan.tree)]
    return f"SELECT {', '.join(counts)}\nFROM {masks}"


def counted_sql(plan: Plan, dialect: Dialect, tables: Tables) -> str:
    """One row of counts in one statement: all users, alone and left of each step in turn, then the whole."""
    writer = MaskWriter(plan, dialect, tables)
    trees = [t for step in plan.funnel for t in (step.alone, step.left)]
    counts = [f"count(CASE WHEN {writer.tree(t)} THEN 1 END)" for t in (*trees, plan.tree)]
    everyone = any(map(true_of_nothing_done, (*trees, plan.tree)))
    return (
        f"{writer.masks(everyone)}\nSELECT (SELECT count(*) FROM {tables.users}), {', '.join(counts)}"
        f"\nFROM masks\nWHERE {writer.known_user()}"
    )


def chosen_sql(plan: Plan, dialect: Dialect, masks: str) -> str:
    """The selected users of a table of masks."""
    return f"SELECT user_id FROM {masks} WHERE {MaskWriter(plan, dialect, SHOWN).tree(plan.tree)}"


def _lines(parts: list[str]) -> str:
    return "\n  AND ".join(parts)


class MaskWriter(RowWriter):
    """Writes the parts of one statement over the bits of a plan."""

    def __init__(self, plan: Plan, dialect: Dialect, tables: Tables) -> None:
        super().__init__(dialect, tables)
        self.plan = plan
        # In a statement that is only shown, a cluster stands as a table of its name.
        self.members = tables.members or tuple(dialect.identifier(c.name) for c in plan.clusters)
        self.words = range((max(plan.bits, 1) + WORD - 1) // WORD)

    # the frame

    def selected(self, columns: str) -> str:
        """The whole statement: columns over the bits of the users that the plan selects, each user once."""
        where = [self.tree(self.plan.tree)]
        user_bits = frozenset(u.bit for u in self.plan.users)
        if not self.tables.users_complete and not implies(self.plan.tree, user_bits):
            where.append(self.known_user())
        return (
            f"{self.masks(true_of_nothing_done(self.plan.tree))}\nSELECT {columns}\nFROM masks\nWHERE {_lines(where)}"
        )

    def masks(self, everyone: bool) -> str:
        """`WITH masks AS (…)`: one row per user, one column of bits per 62 conditions."""
        branches = [self.event_branch(e) for e in self.plan.events]
        if self.plan.users or everyone:
            branches.append(self.user_branch(self.plan.users, everyone))
        if len(branches) == 1:  # one branch lists each user once already
            return f"WITH masks AS (\n{_indented(branches[0])}\n)"
        union = "\n  UNION ALL\n".join(map(_indented, branches))
        merged = ", ".join(f"{self.dialect.call('merge', mask=f'm{w}')} AS m{w}" for w in self.words)
        return f"WITH bits AS (\n{union}\n), masks AS (\n  SELECT user_id, {merged}\n  FROM bits\n  GROUP BY user_id\n)"

    def event_branch(self, event: EventBit) -> list[str]:
        """The lines of one event condition's sub-query."""
        mask = ", ".join(f"{self._value(event.bit, w)} AS m{w}" for w in self.words)
        lines = [f"SELECT e.{self.user_id} AS user_id, {mask}", *self.from_rows(event.rows)]
        lines.append(f"GROUP BY e.{self.user_id}")
        having = self.having(event)
        return [*lines, f"HAVING {having}"] if having else lines

    def user_branch(self, users: tuple[UserBit, ...], everyone: bool) -> list[str]:
        """The lines of the one sub-query of all conditions on users."""
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

    def _value(self, bit: int, word: int) -> int:
        return 1 << bit % WORD if bit // WORD == word else 0

    def tree(self, tree: Tree) -> str:
        """The boolean tree over the bits."""
        if isinstance(tree, Bit):
            function = "lacks_bit" if tree.inverted else "has_bit"
            return self.dialect.call(function, mask=f"m{tree.bit // WORD}", bit=1 << tree.bit % WORD)
        return "(" + f" {tree.relation.upper()} ".join(map(self.tree, tree.parts)) + ")"

    def having(self, event: EventBit) -> str:
        """What the rows of one user must pass; "" where any row does."""
        measured = event.measured
        if measured.word == "TIMES" and _any_row(measured.test, fails=event.complement != measured.negated):
            return ""
        column = self.column(measured.column) if measured.column else ""
        negated = event.complement != measured.negated
        if measured.scale is not None and measured.word == "AVG":
            passed = self.average(column, measured.scale, measured.test)
            return f"NOT ({passed})" if negated else passed
        return self.test(self.measure(measured.word, column, measured.scale), measured.test, negated)


def _any_row(test: Interval | Points, *, fails: bool) -> bool:
    """True where every count from 1 up passes (or, with `fails`, fails) the test: a user with any row at all."""
    if isinstance(test, Points):
        return fails and all(v == 0 for v in test.values)
    first_passes, zero_like = (
        test.holds(1),
        test.high is not None and not test.holds(1) and (test.low is None or test.holds(0)),
    )
    return zero_like if fails else first_passes and test.high is None


def _indented(lines: list[str]) -> str:
    """Lines of a sub-query, set in. Lines are never split: a literal may hold line breaks of its own."""
    return "\n".join("  " + line for line in lines)


# From a tag's plan to one SQL statement: one SELECT of (user_id, value), each user at most once, no value null.


def tag_sql(plan: TagPlan, dialect: Dialect, tables: Tables = SHOWN) -> str:
    """The users of the user table that a tag reaches, with their values (qp.md section 5).

    Values are VARCHAR for a tag of values, the property's own type for first and last; counts are BIGINT, exact
    columns stay exact (a median has one place more), everything else is a DOUBLE rounded to 9 places.
    """
    if isinstance(plan, ValuesTag):
        return _values(plan, dialect, tables)
    writer = RowWriter(dialect, tables)
    return _taken(plan, writer) if isinstance(plan, TakenTag) else _measured(plan, writer)


def _values(plan: ValuesTag, dialect: Dialect, tables: Tables) -> str:
    """The bits of all definitions at once; of those that select a user, the first gives the value."""
    writer = MaskWriter(plan.plan, dialect, tables)
    cases = " ".join(f"WHEN {writer.tree(tree)} THEN {dialect.literal(text)}" for text, tree in plan.values)
    return writer.selected(f"user_id, CASE {cases} END AS value")


def _taken(plan: TakenTag, writer: RowWriter) -> str:
    """The value of one row per user, the first or last by time and load number; a missing value in it is no value."""
    time, row = (f"e.{writer.dialect.identifier(name)}" for name in ("#event_time", "$row"))
    turn = writer.dialect.call("turn", time=time, row=row)
    value = writer.dialect.call("first" if plan.first else "last", column=writer.column(plan.column), turn=turn)
    return _grouped(value, plan.rows, writer, with_user=plan.column.table == "user")


def _measured(plan: MeasureTag, writer: RowWriter) -> str:
    """A measure per user; one without any value is no value."""
    return _grouped(_measure(plan, writer), plan.rows, writer, with_user=False)


def _grouped(value: str, rows: EventRows, writer: RowWriter, *, with_user: bool) -> str:
    """One group per user of the user table."""
    user_id = f"e.{writer.user_id}"
    inner = [
        f"SELECT {user_id} AS user_id, {value} AS value",
        *_known_rows(rows, writer, with_user=with_user),
        f"GROUP BY {user_id}",
    ]
    lines = "\n".join("  " + line for line in inner)
    return f"SELECT user_id, value\nFROM (\n{lines}\n) AS valued\nWHERE value IS NOT NULL"


def _known_rows(rows: EventRows, writer: RowWriter, *, with_user: bool) -> list[str]:
    """The rows of users of the user table."""
    lines = writer.from_rows(rows, with_user=with_user)
    if writer.tables.users_complete:
        return lines
    joint = "  AND" if any(line.startswith("WHERE ") for line in lines) else "WHERE"
    return [*lines, f"{joint} {writer.known_user(f'e.{writer.user_id}')}"]


def _measure(plan: MeasureTag, writer: RowWriter) -> str:
    call = writer.dialect.call
    column = writer.column(plan.column) if plan.column else ""
    if plan.word == "AVG":
        return call("rounded", value=call("AVG", column=column))
    value = writer.measure(plan.word, column, plan.scale)
    if plan.scale is None or plan.word not in ("SUM", "MEDIAN"):
        return value
    exact = call("exact", value=value) if plan.scale == 0 else value
    return exact if plan.word == "SUM" else call("half", value=exact, scale=plan.scale + 1)
