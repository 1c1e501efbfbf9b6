"""The check of SQL that users write, before anything runs: one SELECT, the project's own tables, listed functions.

The text is read into a tree and every node is checked against the allow-lists of `words.py`; what is not on them is
refused by name, with its place. This is the layer that explains. The layers that hold without it are in
`engines/duckdb/sandbox`: the engine's own tree of the same text, a connection that can neither write nor open files,
and a process that is killed at its limits (docs/sql-clusters.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import TYPE_CHECKING, Literal

from mcp_server.errors import InvalidDefinition, Problem
from mcp_server.language.problems import blocking, finding, warnings_of
from mcp_server.language.sql import LONGEST, DayRange
from mcp_server.text import Text
from mcp_server.user_sql.parameters import Template, at, days_of, parameter_problems, place_in, read_template
from mcp_server.user_sql.words import table_names

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.tokenizer_core import Token


MOST_LEVELS = 32
"""Brackets inside brackets; each costs the parser some thirty calls of Python's stack."""
MOST_PROBLEMS = 20
MOST_TABLES = 100
"""Mentions of tables; more than that is no query that a person wrote."""
_STARTS = frozenset({"SELECT", "WITH", "FROM", "(", "VALUES"})
_RESULT: Mapping[int, Text] = {
    1: Text('one column, "#user_id"', '一列 "#user_id"'),
    2: Text('two columns, "#user_id" and the value', '两列，即 "#user_id" 和标签值'),
}


@dataclass(frozen=True, slots=True)
class CheckedSql:
    """SQL that passed the check; `text` gives what may run."""

    sql: str
    """As it was written."""
    project_id: str
    columns: Literal[0, 1, 2]
    """1: a cluster, `#user_id`. 2: a tag, `#user_id` and the value. 0: a query, any columns."""
    clusters: frozenset[str] | None
    """The clusters and tags that it reads by name, exactly as written; None where it may read any of them."""
    parameters: Mapping[str, DayRange]
    tables: tuple[str, ...]
    """The project's tables that it reads, by their short names in lower case."""
    columns_read: tuple[str, ...]
    """Every name of a column in it, of tables or not; `*` where it takes all of them."""
    warnings: tuple[Problem, ...]
    path: str
    """JSON Pointer of the SQL, for findings while it runs."""
    _template: Template = field(repr=False)

    def text(self, today: date) -> str:
        """Return the statement for a day of the project, without a semicolon, parameters filled in."""
        days = {name: days_of(value, today) for name, value in self.parameters.items()}
        return self._template.filled({name: span for name, span in days.items() if span})


def check_sql(
    sql: str,
    project_id: str,
    *,
    columns: Literal[0, 1, 2],
    parameters: Mapping[str, DayRange] | None = None,
    path: str = "/sql",
    parameters_path: str = "/parameters",
) -> CheckedSql:
    """Check SQL of a cluster (`columns=1`), a tag (`columns=2`) or a query (`columns=0`) of a project (qp.md section 5).

    InvalidDefinition has all that is wrong with it, each with its place. What only the engine knows (columns, types) is
    checked by `bind_sql`.
    """
    given = dict(parameters or {})
    problems = list(_unfit(sql, path))
    if problems:
        raise _refused(problems)
    template, problems = read_template(sql, path)
    problems += parameter_problems(template.names, given, parameters_path)
    check = _Check(project_id, columns, path, template)
    problems += check.run()
    if blocking(problems):
        raise _refused(problems)
    return CheckedSql(
        sql,
        project_id,
        columns,
        check.clusters,
        given,
        check.tables,
        check.columns_read,
        tuple(warnings_of(problems)),
        path,
        check.statement,
    )


def _refused(problems: Sequence[Problem]) -> InvalidDefinition:
    return InvalidDefinition(
        Text("The SQL has problems; nothing was run.", "SQL 有问题，没有执行任何语句。"),
        next_step=Text("Fix them and call again.", "请修正后重新调用。"),
        problems=blocking(problems)[:MOST_PROBLEMS] + warnings_of(problems),
    )


def _unfit(sql: str, path: str) -> Iterator[Problem]:
    """Yield what is wrong with the text as a text. DuckDB 1.5 ends a statement at NUL, so control characters are refused."""
    if not sql.strip():
        yield finding("sql_empty", path)
    elif len(sql) > LONGEST:
        yield finding("sql_too_long", path, got=f"{len(sql):,}", limit=f"{LONGEST:,}")
    for offset, character in enumerate(sql[:LONGEST]):
        if (character < " " and character not in "\t\n\r") or "\ud800" <= character <= "\udfff":
            detail = Text(f"it holds the character U+{ord(character):04X}", f"含有字符 U+{ord(character):04X}")
            yield at(finding("sql_invalid", path, detail=detail), place_in(sql, offset))
            break


@dataclass(slots=True)
class _Check:
    """One run over one text; problems are collected in the order of their places."""

    project_id: str
    columns: Literal[0, 1, 2]
    path: str
    statement: Template
    clusters: frozenset[str] | None = frozenset()
    tables: tuple[str, ...] = ()
    columns_read: tuple[str, ...] = ()

    def run(self) -> list[Problem]:
        from mcp_server.user_sql import tree

        text = self.statement.filled({})
        try:
            tokens = tree.tokens_of(text)
            ends = {token.start for token in tokens if token.token_type.name == "SEMICOLON"}
            end = min(ends, default=len(text))
            body = [token for token in tokens if token.start < end]
            if early := list(self._shape(tokens, ends, body, tree.levels(body))):
                return early
            root = tree.tree_of(body, text)
        except tree.NotSql as error:
            return [self._problem("sql_invalid", error.offset, detail=error.why)]
        except tree.OtherStatement as error:
            return [self._problem("sql_construct_refused", error.offset, got=error.word)]
        except tree.TooEntangled:
            return [self._problem("sql_too_deep", limit=MOST_LEVELS)]
        problems = self._of_tree(root, text)
        self.statement = self.statement.cut(end)
        return problems

    def _shape(
        self, tokens: "Sequence[Token]", ends: set[int], body: "Sequence[Token]", levels: int
    ) -> Iterator[Problem]:
        """Yield what the tokens alone show: more than one statement, none that selects, too much to read."""
        from mcp_server.user_sql import tree

        if not body:
            yield self._problem("sql_empty")
            return
        if more := next((token for token in tokens[len(body) :] if token.start not in ends), None):
            yield self._problem("sql_several", more.start, got=more.text)
        if body[0].text.upper() not in _STARTS:
            yield self._problem("sql_not_select", body[0].start, got=body[0].text.upper())
        elif levels > MOST_LEVELS or tree.is_entangled(body):
            yield self._problem("sql_too_deep", limit=MOST_LEVELS)

    def _of_tree(self, root: "exp.Expr", text: str) -> list[Problem]:
        from mcp_server.user_sql.tree import count_tables, violations

        if count_tables(root) > MOST_TABLES:
            return [self._problem("sql_too_deep", limit=MOST_LEVELS)]
        refused = sorted(
            islice(violations(root, text, table_names(self.project_id)), MOST_PROBLEMS),
            key=lambda v: len(text) if v.offset is None else v.offset,
        )
        problems = [
            self._problem(v.code, v.offset, got=v.got, expected=v.expected, suggestion=v.suggestion, **v.values)
            for v in dict.fromkeys(refused)
        ]
        if not problems:
            problems += self._of_result(root)
            problems += self._of_data(root)
        return problems

    def _of_result(self, root: "exp.Expr") -> Iterator[Problem]:
        """Check the columns of the result, where the text alone shows them."""
        from mcp_server.user_sql.tree import result_columns

        columns = result_columns(root)
        if columns is None or not self.columns:
            return
        if len(columns) != self.columns:
            yield self._problem(
                "sql_columns", columns[0][1] if columns else None, got=len(columns), expected=_RESULT[self.columns]
            )
        elif columns[0][0].casefold() != "#user_id":
            yield self._problem("sql_id_column", columns[0][1], got=columns[0][0], suggestion='AS "#user_id"')

    def _of_data(self, root: "exp.Expr") -> Iterator[Problem]:
        """Warn of readings of events and clusters without a bound; note the tables, columns and clusters that are named."""
        from mcp_server.user_sql.tree import clusters_named, columns_named, lacks_part_date, tables_named

        self.tables, self.columns_read = tables_named(root, table_names(self.project_id)), columns_named(root)
        for offset, written in lacks_part_date(root, f"v_event_{self.project_id}".lower()):
            yield self._problem("sql_no_part_date", offset, got=written)
        results = f"user_result_cluster_{self.project_id}".lower()
        self.clusters, unclear = clusters_named(root, results)
        if self.clusters is None:
            yield self._problem("sql_all_clusters", unclear, got=results)

    def _problem(
        self,
        code: str,
        offset: int | None = None,
        *,
        got: object = "",
        expected: object = "",
        suggestion: str = "",
        **values: object,
    ) -> Problem:
        problem = finding(code, self.path, got=got, expected=expected, suggestion=suggestion, **values)
        return problem if offset is None else at(problem, self.statement.place(offset))


def result_words(columns: int) -> Text:
    """Return what the result of such SQL has, in words."""
    return _RESULT[columns]
