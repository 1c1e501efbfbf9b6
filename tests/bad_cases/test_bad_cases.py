"""Every bad case draws exactly the problems, warnings and repairs in its files; together they draw every code."""

import json
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from mcp_server.language.problems import CODES
from tests.bad_cases.running import CASES, files
from tests.cases.running import definition, names, project


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with project() as made:
        yield made


@pytest.mark.parametrize("name", names(CASES))
def test_a_bad_case_draws_what_its_files_say(name: str, connection: duckdb.DuckDBPyConnection) -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in (CASES / name).iterdir()}
    del written["definition.json"]
    assert written
    assert written == files(name, connection)


def _found(name: str) -> list[dict[str, str]]:
    path = CASES / name / "problems.json"
    found: list[dict[str, str]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return found


ALL = [(name, one) for name in names(CASES) for one in _found(name)]


def test_there_are_sixty_bad_cases() -> None:
    assert len(names(CASES)) >= 60


_NOT_OF_A_DEFINITION = {
    "body_contradiction": "of a vendor's request body",
    "body_other_project": "of a vendor's request body",
    "body_two_definitions": "of a vendor's request body",
    "cluster_type_form": "of the arguments of a tool",
    "cluster_type_unknown": "of the arguments of a tool",
    "display_name_invalid": "of the arguments of a tool",
    "main_column_type": "of the arguments of a tool",
    "name_invalid": "of the arguments of a tool",
    "result_only_clusters": "of the arguments of a tool",
    "same_meaning": "of the catalog",
    "same_users": "of the catalog",
    "sql_not_here": "of a remote platform",
    "used_by_others": "of the catalog",
    "word_refused": "of a remote platform",
    "word_unverified": "of a remote platform",
    "selects_everybody": "of a preview",
    "selects_nobody": "of a preview",
    "sql_column_unknown": "of the engine",
    "sql_failed": "of the engine",
    "sql_id_type": "of the engine",
    "sql_local_only": "of a check",
    "sql_too_long": "of a text of 20,000 characters",
    "sql_two_values": "of the engine",
    "sql_value_long": "of the engine",
    "sql_value_type": "of the engine",
    "value_for_nobody": "of a preview",
}
_OF_TASKS = ("crowd_", "call_", "ids_")
"""What codes of other subjects begin with: of crowd analysis tasks, of call tasks, of uploaded ids."""


def test_every_code_that_a_definition_can_draw_has_a_bad_case() -> None:
    of_definitions = {code for code in CODES if not code.startswith(_OF_TASKS)} - set(_NOT_OF_A_DEFINITION)
    assert {one["code"] for _, one in ALL} == of_definitions


@pytest.mark.parametrize(("name", "found"), ALL)
def test_the_path_of_a_finding_is_in_the_definition_that_was_sent(name: str, found: dict[str, str]) -> None:
    """It is there, or it is the missing key of an object that is there."""
    steps = found["path"].split("/")[1:]
    assert steps[0] == ("tag_qp" if name.startswith("tag_") else "qp")
    node: Any = definition(name, CASES)
    for place, step in enumerate(steps[1:], 2):
        if isinstance(node, str):
            node = json.loads(node)
        if isinstance(node, dict) and step not in node:
            assert place == len(steps), f"{found['path']} goes on below what is missing"
            return
        node = node[step] if isinstance(node, dict) else node[int(step)]


@pytest.mark.parametrize(("name", "found"), ALL)
def test_a_suggestion_is_not_what_was_sent(name: str, found: dict[str, str]) -> None:
    assert found["suggestion"] != found["got"] or not found["got"]
