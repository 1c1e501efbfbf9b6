"""From a plan to one SQL statement. With `emit_rows` and `emit_tag` the only author of SQL over events and users.

Shape (measured, docs/decisions.md): one pruned, grouped sub-query per event condition giving (user, bit),
UNION ALL, one GROUP BY, and the boolean tree over the bits. All conditions on users share one scan. What a
dialect writes differently is one entry of its table; names and values enter through its two quoting
functions and nowhere else.
"""

from mcp_server.engine.dialect import SHOWN, Dialect, Tables
from mcp_server.engine.emit_rows import RowWriter
from mcp_server.engine.plan import Bit, EventBit, Interval, Plan, Points, Tree, UserBit, implies, true_of_nothing_done

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
