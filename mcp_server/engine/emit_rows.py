"""Rows, measures and predicates as SQL: what the statements of clusters and of tags have in common."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from mcp_server.engine.dialect import Dialect, Tables
from mcp_server.engine.plan import (
    Column,
    Contains,
    Empty,
    EventRows,
    Holds,
    Interval,
    IsTrue,
    ItemAt,
    Joined,
    Matches,
    Missing,
    NearEvent,
    Never,
    Points,
    Predicate,
    Within,
)
from mcp_server.engine.zones import FIRST
from mcp_server.qp.window import Span

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
