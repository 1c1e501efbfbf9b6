"""SQL as analysts write it passes every layer and selects the right users."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest

from mcp_server.engines.dialect import ROW, literal
from tests.user_sql.sql_kit import Desk, make

WEEK = "\"$part_date\" BETWEEN '2026-07-01' AND '2026-07-03'"

ANALYSTS: list[tuple[str, list[int]]] = [
    # events in a window, with and without the prefixes
    (f'SELECT DISTINCT "#user_id" FROM v_event_1 WHERE {WEEK} AND "$part_event" = \'pay\'', [1, 2]),
    ('select "#user_id" from ta.v_event_1 where ${PartDate:d} and "#event_name" = \'pay\' group by 1', [1, 2]),
    (f'SELECT hive.ta.v_event_1."#user_id" FROM hive.ta.v_event_1 WHERE {WEEK} AND price > 2 GROUP BY 1;', [1, 2]),
    ("SELECT e.\"#user_id\" FROM V_EVENT_1 AS e WHERE e.${PartDate:d} AND e.item = 'gem' -- the last three days\n;", [1, 2]),
    ('SELECT "#user_id" FROM v_event_1 WHERE "$part_date" = \'2026-06-30\'', [3]),
    # how often, how much
    (f'SELECT "#user_id" FROM v_event_1 WHERE {WEEK} GROUP BY "#user_id" HAVING count(*) >= 2 AND sum(price) > 3', [1, 2]),
    (f'SELECT "#user_id" FROM v_event_1 WHERE {WEEK} GROUP BY ALL HAVING count(DISTINCT item) FILTER (price > 0) = 2', [1]),
    ('SELECT "#user_id" FROM v_event_1 GROUP BY 1 HAVING max_by(item, "#event_time") = \'gem\' AND count_if(price IS NULL) = 1', [2]),
    ('SELECT "#user_id" FROM v_event_1 GROUP BY 1 HAVING quantile_cont(price, 0.5) BETWEEN 1.5 AND 2 OR median(price) = 4', [1, 3]),
    ('SELECT "#user_id" FROM v_event_1 GROUP BY 1 HAVING percentile_cont(0.5) WITHIN GROUP (ORDER BY price) = 9', [2]),
    ('SELECT "#user_id" FROM (SELECT "#user_id", sum(price) AS s FROM v_event_1 GROUP BY 1) ORDER BY s DESC NULLS LAST LIMIT 1', [2]),
    # who did not
    ('SELECT "#user_id" FROM v_user_1 WHERE "#user_id" NOT IN (SELECT "#user_id" FROM v_event_1 WHERE item IS NOT NULL)', [4, 5]),
    ('SELECT u."#user_id" FROM v_user_1 u WHERE NOT EXISTS (SELECT 1 FROM v_event_1 e WHERE e."#user_id" = u."#user_id")', [5]),
    ('SELECT u."#user_id" FROM v_user_1 u LEFT JOIN v_event_1 e ON u."#user_id" = e."#user_id" WHERE e."#user_id" IS NULL', [5]),
    ('SELECT "#user_id" FROM v_user_1 EXCEPT SELECT "#user_id" FROM v_event_1 WHERE "#event_name" = \'pay\'', [4, 5]),
    ('SELECT "#user_id" FROM v_user_1 ANTI JOIN v_event_1 USING ("#user_id")', [5]),
    # events and users
    ('SELECT e."#user_id" FROM v_event_1 e JOIN v_user_1 u ON e."#user_id" = u."#user_id" WHERE u.level >= 5 AND e.price > 1', [2]),
    ('SELECT "#user_id" FROM v_event_1 JOIN v_user_1 USING ("#user_id") WHERE "#event_time" - reg < INTERVAL 1 DAY', [3]),
    ("WITH paid AS (SELECT \"#user_id\", sum(price) AS s FROM v_event_1 WHERE \"#event_name\" = 'pay' GROUP BY 1), "
     'old AS (SELECT * FROM v_user_1 WHERE reg < DATE \'2026-06-15\') SELECT p."#user_id" FROM paid p, old o '
     'WHERE p."#user_id" = o."#user_id" AND p.s > 3', [1, 2]),
    ('SELECT u."#user_id" FROM v_user_1 u, LATERAL (SELECT count(*) AS n FROM v_event_1 e WHERE e."#user_id" = u."#user_id") c WHERE n = 3', [1]),
    # windows
    ('SELECT "#user_id" FROM (SELECT "#user_id", item, row_number() OVER (PARTITION BY "#user_id" ORDER BY "#event_time" DESC) AS n '
     "FROM v_event_1 WHERE \"#event_name\" = 'pay') WHERE n = 1 AND item = 'box'", [1, 3]),
    ('SELECT "#user_id" FROM v_event_1 WHERE price IS NOT NULL WINDOW w AS (PARTITION BY "#user_id" '
     'ORDER BY "#event_time") QUALIFY row_number() OVER w = 2', [1]),
    ('SELECT DISTINCT "#user_id" FROM (SELECT "#user_id", date_diff(\'day\', lag("#event_time") OVER (PARTITION BY "#user_id" ORDER BY '
     '"#event_time"), "#event_time") AS gap FROM v_event_1) WHERE gap = 1', [1, 2]),
    ('SELECT DISTINCT "#user_id" FROM (SELECT "#user_id", sum(price) OVER (PARTITION BY "#user_id" ORDER BY "#event_time" ROWS BETWEEN '
     "UNBOUNDED PRECEDING AND CURRENT ROW) AS run FROM v_event_1) WHERE run > 3 AND run < 5", [1, 3]),
    # time: local, and the project's today
    ('SELECT "#user_id" FROM v_event_1 WHERE extract(hour FROM "#event_time") = 0', [1]),
    ('SELECT DISTINCT "#user_id" FROM v_event_1 WHERE date_trunc(\'month\', "#event_time") = DATE \'2026-06-01\'', [3]),
    ('SELECT DISTINCT "#user_id" FROM v_event_1 WHERE "#event_time" >= TIMESTAMP \'2026-07-03 00:00:00\'', [1, 2, 4]),
    ('SELECT "#user_id" FROM v_user_1 WHERE reg >= current_date', [5]),
    ("SELECT \"#user_id\" FROM v_user_1 WHERE date_diff('day', reg, today()) = 4", [3]),
    ('SELECT "#user_id" FROM v_event_1 GROUP BY 1 HAVING max("#event_time") < date(current_date) - interval \'1\' day', [3]),
    ("SELECT \"#user_id\" FROM v_event_1 WHERE strftime(\"#event_time\", '%H:%M') = '23:59' AND isodow(\"#event_time\") = 2", [3]),
    ("SELECT \"#user_id\" FROM v_user_1 WHERE reg + INTERVAL '1 day' > CAST('2026-07-05' AS TIMESTAMP) - INTERVAL 4 HOUR", [5]),
    # conditions and texts
    ("SELECT \"#user_id\" FROM v_user_1 WHERE CASE WHEN vip THEN 'v' WHEN level > 6 THEN 'l' ELSE 'n' END IN ('v', 'l')", [1, 4, 5]),
    ("SELECT \"#user_id\" FROM v_user_1 WHERE coalesce(nullif(city, ''), '?') = '?' AND if(level > 1, TRUE, FALSE)", [2]),
    ("SELECT \"#user_id\" FROM v_user_1 WHERE city LIKE '上%' OR city ILIKE 'o''n%' OR regexp_matches(city, '^北')", [1, 3, 5]),
    ("SELECT \"#user_id\" FROM v_user_1 WHERE city ~ '.*Neil' OR city SIMILAR TO '上.'", [1, 3]),
    ("SELECT \"#user_id\" FROM v_user_1 WHERE upper(substring(city FROM 3 FOR 4)) || length(city) = 'NEIL6'", [3]),
    ("SELECT \"#user_id\" FROM v_user_1 WHERE lpad(CAST(level AS VARCHAR), 3, '0') = '005' AND trim(both '0' from '050') = '5'", [2]),
    ('SELECT "#user_id" FROM v_user_1 WHERE vip IS DISTINCT FROM TRUE AND level NOT BETWEEN 4 AND 6 AND (balance IS NULL OR balance > 1)', [3, 5]),
    ('SELECT "#user_id" FROM v_user_1 WHERE try_cast(city AS INTEGER) IS NULL AND level >= ALL (SELECT level FROM v_user_1 WHERE level < 7)', [2, 5]),
    ('SELECT "#user_id" FROM v_user_1 WHERE level = ANY (SELECT level FROM v_user_1 WHERE city = \'北京\') OR level % 5 = 0', [2, 5]),
    ("SELECT \"#user_id\" FROM v_event_1 WHERE json_extract_string(attrs, '$.way') = 'cash' OR (attrs ->> '$.way') = 'none'", [1]),
    ('SELECT "#user_id" FROM v_user_1 WHERE hash("#user_id") % 100 >= 0 AND level > 6', [5]),
    # lists
    ("SELECT \"#user_id\" FROM v_user_1 WHERE list_contains(tags, 'b')", [1, 4]),
    ("SELECT \"#user_id\" FROM v_user_1, UNNEST(tags) AS t(tag) WHERE tag IN ('a', 'c')", [1, 5]),
    ("SELECT \"#user_id\" FROM (SELECT \"#user_id\", unnest(tags) AS tag FROM v_user_1) WHERE tag = 'c'", [5]),
    ('SELECT "#user_id" FROM v_user_1 WHERE len(list_filter(tags, lambda t: t > \'a\')) = 1 AND tags[1] <> \'c\'', [1, 4]),
    ("SELECT \"#user_id\" FROM v_event_1 GROUP BY 1 HAVING array_to_string(array_agg(item ORDER BY \"#event_time\"), '>') = 'gem>box'", [1]),
    ("SELECT \"#user_id\" FROM v_user_1 WHERE {'a': level}.a = 7 OR [x FOR x IN tags IF x = 'a'] = ['a']", [1, 5]),
    # sets and inline rows
    ('SELECT "#user_id" FROM v_user_1 WHERE level = 3 INTERSECT (SELECT "#user_id" FROM v_event_1 WHERE price > 3)', [3]),
    ('SELECT "#user_id" FROM v_user_1 WHERE level = 7 UNION ALL SELECT "#user_id" FROM v_user_1 WHERE vip', [1, 4, 5]),
    ("SELECT \"#user_id\" FROM v_user_1 JOIN (VALUES ('上海', 1), ('北京', 2)) AS c(city, n) USING (city) WHERE n = 2", [5]),
    ('FROM v_user_1 SELECT "#user_id" WHERE level = 7', [5]),
    ('(SELECT "#user_id" FROM v_user_1 WHERE level = 5)', [2]),
    ("SELECT * FROM (SELECT \"#user_id\" FROM v_user_1 WHERE city = '')", [4]),
    ('SELECT * EXCLUDE (level, city, vip, reg, tags, balance) FROM v_user_1 WHERE level = 7', [5]),
    ('SELECT "#user_id" FROM v_user_1 GROUP BY GROUPING SETS (("#user_id", level), ("#user_id")) HAVING grouping(level) = 0 AND max(level) = 7', [5]),
    # clusters and tags
    ("SELECT \"#user_id\" FROM user_result_cluster_1 WHERE cluster_name = 'payers'", [1, 2]),
    ("SELECT u.\"#user_id\" FROM v_user_1 u JOIN ta.user_result_cluster_1 c ON c.\"#user_id\" = u.\"#user_id\" AND c.cluster_name = 'tier' "
     "WHERE c.tag_value = 'iron'", [3]),
    ("SELECT \"#user_id\" FROM user_result_cluster_1 WHERE cluster_name IN ('spent', 'payers') AND tag_value_num > 5", [2]),
    ("SELECT \"#user_id\" FROM user_result_cluster_1 WHERE cluster_name = 'last_paid' AND tag_value = '2026-07-04 00:30:00' AND "
     "tag_value_tm > TIMESTAMP '2026-07-04'", [2]),
]  # fmt: skip


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(make(tmp_path_factory.mktemp("project")))
    yield made
    made.connection.close()


@pytest.mark.parametrize(("sql", "users"), ANALYSTS)
def test_analysts_sql_selects_the_right_users(desk: Desk, sql: str, users: list[int]) -> None:
    given = {"d": "1-3"} if "${PartDate:d}" in sql else {}
    members, _ = desk.select(sql, **given)
    assert members == [(user,) for user in users]


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        ('SELECT "#user_id", city FROM v_user_1', [(1, "上海"), (3, "O'Neil"), (4, ""), (5, "北京")]),
        ('SELECT "#user_id", sum(price) FROM v_event_1 GROUP BY 1', [(1, 3.5), (2, 9.0), (3, 4.0)]),
        ('SELECT "#user_id", sum(level) AS v FROM v_user_1 GROUP BY 1', [(1, 3), (2, 5), (3, 3), (5, 7)]),
        ('SELECT "#user_id", vip FROM v_user_1', [(1, True), (2, False), (4, True), (5, False)]),
        ('SELECT "#user_id", level / 0 FROM v_user_1', []),
    ],
)
def test_tags_keep_values_by_their_type(desk: Desk, sql: str, values: list[tuple[object, ...]]) -> None:
    assert desk.select(sql, columns=2)[0] == values


def test_local_times_of_a_tag_are_kept_as_instants(desk: Desk) -> None:
    members, _ = desk.select('SELECT "#user_id", reg FROM v_user_1 WHERE level = 7', columns=2)
    stored = desk.rows("SELECT reg FROM project_data.users WHERE level = 7")
    assert [value for _, value in members] == [value for (value,) in stored]


def test_a_date_as_a_value_is_its_local_midnight(desk: Desk) -> None:
    members, _ = desk.select("SELECT \"#user_id\", DATE '2026-07-04' FROM v_user_1 WHERE level = 7", columns=2)
    assert str(members[0][1]) == "2026-07-03 16:00:00"


def test_a_value_with_a_zone_is_its_instant(desk: Desk) -> None:
    members, _ = desk.select('SELECT "#user_id", to_timestamp(0) FROM v_user_1 WHERE level = 7', columns=2)
    assert members == [(5, datetime(1970, 1, 1))]
    late = 'SELECT "#user_id" FROM v_user_1 WHERE reg >= to_timestamp(1783094400)'  # 2026-07-03 16:00 UTC
    assert desk.select(late)[0] == [(5,)]


def test_every_row_is_counted_once(desk: Desk) -> None:
    _, counts = desk.select(
        'SELECT "#user_id" FROM v_event_1 UNION ALL SELECT NULL UNION ALL SELECT 170141183460469231731687303715884105727'
    )
    assert counts == {
        "rows": 10, "users_num": 4, "null_ids": 1, "null_values": 0, "unknown_ids": 2, "repeated_ids": 3,
    }  # fmt: skip


def test_rows_of_a_tag_without_a_value_are_counted(desk: Desk) -> None:
    members, counts = desk.select('SELECT "#user_id", max(price) FROM v_event_1 GROUP BY "#user_id"', columns=2)
    assert members == [(1, 2.5), (2, 9.0), (3, 4.0)]
    assert (counts["null_values"], counts["unknown_ids"], counts["repeated_ids"]) == (1, 1, 0)


def test_equal_values_of_a_user_count_as_repeated(desk: Desk) -> None:
    members, counts = desk.select("SELECT \"#user_id\", 'x' FROM v_event_1 WHERE \"#event_name\" = 'pay'", columns=2)
    assert members == [(1, "x"), (2, "x"), (3, "x")]
    assert counts["repeated_ids"] == 2


@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "UTC"])
def test_days_and_times_are_those_of_pythons_zone_data(tmp_path: Path, zone: str) -> None:
    moments = [datetime(1900, 1, 1), datetime(9999, 12, 1)] + [
        datetime(2011, 3, 1) + timedelta(hours=25 * step, seconds=step) for step in range(400)
    ]
    project = make(tmp_path)
    with duckdb.connect(str(project.data.path)) as db:
        ticks = ", ".join(f"(1, 1, 'tick', {literal(moment)}, NULL, NULL, NULL)" for moment in moments)
        db.execute(f"INSERT INTO events VALUES {ticks}")
    shown = Desk(project, zone).rows(
        'SELECT "#event_time", "$part_date" FROM v_event_1 WHERE "#event_name" = \'tick\' ORDER BY 1'
    )
    local = sorted(m.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) for m in moments)
    assert shown == [(moment, moment.date().isoformat()) for moment in local]


def test_events_show_no_load_number(desk: Desk) -> None:
    names = [row[0] for row in desk.rows("DESCRIBE FROM v_event_1")]
    assert names == ["#user_id", "#event_name", "#event_time", "price", "item", "attrs", "$part_date", "$part_event"]
    assert ROW == "$row"
