"""The SQL of a plan: its shape, and that no name or value can break out of it."""

import duckdb
import pytest

from mcp_server.engines.dialect import DUCKDB, Tables
from mcp_server.engines.sql import funnel_sql, masks_sql, selection_sql
from mcp_server.language.metadata import Event, Metadata, Property
from mcp_server.language.model import Qp
from mcp_server.plan.compile import compile_definition
from mcp_server.plan.plan import Plan
from tests.language.projects import GAME, event, user


def plan_of(metadata: Metadata = GAME, **definition: object) -> Plan:
    return compile_definition(Qp.model_validate(definition), metadata)


def test_one_condition_is_one_pruned_grouped_query():
    sql = selection_sql(plan_of(events=[event()]), DUCKDB, Tables(users_complete=True))
    assert (
        sql
        == """\
WITH masks AS (
  SELECT e."#user_id" AS user_id, 1 AS m0
  FROM events AS e
  WHERE e."#event_name" = 'purchase'
    AND e."#event_time" >= TIMESTAMP '2024-06-23 16:00:00.000000'
    AND e."#event_time" < TIMESTAMP '2024-06-30 16:00:00.000000'
  GROUP BY e."#user_id"
  HAVING count(*) > 4
)
SELECT user_id
FROM masks
WHERE (m0 & 1) <> 0"""
    )


def test_events_of_unknown_users_are_left_out_only_where_there_are_any():
    plan = plan_of(events=[event()])
    assert 'user_id IN (SELECT "#user_id" FROM users)' in selection_sql(plan, DUCKDB)
    both = plan_of(events=[event()], filts=[user("vip", "isTrue")])
    assert "user_id IN" not in selection_sql(both, DUCKDB)


def test_never_did_it_is_computed_as_its_complement_over_all_users():
    sql = selection_sql(plan_of(events=[event(comparator="less", num="1")]), DUCKDB, Tables(users_complete=True))
    assert "HAVING" not in sql  # any row breaks it
    assert "FROM users AS u\n)" in sql
    assert sql.endswith("WHERE (m0 & 1) = 0")


def test_all_user_conditions_share_one_scan():
    sql = selection_sql(plan_of(filts=[user("vip", "isTrue"), user("Level", "greater", "3")], relation="or"), DUCKDB)
    assert sql.count("FROM users") == 1


def test_more_conditions_than_a_word_has_bits_take_a_second_word():
    many = [user("Level", "equal", str(i)) for i in range(70)]
    sql = selection_sql(plan_of(events=[event()], filts=many, relation="or"), DUCKDB)
    assert "bit_or(m1) AS m1" in sql
    assert "(m1 & 1) <> 0" in sql


HOSTILE = [
    "a'b",
    'a"b',
    "a--b",
    "a/*b*/",
    "a;DROP TABLE users",
    "a\nb",
    "a\\b",
    "a\x00b",
    "a%_b",
    "{0}",
    "用户😀",
    "a' OR '1'='1",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_value_is_only_a_value(text: str):
    plan = plan_of(events=[event(num="0", recentDay=None)], filts=[user("city", "equal", text)])
    assert _selected(plan, text) == [(1,)]
    contains = plan_of(filts=[user("city", "include", text)])
    assert _selected(contains, text) == [(1,)]


def _selected(plan: Plan, city: str) -> list[tuple[int]]:
    db = duckdb.connect()
    db.execute('CREATE TABLE users ("#user_id" BIGINT, city VARCHAR)')
    db.execute('CREATE TABLE events ("#user_id" BIGINT, "#event_name" VARCHAR, "#event_time" TIMESTAMP)')
    db.execute("INSERT INTO users VALUES (1, ?), (2, 'other'), (3, NULL)", [city])
    db.execute("INSERT INTO events SELECT \"#user_id\", 'purchase', TIMESTAMP '2024-06-25' FROM users")
    return db.execute(selection_sql(plan, DUCKDB)).fetchall()


@pytest.mark.parametrize("name", [n for n in HOSTILE if "\x00" not in n])
def test_a_hostile_name_is_only_a_name(name: str):
    metadata = Metadata(
        project_id="1",
        today=GAME.today,
        events=(Event(name=name),),
        properties=(Property(table="event", name=name, type="string"),),
    )
    part = {"tableType": "event", "columnName": name, "comparator": "equal", "ftv": [name]}
    plan = plan_of(metadata, events=[event(eventName=name, num="0", filts=[part])])
    quoted = '"' + name.replace('"', '""') + '"'
    db = duckdb.connect()
    db.execute('CREATE TABLE users AS SELECT 1::BIGINT AS "#user_id"')
    db.execute(
        f"""CREATE TABLE events AS SELECT 1::BIGINT AS "#user_id", ? AS "#event_name",
            TIMESTAMP '2024-06-25' AS "#event_time", ? AS {quoted}""",
        [name, name],
    )
    assert db.execute(selection_sql(plan, DUCKDB)).fetchall() == [(1,)]


def test_the_funnel_counts_what_each_step_selects_alone_and_leaves():
    db = duckdb.connect()
    db.execute('CREATE TABLE users AS SELECT i AS "#user_id", i % 2 = 0 AS vip FROM range(10) t(i)')
    db.execute(
        """CREATE TABLE events AS SELECT i % 12 AS "#user_id", 'purchase' AS "#event_name",
           TIMESTAMP '2024-06-25' AS "#event_time" FROM range(20) t(i)"""
    )  # users 0 to 7 twice, 8 to 11 once; 10 and 11 are nobody's
    for relation, expected in (("or", (10, 10, 8, 10, 0, 10, 5, 5, 10)), ("and", (10, 10, 5, 5, 5))):
        plan = plan_of(
            events=[event(num="0"), event(num="1"), event(comparator="less", num="1")],
            event_relation="or",
            filts=[user("vip", "isTrue")],
            event_user_relation=relation,
        )
        db.execute(f"CREATE OR REPLACE TABLE m AS {masks_sql(plan, DUCKDB)}")
        assert db.execute(funnel_sql(plan, DUCKDB, "m")).fetchone() == expected
