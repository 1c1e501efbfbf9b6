"""A new word of the language that lacks its SQL is a type error.

A comparator names its test in its row of the vocabulary, so its SQL is that of the test.
"""

import subprocess
import sys

import pytest

from tests.house.source import ROOT

VOCABULARY = "mcp_server/language/vocabulary.py"
CHECKED = ("mcp_server/plan/compile.py", "mcp_server/plan/plan.py", "mcp_server/engines/sql.py")
WORDS = [
    (
        '    MEMBER = "',
        '    SOUNDS = "sounds like one of the texts"\n    MEMBER = "',
        "Literal[Test.SOUNDS]",
        CHECKED[0],
    ),
    ('"MEDIAN", "DISTINCT"]', '"MEDIAN", "DISTINCT", "MODE"]', "Literal['MODE']", CHECKED[2]),
    ('Relation = Literal["and", "or"]', 'Relation = Literal["and", "or", "xor"]', "Literal['xor']", CHECKED[2]),
]


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What mypy says of the plan and its SQL with a test, a measure and a relation more in the vocabulary."""
    folder = tmp_path_factory.mktemp("words")
    text = (ROOT / VOCABULARY).read_text(encoding="utf-8")
    for old, new, _, _ in WORDS:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    copy = folder / "vocabulary.py"
    copy.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--follow-imports=silent", f"--cache-dir={folder / 'cache'}"]
    ran = subprocess.run(
        [*command, "--shadow-file", VOCABULARY, str(copy), *CHECKED], capture_output=True, encoding="utf-8", cwd=ROOT
    )
    return ran.stdout


@pytest.mark.parametrize(("word", "file"), [(word, file) for _, _, word, file in WORDS])
def test_a_word_without_its_sql_is_a_type_error(complaints: str, word: str, file: str) -> None:
    assert [line for line in complaints.splitlines() if line.startswith(file) and word in line and "Never" in line]
