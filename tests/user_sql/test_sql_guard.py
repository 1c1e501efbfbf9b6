"""The check of users' SQL: everything off the lists is refused with its name and place, in time."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest

from mcp_server.errors import InvalidDefinition, Problem
from mcp_server.language.sql import LONGEST
from mcp_server.user_sql.guard import CheckedSql, check_sql
from mcp_server.user_sql.words import FUNCTIONS, HINTS
from tests.steps import counted
from tests.user_sql.sql_attacks import ATTACKS, FILES, GUARDED
from tests.user_sql.sql_kit import TODAY, Desk, make

MOST_STEPS = 3_000_000
"""Three times what the worst of these takes; what is entangled without a check takes billions."""
USERS = 'SELECT "#user_id" FROM v_user_1'


def check(sql: str, **parameters: str | tuple[str, str]) -> CheckedSql:
    return check_sql(sql, "1", columns=1, parameters=parameters)


def problems_of(sql: str, **parameters: str | tuple[str, str]) -> list[Problem]:
    with pytest.raises(InvalidDefinition) as caught:
        check(sql, **parameters)
    return list(caught.value.problems)


def warnings_of(sql: str, **parameters: str | tuple[str, str]) -> list[str]:
    return [w.code for w in check(sql, **parameters).warnings]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(make(tmp_path_factory.mktemp("project")))
    yield made
    made.connection.close()


# -- attacks --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sql", "code"), [*ATTACKS, *GUARDED])
def test_what_must_not_run_is_refused(sql: str, code: str) -> None:
    assert code in {problem.code for problem in problems_of(sql)}


@pytest.mark.parametrize("sql", [sql for sql, _ in ATTACKS])
def test_the_engines_own_tree_refuses_it_as_well(desk: Desk, sql: str) -> None:
    try:
        refused = desk.refusals(sql)
    except duckdb.Error:
        return
    assert refused != []


@pytest.mark.parametrize("sql", FILES)
def test_the_connection_can_neither_write_nor_open_anything(desk: Desk, tmp_path: Path, sql: str) -> None:
    target = tmp_path / "target"
    before = desk.project.data.path.read_bytes()
    with pytest.raises(duckdb.Error):
        desk.connection.execute(sql.format(target))
    if sql.startswith("SELECT"):
        target.write_text("secret", encoding="utf-8")
        with pytest.raises(duckdb.Error):
            desk.connection.execute(sql.format(target))
    else:
        assert not target.exists()
    assert desk.project.data.path.read_bytes() == before
    desk.connection.execute("ROLLBACK; BEGIN TRANSACTION READ ONLY")


def test_names_given_by_with_count_only_where_they_are_given() -> None:
    assert (
        check('WITH pg_class AS (SELECT 1 AS x) SELECT u."#user_id" FROM v_user_1 u, pg_class').clusters == frozenset()
    )
    [problem] = problems_of(
        'SELECT 1 AS "#user_id" FROM pg_class, (WITH pg_class AS (SELECT 1) SELECT 1 FROM pg_class) AS x'
    )
    assert (problem.got, "column 29" in problem.message.en) == ("pg_class", True)


def test_functions_on_the_list_exist_in_the_engine(desk: Desk) -> None:
    known = {str(name) for (name,) in desk.rows("SELECT function_name FROM duckdb_functions()")}
    grammar = {"coalesce", "date", "grouping", "if", "ifnull", "percentile_cont", "percentile_disc", "try", "overlay"}
    assert known >= FUNCTIONS - grammar


def test_hints_are_for_functions_that_are_refused_and_name_functions_that_are_not() -> None:
    assert set(HINTS) & FUNCTIONS == set()
    for name, hint in HINTS.items():
        [problem] = problems_of(f'SELECT "#user_id" FROM v_user_1 WHERE {name}(city, level) = 1')
        assert hint.en in problem.message.en
        assert hint.zh in problem.message.zh


# -- what is said ---------------------------------------------------------------------------------------------------------


def test_everything_wrong_is_said_at_once_in_order_with_its_place() -> None:
    found = problems_of(
        "SELECT \"#user_id\"\nFROM v_usr_1\nWHERE repeat(city, 3) = 'x' AND\n  date_format(reg, '%Y') = '2024' AND level = ?"
    )
    assert [p.code for p in found] == [
        "sql_table_unknown", "sql_function_refused", "sql_function_refused", "sql_parameter_refused",
    ]  # fmt: skip
    by_code = {p.got: p for p in found}
    assert by_code["v_usr_1"].suggestion == "v_user_1"
    assert "(Line 2, column 6.)" in by_code["v_usr_1"].message.en
    assert "（第 3 行第 7 列。）" in by_code["repeat"].message.zh
    assert "strftime" in by_code["date_format"].message.en


@pytest.mark.parametrize(
    ("sql", "place"),
    [
        ("SELECT a FROM t WHERE a +", "(Line 1, column 25.)"),
        ('SELECT "#user_id"\nFROM v_user_1 WERE level = 1', "(Line 2, column 20.)"),
        ("SELECT (a", "(Line 1, column 9.)"),
    ],
)
def test_a_slip_of_the_pen_has_its_place(sql: str, place: str) -> None:
    [problem] = problems_of(sql)
    assert (problem.code, problem.message.en.endswith(place)) == ("sql_invalid", True), problem.message.en


def test_the_nearest_function_is_suggested() -> None:
    assert problems_of('SELECT "#user_id" FROM v_event_1 GROUP BY 1 HAVING cont(*) > 1')[0].suggestion == "count"
    assert problems_of("SELECT read_text('x') AS \"#user_id\"")[0].suggestion == ""


def test_a_table_of_another_project_suggests_the_own_one() -> None:
    [problem] = problems_of('SELECT "#user_id" FROM ta.v_event_2')
    assert (problem.got, problem.suggestion) == ("ta.v_event_2", "v_event_1")
    assert problem.expected.en == "user_result_cluster_1, v_event_1, v_user_1"


def test_a_hundred_refused_functions_draw_a_screenful() -> None:
    assert len(problems_of("SELECT " + ", ".join(f"f{n}(1)" for n in range(1000)) + " FROM v_user_1")) == 20


def test_a_place_after_a_parameter_is_that_of_the_text_as_written() -> None:
    [problem] = problems_of('SELECT "#user_id" FROM v_event_1 WHERE ${PartDate:d} AND foo(1) = 2', d="1-7")
    assert "(Line 1, column 58.)" in problem.message.en


# -- the result -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "columns", "code"),
    [
        ('SELECT "#user_id", level FROM v_user_1', 1, "sql_columns"),
        (USERS, 2, "sql_columns"),
        ("SELECT FROM v_user_1", 1, "sql_columns"),
        ('WITH a AS (SELECT 1) (SELECT "#user_id", level FROM v_user_1) UNION SELECT 1, 2', 1, "sql_columns"),
        ("SELECT level FROM v_user_1", 1, "sql_id_column"),
        ("SELECT count(*) FROM v_user_1", 1, "sql_id_column"),
        ('SELECT max("#user_id") FROM v_user_1', 1, "sql_id_column"),
        ('SELECT level, "#user_id" FROM v_user_1', 2, "sql_id_column"),
    ],
)
def test_a_result_of_the_wrong_shape_is_refused(sql: str, columns: int, code: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        check_sql(sql, "1", columns=2 if columns == 2 else 1)
    assert [p.code for p in caught.value.problems] == [code]


@pytest.mark.parametrize(
    "sql", [USERS, 'SELECT max(u."#user_id") AS "#USER_ID" FROM v_user_1 u', "SELECT * FROM v_user_1"]
)
def test_a_result_that_fits_or_cannot_be_told_passes(sql: str) -> None:
    assert check(sql).columns == 1


# -- parameters -----------------------------------------------------------------------------------------------------------

EVENTS = 'SELECT "#user_id" FROM v_event_1 WHERE '


@pytest.mark.parametrize(
    ("value", "days"),
    [
        ("1-7", "'2026-06-27' AND '2026-07-03'"),
        ("0-1", "'2026-07-04' AND '2026-07-04'"),
        (("2026-01-01", "2026-01-31"), "'2026-01-01' AND '2026-01-31'"),
    ],
)
def test_a_parameter_becomes_a_condition_on_days(value: str | tuple[str, str], days: str) -> None:
    checked = check(EVENTS + "e.${PartDate:d} AND ${PartDate: d }; -- ${PartDate:x}", d=value)
    assert checked.text(TODAY) == EVENTS + f'e."$part_date" BETWEEN {days} AND "$part_date" BETWEEN {days}'


@pytest.mark.parametrize("value", ["7", "7-1", "last 7 days", "", ("2026-01-31", "2026-01-01"), ("2026-1-1", "2026-01-31"), ("2026-02-30", "2026-03-01"), ("", "")])  # fmt: skip
def test_a_value_that_means_no_days_is_a_problem(value: str | tuple[str, str]) -> None:
    assert [p.code for p in problems_of(EVENTS + "${PartDate:d}", d=value)] == ["sql_parameter_value"]


def test_parameters_and_values_must_meet() -> None:
    found = problems_of(EVENTS + "${PartDate:days} AND foo(1)", day="1-7")
    assert [(p.code, p.path, p.suggestion) for p in found] == [
        ("sql_parameter_missing", "/parameters", "day"),
        ("sql_parameter_unused", "/parameters/day", "days"),
        ("sql_function_refused", "/sql", ""),
    ]


def test_a_parameter_in_a_comment_is_no_parameter() -> None:
    sql = USERS + " /* ${PartDate:a} */ -- ${PartDate:b}"
    assert check(sql).text(TODAY) == sql


# -- what it reads --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "clusters"),
    [
        ("WHERE cluster_name = 'a'", {"a"}),
        ("WHERE 'a' = c.cluster_name AND tag_value = 'b'", {"a"}),
        ("WHERE (cluster_name IN ('a', 'b') AND \"#user_id\" > 1)", {"a", "b"}),
        ("JOIN v_user_1 u USING (\"#user_id\") WHERE cluster_name = 'a' AND u.level = 1", {"a"}),
        ("WHERE cluster_name = 'a' OR tag_value = 'b'", None),
        ("WHERE cluster_name <> 'a'", None),
        ("WHERE cluster_name LIKE 'a%'", None),
        ("WHERE cluster_name IN (SELECT city FROM v_user_1)", None),
        ("WHERE u.cluster_name = 'a'", None),
        ("", None),
    ],
)
def test_clusters_that_are_named_are_known(condition: str, clusters: set[str] | None) -> None:
    checked = check(f'SELECT "#user_id" FROM user_result_cluster_1 c {condition}')
    assert checked.clusters == (None if clusters is None else frozenset(clusters))
    assert [w.code for w in checked.warnings] == ([] if clusters is not None else ["sql_all_clusters"])


@pytest.mark.parametrize(("side", "clusters"), [("", {"a"}), ("LEFT", {"a"}), ("RIGHT", None), ("FULL", None)])
def test_an_outer_join_does_not_hold_its_outer_side(side: str, clusters: set[str] | None) -> None:
    sql = f"SELECT u.\"#user_id\" FROM v_user_1 u {side} JOIN user_result_cluster_1 c ON c.cluster_name = 'a'"
    assert check(sql).clusters == (None if clusters is None else frozenset(clusters))


def test_clusters_of_every_reading_count() -> None:
    part = "SELECT \"#user_id\" FROM user_result_cluster_1 WHERE cluster_name = '{}'"
    assert check(part.format("a") + " INTERSECT " + part.format("b")).clusters == {"a", "b"}
    assert check(part.format("a") + ' UNION SELECT "#user_id" FROM user_result_cluster_1').clusters is None


@pytest.mark.parametrize(
    ("condition", "codes"),
    [
        ("WHERE \"$part_date\" >= '2026-01-01'", []),
        ("e JOIN v_user_1 u ON true WHERE e.\"$part_date\" = '2026-01-01'", []),
        ("WHERE ${PartDate:d}", []),
        ("", ["sql_no_part_date"]),
        ("WHERE \"#event_time\" > '2026-01-01'", ["sql_no_part_date"]),
        ('e JOIN (SELECT 1 AS "$part_date") x ON true WHERE x."$part_date" = 1', ["sql_no_part_date"]),
        ('WHERE "#user_id" IN (SELECT "#user_id" FROM v_event_1 WHERE "$part_date" = \'x\')', ["sql_no_part_date"]),
    ],
)
def test_events_without_a_day_draw_a_warning(condition: str, codes: list[str]) -> None:
    given = {"d": "1-7"} if "${" in condition else {}
    assert warnings_of(f'SELECT v_event_1."#user_id" FROM v_event_1 {condition}', **given) == codes


# -- bounds ---------------------------------------------------------------------------------------------------------------

DEEP = {
    "brackets": "SELECT " + "(" * 5000 + "1" + ")" * 5000,
    "sub-queries": "SELECT * FROM " + "(SELECT * FROM " * 900 + "v_user_1" + ")" * 900,
    "functions": "SELECT " + "abs(" * 3000 + "1" + ")" * 3000,
    "cases": "SELECT " + "case when " * 1000 + "1" + " then 1 end" * 900,
    "nots": "SELECT " + "not " * 4900 + "a",
    "signs": "SELECT " + "- " * 9000 + "a",
    "indexes": "SELECT a" + "[1]" * 6000,
    "types": "SELECT a::" + "decimal(" * 30 + "1" + ")" * 30,
    "joins without conditions": "SELECT 1 FROM v_user_1" + " JOIN v_user_1" * 60,
    "tables": "SELECT 1 FROM v_user_1" + ", v_user_1" * 1500,
}


@pytest.mark.parametrize("sql", DEEP.values(), ids=DEEP.keys())
def test_entangled_sql_is_refused_in_time(sql: str) -> None:
    problems, steps = counted(lambda: problems_of(sql))
    assert [p.code for p in problems] == ["sql_too_deep"]
    assert steps < MOST_STEPS


REPEATED = {
    "methods": ("SELECT 'a'", ".upper()"),  # 108 s in the server before it was bounded
    "methods of a long operand": ("SELECT (" + "1+" * 4000 + "1)", ".upper()"),
    "quoted methods": ("SELECT a", '."x"()'),
    "functions without brackets": ("SELECT a", ".current_date"),
    "cases": ("SELECT a", ".case when 1 then 1 end"),
    "semicolons": ("SELECT 1", ";"),  # 7 s before
    "names": ("SELECT a", ".b"),
    "casts": ("SELECT 1", "::INT"),
    "arrows": ("SELECT a", "->f(1)"),
    "sums": ("SELECT 1", "+count(*)"),
    "columns": ("SELECT 1", ",a"),
    "unions": ("SELECT 1", " UNION SELECT 1"),
    "given names": ("WITH a AS (SELECT 1)", ", a AS (SELECT 1)"),
    "windows": ("SELECT 1", ",sum(1) OVER (PARTITION BY 1)"),
    "placeholders": ("SELECT 1", "+${a}"),
    "a long name": ("SELECT 1 FROM ", "a"),
    "conditions on many events": ("SELECT 1 FROM " + ",".join(["v_event_1"] * 95) + " WHERE 1", " AND 1"),
    "conditions on many clusters": (
        "SELECT 1 FROM " + ",".join(["user_result_cluster_1"] * 95) + " WHERE 1",
        " AND cluster_name='a'",
    ),
}


@pytest.mark.parametrize(("start", "part"), REPEATED.values(), ids=REPEATED.keys())
def test_the_longest_text_of_one_part_is_checked_in_time(start: str, part: str) -> None:
    sql = start + part * ((LONGEST - len(start)) // len(part))

    def checked() -> None:
        with suppress(InvalidDefinition):
            check_sql(sql, "1", columns=0)

    _, steps = counted(checked)
    assert steps < 12_000_000


def test_a_column_named_like_a_function_of_the_moment_is_read_with_its_table(desk: Desk) -> None:
    sql = 'SELECT t."localtime" AS "#user_id" FROM (SELECT "#user_id" AS "localtime" FROM v_user_1) AS t'
    assert check(sql).columns == 1
    assert desk.refusals(sql) == []


def test_methods_and_qualified_names_are_read_in_numbers() -> None:
    assert check('SELECT "#user_id" FROM v_user_1 WHERE city' + ".upper()" * 60 + " = 'A'").columns == 1
    assert check('SELECT u."#user_id" FROM v_user_1 u WHERE ' + " OR ".join(["u.level = 1"] * 1000)).columns == 1


def test_a_long_flat_statement_is_read() -> None:
    ids = ", ".join(str(n) for n in range(1000, 4000))
    assert check(f'SELECT "#user_id" FROM v_user_1 WHERE level IN ({ids})').columns == 1
    assert check(USERS + " WHERE " + " OR ".join(f"level = {n}" for n in range(1000))).columns == 1


def test_thirty_levels_are_allowed() -> None:
    assert check("SELECT " + "abs(" * 30 + '"#user_id"' + ")" * 30 + ' AS "#user_id" FROM v_user_1').columns == 1
