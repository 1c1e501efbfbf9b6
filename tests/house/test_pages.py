"""Pages for people: each Chinese page says what the English one says, and every link leads somewhere."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHINESE = [ROOT / "README.zh.md", *sorted((ROOT / "docs").glob("*.zh.md"))]
PAGES = [ROOT / "README.md", ROOT / "README.zh.md", *sorted((ROOT / "docs").glob("*.md"))]
COMPLETE = ("call-tasks", "consent", "http", "install", "language", "privacy", "settings", "sql-clusters", "team-server", "tools", "uploaded-ids")  # fmt: skip

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def outline(path: Path) -> list[str]:
    """Headings by level, tables by rows, blocks of code by lines, bullets: all but the words."""
    text = path.read_text(encoding="utf-8")
    text = _FENCE.sub(lambda found: f"code {found[0].count(chr(10))}", text)
    return [
        line if line.startswith("code ") else re.match(r"#+ |\||\* |\d\. ", line)[0].strip()  # type: ignore[index]
        for line in text.splitlines()
        if re.match(r"#+ |\||\* |\d\. |code \d", line)
    ]


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("chinese", CHINESE, ids=lambda path: path.name)
def test_a_chinese_page_has_all_parts_of_the_english_one(chinese: Path) -> None:
    english = chinese.with_name(chinese.name.replace(".zh.md", ".md"))
    assert outline(chinese) == outline(english)
    assert f"]({english.name})" in chinese.read_text(encoding="utf-8")
    assert f"]({chinese.name})" in english.read_text(encoding="utf-8")


def test_the_pages_that_people_work_with_are_there_in_chinese() -> None:
    assert {f"{name}.zh.md" for name in COMPLETE} <= {path.name for path in CHINESE}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for link in _LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / unquote(name) if name else page
        assert target.exists(), link
        assert not anchor or unquote(anchor) in anchors(target), link
