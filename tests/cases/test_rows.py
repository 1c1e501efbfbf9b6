"""`rows.md` holds what it says: every row of qp.md names what exercises it, and every word of the language has a case."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from mcp_server.language import vocabulary as words
from tests.bad_cases.running import CASES as BAD_CASES
from tests.cases.running import CASES, definition, names

TESTS = CASES.parent
SECTIONS = re.split(r"^## ", (CASES / "rows.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
ROWS = [line for section in SECTIONS for line in section.splitlines() if line.startswith("- ")]
FORM = re.compile(r"- .+: ((?:`[^`]+`(?: |$))+)")
NAMED = {name for row in ROWS if (found := FORM.fullmatch(row)) for name in re.findall("`([^`]+)`", found[1])}
FOLDERS = (*names(), *names(BAD_CASES))


def test_all_sections_of_qp_md_have_rows() -> None:
    assert [section[0] for section in SECTIONS] == list("12345678")
    assert [section[0] for section in SECTIONS if "\n- " not in section] == []
    assert [row for row in ROWS if not FORM.fullmatch(row)] == []
    assert len(ROWS) == len(set(ROWS)) > 150


def test_everything_that_a_row_names_is_there() -> None:
    assert sorted(name for name in NAMED if not _is_there(name)) == []


def _is_there(name: str) -> bool:
    if "::" not in name:
        return name in FOLDERS
    path, _, test = name.partition("::")
    file = TESTS / path
    return file.is_file() and f"def {test}(" in file.read_text(encoding="utf-8")


def test_every_case_exercises_a_row() -> None:
    assert len(set(FOLDERS)) == len(FOLDERS)
    assert sorted(set(FOLDERS) - NAMED) == [], "give each of these a place in tests/cases/rows.md"


def _parts(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    for child in node if isinstance(node, list) else ():
        yield from _parts(child)


PARTS = [part for folder in (CASES, BAD_CASES) for name in names(folder) for part in _parts(definition(name, folder))]
FILTERS = [part for part in PARTS if "columnName" in part]
EVENTS = [part for part in PARTS if "eventName" in part]


@pytest.mark.parametrize("word", [w for row in words.COMPARATORS.values() for w in (row.word, *row.synonyms)])
def test_every_word_of_a_filter_has_a_case(word: str) -> None:
    assert any(part.get("comparator") == word for part in FILTERS)


@pytest.mark.parametrize("word", [*words.CONTAINS_BY_TYPE, *words.NOT_CONTAINS_BY_TYPE])
def test_every_word_that_depends_on_the_type_has_a_case(word: str) -> None:
    assert any(part.get("comparator") == word for part in FILTERS)


@pytest.mark.parametrize(
    "word",
    [
        *(w for row in words.NUMBER_COMPARATORS.values() for w in (row.word, *row.synonyms)),
        *words.AT_LEAST,
        *words.AT_MOST,
    ],
)
def test_every_word_that_compares_a_measure_has_a_case(word: str) -> None:
    assert any(part.get("comparator") == word for part in EVENTS)


@pytest.mark.parametrize(
    "word", [*(w for row in words.MEASURES.values() for w in (row.word, *row.synonyms)), *words.POPULATION_MEASURES]
)
def test_every_measure_has_a_case(word: str) -> None:
    assert any(part.get("analysis") == word for part in PARTS)


@pytest.mark.parametrize("key", [*words.OLD_KEYS, *sorted(words.DISPLAY_KEYS)])
def test_every_key_of_the_vendor_that_is_read_over_has_a_case(key: str) -> None:
    assert any(key in part for part in PARTS)


@pytest.mark.parametrize("table", words.TABLES)
def test_every_table_has_a_case(table: str) -> None:
    assert any(part.get("tableType") == table for part in FILTERS)


@pytest.mark.parametrize("word", [*words.RELATIONS, *words.TIME_UNITS, words.ANY_EVENT, words.GROUP])
def test_every_other_word_has_a_case(word: str) -> None:
    assert any(json.dumps(word) in json.dumps(part) for part in PARTS)
