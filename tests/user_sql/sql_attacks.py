"""SQL that must not run, by what draws the refusal. The first list is held by the engine's own tree as well."""

ATTACKS: list[tuple[str, str]] = [
    # statements that are no query
    *((text, "sql_not_select") for text in (
        "COPY v_user_1 TO '/tmp/x.csv'", "COPY v_user_1 FROM 'x.csv'", "EXPORT DATABASE 'x'", "IMPORT DATABASE 'x'",
        "ATTACH 'x.duckdb' AS y", "DETACH data", "USE memory", "INSTALL httpfs", "FORCE INSTALL httpfs", "LOAD httpfs",
        "LOAD '/tmp/evil.duckdb_extension'", "SET threads = 1", "SET VARIABLE x = 1", "RESET threads", "PRAGMA database_list",
        "PRAGMA enable_logging", "CALL duckdb_settings()", "CREATE SECRET s (TYPE s3)", "CREATE TABLE t (a INT)",
        "CREATE TEMP TABLE t AS SELECT 1", "CREATE MACRO m(a) AS a", "CREATE OR REPLACE VIEW v AS SELECT 1", "DROP TABLE users",
        "INSERT INTO v_user_1 VALUES (1)", "UPDATE v_user_1 SET level = 1", "DELETE FROM v_user_1", "TRUNCATE v_user_1",
        "ALTER TABLE v_user_1 ADD COLUMN x INT", "VACUUM", "CHECKPOINT", "FORCE CHECKPOINT", "EXPLAIN SELECT 1",
        'EXPLAIN ANALYZE SELECT "#user_id" FROM v_user_1', "DESCRIBE v_user_1", "SUMMARIZE v_user_1", "SHOW TABLES",
        "SHOW ALL TABLES", "PREPARE p AS SELECT 1", "EXECUTE p", "DEALLOCATE p", "BEGIN", "COMMIT", "ROLLBACK",
        "PIVOT v_user_1 ON city USING count(*)", "UNPIVOT v_user_1 ON level INTO NAME n VALUE v",
        "MERGE INTO v_user_1 USING v_user_1 u ON true WHEN MATCHED THEN DELETE", "请选出所有用户",
    )),
    # hidden inside a query
    ("WITH d AS (COPY (SELECT 1) TO '/tmp/x.csv' (RETURN_STATS)) SELECT \"#user_id\" FROM d", "sql_construct_refused"),
    ("WITH a AS (SELECT 1), d AS (WITH z AS (COPY v_user_1 TO '/tmp/x') SELECT * FROM z) SELECT * FROM d", "sql_construct_refused"),
    ('WITH d AS (DELETE FROM v_user_1 RETURNING *) SELECT "#user_id" FROM d', "sql_construct_refused"),
    ('WITH d AS (INSERT INTO v_user_1 VALUES (1) RETURNING *) SELECT "#user_id" FROM d', "sql_construct_refused"),
    ('WITH d AS (UPDATE v_user_1 SET level = 1 RETURNING *) SELECT "#user_id" FROM d', "sql_construct_refused"),
    ('SELECT "#user_id" FROM (DESCRIBE v_user_1)', "sql_construct_refused"),
    ('SELECT "#user_id" FROM (SUMMARIZE v_user_1)', "sql_construct_refused"),
    ('SELECT "#user_id" FROM (SHOW TABLES)', "sql_table_unknown"),
    ('SELECT "#user_id" FROM (PIVOT v_user_1 ON city IN (\'a\') USING count(*))', "sql_construct_refused"),
    ('SELECT "#user_id" FROM v_user_1 PIVOT (count(*) FOR city IN (\'a\'))', "sql_construct_refused"),
    ('SELECT "#user_id" FROM v_user_1 UNPIVOT (v FOR n IN (level))', "sql_construct_refused"),
    ('SELECT "#user_id" INTO x FROM v_user_1', "sql_construct_refused"),
    ('SELECT "#user_id" FROM v_user_1 WHERE city = \'a\' COLLATE NOCASE', "sql_function_refused"),
    ('WITH RECURSIVE r AS (SELECT 1 AS "#user_id" UNION ALL SELECT "#user_id" + 1 FROM r) SELECT "#user_id" FROM r', "sql_recursive"),
    # several statements
    ('SELECT "#user_id" FROM v_user_1; SELECT 1', "sql_several"),
    ('SELECT "#user_id" FROM v_user_1; DROP TABLE users', "sql_several"),
    ("SELECT \"#user_id\" FROM v_user_1; -- x\nCOPY v_user_1 TO 'x'", "sql_several"),
    ("SELECT \"#user_id\" FROM v_user_1 WHERE city = '\\'; DROP TABLE users; --'", "sql_several"),
    # files as tables, under any name
    *((f'SELECT "#user_id" FROM {source}', "sql_table_unknown") for source in (
        "'file.csv'", '"file.csv"', "'https://example.com/x.parquet'", '"/etc/passwd" AS t', "'s3://a/b.parquet' JOIN v_user_1 ON true",
    )),
    ("FROM 'file.parquet'", "sql_table_unknown"),
    # functions that give rows
    *((f'SELECT "#user_id" FROM {call}', "sql_table_function") for call in (
        "read_csv('/etc/passwd')", "READ_TEXT('/etc/passwd')", "read_blob('/etc/passwd')", "read_json('x')", "\"read_text\"('x')",
        "read_parquet(['a', 'b'])", "parquet_metadata('a')", "glob('/etc/*')", "sniff_csv('x')", "query('SELECT 1')",
        "query_table('v_user_1')", "duckdb_settings()", "duckdb_databases()", "duckdb_secrets()", "pragma_database_size()",
        "json_execute_serialized_sql('x')", "range(1000000000000)", "generate_series(1, 1000000000000)", "repeat('x', 9)",
        "v_user_1, read_text('/etc/passwd')", "v_user_1 JOIN read_text('x') ON true", "main.read_text('x')",
        "v_user_1 WHERE city IN (SELECT content FROM read_text('x'))", "v_user_1 ORDER BY (SELECT max(size) FROM read_blob('x'))",
        "v_user_1 LIMIT (SELECT count(*) FROM glob('*'))", "v_user_1 OFFSET (SELECT count(*) FROM glob('*'))",
        'v_user_1 GROUP BY "#user_id" HAVING count(*) > (SELECT count(*) FROM glob(\'*\'))',
        "v_user_1 QUALIFY row_number() OVER (ORDER BY (SELECT 1 FROM glob('*'))) = 1",
        "v_user_1 JOIN v_event_1 ON (SELECT true FROM glob('*'))", "(SELECT * FROM (SELECT * FROM glob('*')))",
        "v_user_1 WHERE EXISTS (FROM glob('*'))", "v_user_1 WHERE city = $$x$$ OR (SELECT 1 FROM glob('*')) = 1",
        "v_user_1 WHERE city = '\\' OR (SELECT 1 FROM glob('*')) = 1 --'", "(VALUES ((SELECT 1 FROM glob('*')))) t(x)",
        "v_user_1 UNION SELECT content FROM read_text('x')", "v_user_1 -- x\rUNION SELECT content FROM read_text('x')",
        "v_user_1 /* x */ UNION SELECT content FROM read_text('x')", "v_user_1 WHERE level = 1 OR (SELECT 1 FROM glob('*')) = 1",
    )),
    ("SELECT (SELECT content FROM read_text('/etc/passwd')) AS \"#user_id\"", "sql_table_function"),
    ("SELECT CASE WHEN true THEN (SELECT content FROM read_text('x')) END AS \"#user_id\"", "sql_table_function"),
    ("SELECT sum(1) FILTER (WHERE EXISTS (SELECT 1 FROM glob('*'))) AS \"#user_id\" FROM v_user_1", "sql_table_function"),
    ("SELECT list_transform([1], lambda x: (SELECT 1 FROM glob('*'))) AS \"#user_id\"", "sql_table_function"),
    ("WITH a AS (SELECT * FROM read_text('x')) SELECT 1 AS \"#user_id\" FROM a", "sql_table_function"),
    ("SELECT * EXCLUDE (city) FROM duckdb_settings()", "sql_table_function"),
    ("SELECT\u00a0\"#user_id\"\u00a0FROM\u00a0read_text('x')", "sql_table_function"),
    ('SELECT "#user_id" FROM v_user_1 JOIN LATERAL read_text(city) ON true', "sql_function_refused"),
    # tables of other projects, of the engine, of nobody
    *((f'SELECT 1 AS "#user_id" FROM {table}', "sql_table_unknown") for table in (
        "v_user_2", "v_event_12", "V_EVENT_2", "ta.v_user_2", "users", "project_data.users", "project_data.main.events", "memory.ta.v_user_1",
        "hive.main.v_user_1", "other.v_user_1", "information_schema.tables", "INFORMATION_SCHEMA.columns", "duckdb_databases", "duckdb_tables",
        "sqlite_master", "pg_class", "pg_catalog.pg_class", '"PG_CATALOG"."pg_class"', "history_tag_1", "ta_dim.x", "\uff56_user_1", "v\u200b_user_1",
        "v_user_1 UNION SELECT 1 FROM v_user_2", "v_user_1, v_user_2", "v_user_1 WHERE level IN (SELECT level FROM v_user_2)",
        "pg_class, (WITH pg_class AS (SELECT 1) SELECT 1 FROM pg_class) AS x",
    )),
    ('WITH pg_class AS (SELECT oid FROM pg_class) SELECT oid AS "#user_id" FROM pg_class', "sql_table_unknown"),
    ('WITH a AS (SELECT * FROM pg_class), pg_class AS (SELECT 1) SELECT 1 AS "#user_id" FROM a', "sql_table_unknown"),
    ('WITH a AS (WITH pg_class AS (SELECT 1) SELECT 1) SELECT 1 AS "#user_id" FROM a, pg_class', "sql_table_unknown"),
    # functions that tell about the system, wait, or run text
    *((f'SELECT {call} AS "#user_id"', "sql_function_refused") for call in (
        "current_setting('threads')", "getvariable('x')", "getenv('HOME')", "version()", "current_database()", "nextval('s')",
        "write_log('x')", "sleep_ms(100000)", "pg_sleep(100)", "json_execute_serialized_sql('x')", "json_serialize_sql('SELECT 1')",
        "which_secret('s3://x', 's3')", "error('x')", "pg_typeof(1)", "list_transform([1], lambda x: getenv('HOME'))",
        "[getenv(x) FOR x IN ['HOME']]", "txid_current()", "current_query()", "alias(1)", "list_aggregate([1], 'histogram')",
    )),
    # much from nothing
    *((f'SELECT {call} AS "#user_id"', "sql_function_refused") for call in (
        "length(repeat('x', 2000000000))", "len(range(2000000000))", "unnest(generate_series(1, 1000000000000))", "unnest(range(10))",
        "printf('%2000000000d', 1)", "format('{:2000000000d}', 1)", "list_resize([1], 2000000000)", "bar(1, 0, 1, 2000000000)",
        "to_base(1, 2, 2000000000)", "bitstring('1', 2000000000)", "\"repeat\"('x', 3)", "main.repeat('x', 3)",
        "system.main.repeat('x', 3)", "'x'.repeat(3)", "rEpEaT('x', 3)", "repeat/**/('x', 3)", "list_reduce([1], lambda x, y: repeat('x', 9))",
        "sum(length(repeat('x', 9))) OVER ()", "equi_width_bins(0, 1, 1000000000, true)",
    )),
    ("SELECT * REPLACE (repeat('x', 9) AS city) FROM v_user_1", "sql_function_refused"),
    ('SELECT u AS "#user_id" FROM UNNEST(range(1000000)) AS t(u)', "sql_function_refused"),
    # another answer each time
    *((f'SELECT "#user_id" FROM v_user_1 WHERE {condition}', "sql_function_refused") for condition in (
        # quoted they passed both readers before
        *(f"{quote}{word}{quote} IS NOT NULL" for quote in ("", '"') for word in (
            "current_timestamp", "localtimestamp", "current_time", "localtime", "CURRENT_TIMESTAMP", "session_user", "current_role",
            "current_user", "current_catalog", "current_schema")),
        "random() < 0.5", "reg < now()", "uuid() > 'a'", "age(reg) > INTERVAL 1 DAY", "reg < get_current_timestamp()",
    )),
]  # fmt: skip

GUARDED: list[tuple[str, str]] = [
    # refused for good sense; the engine's tree does not tell them from columns, or has them under names that are allowed
    ("VALUES (1)", "sql_not_select"),
    ("TABLE v_user_1", "sql_not_select"),
    ('SELECT current_user AS "#user_id"', "sql_function_refused"),
    ('SELECT current_schema AS "#user_id"', "sql_function_refused"),
    ("SELECT COLUMNS(*) FROM v_user_1", "sql_function_refused"),
    ("SELECT COLUMNS('#user_id') FROM v_user_1", "sql_function_refused"),
    ('SELECT "#user_id" FROM v_user_1 TABLESAMPLE 10%', "sql_construct_refused"),
    ('SELECT "#user_id" FROM v_user_1 USING SAMPLE 10', "sql_construct_refused"),
    ('SELECT "#user_id" FROM v_user_1 AT (VERSION => 1)', "sql_construct_refused"),
    ('SELECT "#user_id" FROM v_user_1 FOR UPDATE', "sql_construct_refused"),
    *((f'SELECT {call} AS "#user_id" FROM v_user_1', "sql_function_size") for call in (
        "lpad('x', 2000000000, 'y')", "rpad('x', level * 1000000, 'y')", "'x'.lpad(2000000000, 'y')", "\"lpad\"('x', 2000000000, 'y')",
        "lpad('x', '1000000000', 'y')", "lpad('x', 1e9, 'y')", "rpad('x', (SELECT 10), 'y')",
    )),
    *((f'SELECT "#user_id" FROM v_user_1 WHERE level = {parameter}', "sql_parameter_refused") for parameter in (
        "$1", "?", "$level", ":level", "${Variable1}", "'${PartDate:d}'", "${Time:d}", "${PartDate:}",
    )),
    ("SELECT #1 FROM v_user_1", "sql_parameter_refused"),
    # no SQL at all
    ("", "sql_empty"),
    (" \n\t", "sql_empty"),
    ("-- nothing", "sql_empty"),
    (";;", "sql_empty"),
    ('SELECT "#user_id" FROM v_user_1 WHERE (level = 1', "sql_invalid"),
    ("SELECT \"#user_id\" FROM v_user_1 WHERE city = 'a", "sql_invalid"),
    ('SELECT "#user_id" FROM v_user_1 WHERE /* level = 1', "sql_invalid"),
    ('SELECT "#user_id" FROM v_user_1\uff1b DROP TABLE users', "sql_invalid"),
    ('SELECT CAST(level AS "b""c" 1) AS "#user_id" FROM v_user_1', "sql_invalid"),
    ('SELECT\0 "#user_id" FROM v_user_1', "sql_invalid"),
    ('SELECT "#user_id" FROM v_user_1\0; DROP TABLE users', "sql_invalid"),
    ("SELECT \ud800 FROM v_user_1", "sql_invalid"),
    ("SELECT '" + "x" * 20_000 + "'", "sql_too_long"),
]  # fmt: skip

FILES = [
    "COPY v_user_1 TO '{}'",
    "COPY (SELECT 1) TO '{}' (FORMAT parquet)",
    "WITH d AS (COPY (SELECT 1) TO '{}' (RETURN_STATS, FORMAT parquet)) SELECT * FROM d",
    "EXPORT DATABASE '{}'",
    "ATTACH '{}' AS y",
    "SELECT * FROM read_text('{}')",
    "SELECT * FROM '{}'",
    "SELECT * FROM glob('{}')",
    "INSTALL httpfs",
    "LOAD '{}'",
    "CREATE TABLE hive.ta.t (a INT)",
    "CREATE TABLE project_data.t (a INT)",
    "CREATE TABLE memory.main.t (a INT)",
    "INSERT INTO project_data.users SELECT * FROM project_data.users",
    "DELETE FROM project_data.events",
    "SET enable_external_access = true",
    "SET temp_directory = '{}'",
    "SET memory_limit = '100GB'",
    "RESET lock_configuration",
]
"""Statements that must fail on the connection even where nobody checked them; `{}` is a path."""
