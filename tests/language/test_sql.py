"""Definitions that are SQL, without an engine: keys, words, comparisons, hashes, and what is kept."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from mcp_server.language.bodies import open_body
from mcp_server.language.definitions import (
    compare_definitions,
    explain_definition,
    from_json,
    meaning_hash,
    parse_definition,
    to_json,
)
from mcp_server.language.model import CLUSTER, TAG
from mcp_server.language.reading.check import SqlSeen, is_sql
from mcp_server.language.sql import DayRange, Sql, SqlReads
from mcp_server.text import Text
from mcp_server.user_sql.plan import look_at
from tests.language.projects import GAME, user
from tools.language_schema import SQL_EXAMPLE, complete_sql

SELECT = 'SELECT "#user_id" FROM v_user_1'
DAYS = 'SELECT "#user_id" FROM v_event_1 WHERE ${PartDate:d}'


def made(text: str = SELECT, catalog: str = CLUSTER, reads: SqlReads = SqlReads(), **days: DayRange) -> Sql:  # noqa: B008 - frozen
    return Sql(catalog, text, tuple(days.items()), reads)


def _hash(definition: Sql) -> str:
    return meaning_hash(definition, GAME)


@pytest.mark.parametrize(
    "raw", [{"sql": SELECT}, {" SQL ": 1}, json.dumps({"sql": SELECT, "x": 1}), SELECT, "\n( select 1)", "WITH x AS (SELECT 1) SELECT 1"]
)  # fmt: skip
def test_sql_is_known_by_its_key_or_its_first_word(raw: object) -> None:
    assert is_sql(raw)


@pytest.mark.parametrize("raw", [{}, {"filts": []}, [], None, 5, "selection", "{", '["sql"]', {"sqls": SELECT}])
def test_anything_else_is_not_sql(raw: object) -> None:
    assert not is_sql(raw)


@pytest.mark.parametrize(
    ("raw", "parameters"),
    [
        ({"sql": SELECT}, {}),
        ({"sql": SELECT, "parameters": {}}, {}),
        ({"sql": SELECT, "parameters": None}, {}),
        ({"sql": SELECT, "parameters": {" d ": " 1-7 "}}, {"d": "1-7"}),
        ({"sql": SELECT, "parameters": {"d": ["2026-07-01 ", "2026-07-02"]}}, {"d": ["2026-07-01", "2026-07-02"]}),
    ],
)
def test_what_is_read_is_written_back(raw: Any, parameters: dict[str, Any]) -> None:
    reading = parse_definition(raw, GAME, catalog=CLUSTER, root=("qp",))
    assert reading.problems == ()
    assert reading.normalised == {"sql": SELECT} | ({"parameters": parameters} if parameters else {})


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ({"sql": 5}, [("/qp/sql", "type_wrong")]),
        ({"sql": None, "parameters": 5}, [("/qp/sql", "type_wrong"), ("/qp/parameters", "type_wrong")]),
        ({"sql": SELECT, "parameters": {"d": ["2026-07-01"]}}, [("/qp/parameters/d", "sql_parameter_value")]),
        ({"sql": SELECT, "parameters": {"a/b": 7}}, [("/qp/parameters/a~1b", "sql_parameter_value")]),
        ({"sql": SELECT, "filts": [{}], "userTagValueDefs": [{}]}, [("/qp/filts", "definition_two_forms"), ("/qp/userTagValueDefs", "definition_two_forms")]),
        ({"sql": SELECT, "paramters": {}}, [("/qp/paramters", "key_unknown")]),
        ({"sql": "\ud800"}, [("/qp/sql", "text_invalid")]),
    ],
)  # fmt: skip
def test_wrong_keys_and_types_are_problems(raw: Any, found: list[tuple[str, str]]) -> None:
    reading = parse_definition(raw, GAME, catalog=CLUSTER, root=("qp",))
    assert [(p.path, p.code) for p in reading.problems] == found
    assert reading.definition is None


def test_what_a_look_finds_stands_with_the_rest() -> None:
    seen = []

    def look(definition: Sql, _: object, at: tuple[str | int, ...]) -> SqlSeen:
        seen.append((definition.catalog, at))
        return SqlSeen((), SqlReads(("v_user_1",), ("Level",), ("nobody",)))

    reading = parse_definition({"sql": SELECT}, GAME, catalog=TAG, root=("tag_qp",), sql_look=look)
    assert seen == [(TAG, ("tag_qp",))]
    assert [(p.path, p.code, p.got) for p in reading.problems] == [("/tag_qp/sql", "sql_cluster_unknown", "nobody")]


@pytest.mark.parametrize("catalog", [CLUSTER, TAG])
@pytest.mark.parametrize("reads", [SqlReads(), SqlReads(("v_user_1",), ("Level", "*"), ("a", "b"))])
def test_what_is_kept_is_read_again(catalog: str, reads: SqlReads) -> None:
    definition = made(catalog=catalog, reads=reads, d="1-7", e=("2026-07-01", "2026-07-02"))
    again = from_json(to_json(definition), catalog)
    assert isinstance(again, Sql)
    assert (again, again.reads) == (definition, reads)
    assert "reads" not in again.wire()


def test_of_sql_over_all_clusters_their_names_are_not_kept() -> None:
    again = from_json(to_json(made(reads=SqlReads(clusters=("a", "b"), any_cluster=True))), CLUSTER)
    assert isinstance(again, Sql)
    assert again.reads == SqlReads(any_cluster=True)


def test_meaning_is_the_text_and_its_days() -> None:
    assert _hash(made()) == _hash(made(f"\n{SELECT} ; ")) == _hash(made(reads=SqlReads(("v_user_1",))))
    different = [
        made(),
        made(SELECT.lower()),
        made(d="1-7"),
        made(d="1-8"),
        made(d=("2026-06-27", "2026-07-03")),
        made(e="1-7"),
    ]
    assert len({_hash(one) for one in different}) == len(different)
    assert _hash(made(a="1-7", b="1-1")) == _hash(made(b="1-1", a="1-7"))
    said = [explain_definition(one, GAME).summary for one in different]
    assert len({text.en for text in said}) == len({text.zh for text in said}) == len(different)


def test_the_explanation_of_a_cluster_and_of_a_tag() -> None:
    reads = SqlReads(("v_event_1", "v_user_1"), ("Level",), ("a`b",))
    said = explain_definition(made(reads=reads), GAME).summary
    assert (
        ": the users that this SQL returns. It reads `v_event_1`, `v_user_1`, columns `Level`, clusters and" in said.en
    )
    assert "tags `a\\`b`." in said.en
    assert said.en.endswith(f" The SQL:\n{SELECT}")
    assert said.zh.endswith(f"SQL 如下：\n{SELECT}")
    every = explain_definition(made(catalog=TAG, reads=SqlReads(any_cluster=True)), GAME).summary
    assert "second column" in every.en
    assert "all clusters and tags as they are at that moment" in every.en
    assert "标签值取 SQL 查询返回的第二列" in every.zh


def test_a_comparison_shows_the_lines_and_the_days_that_change() -> None:
    old, new = made(f"{SELECT}\nWHERE Level > 3", d="1-7"), made(f"{SELECT}\nWHERE Level > 4", d="1-8", e="1-1")
    changes = compare_definitions(old, new, GAME)
    assert changes[0].en == "the SQL changes:\n- WHERE Level > 3\n+ WHERE Level > 4"
    assert [change.en.split(":")[0] for change in changes[1:]] == [
        "the days of \"d\" change", "the days of \"e\" change",
    ]  # fmt: skip
    assert "由“无此参数”改为“" in changes[2].zh
    assert compare_definitions(old, made(f" {old.sql}\n;", d="1-7"), GAME) == ()


def test_of_a_long_comparison_the_first_lines_are_shown() -> None:
    old, new = ("\n".join(f"{word} {i}" for i in range(21)) for word in ("old", "new"))
    [change] = compare_definitions(made(old), made(new), GAME)
    assert change.en.endswith("\n(22 more lines)")
    assert change.zh.endswith("\n（另有 22 行）")


def test_another_form_is_said_as_such() -> None:
    conditions = parse_definition({"filts": [user("Level", "equal", "3")]}, GAME, catalog=CLUSTER, root=("qp",)).must()
    assert compare_definitions(conditions, made(), GAME) == (
        Text("it is defined by SQL, no longer by conditions", "定义方式由“条件”改为“SQL”"),
    )


def test_a_body_around_sql_is_opened() -> None:
    body = {"projectId": 1, "clusterName": "a", "clusterType": "tag_by_static_sql", "id": 5, "sql": SELECT, "x": 1}
    found = open_body(body, ("qp",))
    assert (found.definition, found.root, found.around, found.is_tag) == (
        {"sql": SELECT, "x": 1},
        ("qp",),
        ("qp",),
        True,
    )
    assert open_body({"sql": SELECT}, ("qp",)).definition == {"sql": SELECT}


@pytest.mark.parametrize(
    ("definition", "fits"),
    [
        ({"sql": SELECT}, True),
        (SQL_EXAMPLE, True),
        ({"sql": f"{DAYS} OR ${{PartDate:e}}", "parameters": {"d": ["2026-07-01", "2026-07-02"], "e": "0-1"}}, True),
        ({"sql": "x" * 20_000}, True),
        ({"sql": "x" * 20_001}, False),
        ({"sql": ""}, False),
        ({"sql": DAYS, "parameters": {"d": ["2026-07-01"]}}, False),
        ({"sql": DAYS, "parameters": {"d": "last week"}}, False),
        ({"sql": SELECT, "filts": [{}]}, False),
        ({"parameters": {}}, False),
    ],
)
def test_the_schema_says_what_is_read(definition: dict[str, Any], fits: bool) -> None:
    assert Draft202012Validator(complete_sql()).is_valid(definition) is fits
    found = parse_definition(definition, GAME, catalog=CLUSTER, root=("qp",), sql_look=look_at)
    of_the_text = {"sql_invalid", "sql_not_select", "sql_table_unknown"}
    assert fits is (not {p.code for p in found.problems} - of_the_text)
