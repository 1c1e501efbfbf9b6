"""Paths of a caller lead only to regular files in folders that the operator allowed."""

import os
from pathlib import Path

import pytest

from mcp_server.errors import InvalidArguments
from mcp_server.store.files import AllowedFiles


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two allowed folders, `imports` and `more`, and one beside them."""
    for name in ("imports/inner", "more", "secret"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("imports/a.csv", "imports/inner/b.csv", "more/c.csv", "secret/s.csv"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    return tmp_path


@pytest.fixture
def allowed(root: Path) -> AllowedFiles:
    return AllowedFiles([root / "imports", root / "more"])


def content(allowed: AllowedFiles, path: str | Path) -> str:
    opened = allowed.open(str(path))
    with opened.file as file:
        text = file.read().decode()
    assert opened.size == len(text)
    return text


def refusal(allowed: AllowedFiles, path: str | Path) -> str:
    with pytest.raises(InvalidArguments) as caught:
        allowed.open(str(path))
    (problem,) = caught.value.problems
    assert (problem.code, problem.path) == ("ids_path", "/path")
    assert str(allowed.folders[0]) in problem.message.en
    assert str(allowed.folders[1]) in problem.message.zh
    return problem.message.en


def test_files_in_the_folders_are_opened(allowed: AllowedFiles, root: Path) -> None:
    for path, expected in (
        ("a.csv", "imports/a.csv"),
        ("inner/b.csv", "imports/inner/b.csv"),
        (root / "imports" / "a.csv", "imports/a.csv"),
        (root / "more" / "c.csv", "more/c.csv"),
        (f"{root}/imports/./inner//b.csv", "imports/inner/b.csv"),
    ):
        assert content(allowed, path) == expected


def test_a_folder_that_is_reached_by_a_link_of_the_operator_serves_under_both_names(root: Path) -> None:
    (root / "by-link").symlink_to(root / "more")
    allowed = AllowedFiles([root / "imports", root / "by-link"])
    for folder in ("by-link", "more"):
        assert content(allowed, root / folder / "c.csv") == "more/c.csv"


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../secret/s.csv", "inner/../../secret/s.csv", "inner/../a.csv", "~/x.csv", "~nobody-at-all/x", "a\0b", "\ud800", ".", "/", " "],
)  # fmt: skip
def test_paths_elsewhere_are_refused_without_a_look(allowed: AllowedFiles, path: str) -> None:
    assert "lies elsewhere" in refusal(allowed, path)


def test_a_name_that_begins_like_an_allowed_folder_is_elsewhere(allowed: AllowedFiles, root: Path) -> None:
    (root / "imports-2").mkdir()
    (root / "imports-2" / "x.csv").write_text("x", encoding="utf-8")
    assert "lies elsewhere" in refusal(allowed, root / "imports-2" / "x.csv")


def test_links_are_not_followed_wherever_they_stand(allowed: AllowedFiles, root: Path) -> None:
    (root / "imports" / "link.csv").symlink_to(root / "secret" / "s.csv")
    (root / "imports" / "friendly.csv").symlink_to(root / "imports" / "a.csv")
    (root / "imports" / "door").symlink_to(root / "secret")
    for path in ("link.csv", "friendly.csv", "door/s.csv", "a.csv/b"):
        assert "link" in refusal(allowed, path)


def test_what_is_no_regular_file_is_refused_and_never_waited_for(allowed: AllowedFiles, root: Path) -> None:
    os.mkfifo(root / "imports" / "pipe")
    for path in ("pipe", "inner"):
        assert "not a regular file" in refusal(allowed, path)


def test_a_file_that_is_not_there_names_the_nearest_but_no_upload_of_others(allowed: AllowedFiles, root: Path) -> None:
    (root / "imports" / ("0123456789abcdef" * 2 + ".csv")).write_text("x", encoding="utf-8")
    for path, suggestion in (("a.cvs", "a.csv"), ("inner/bb.csv", "inner/b.csv"), ("0123456789abcdef" * 2, "")):
        with pytest.raises(InvalidArguments) as caught:
            allowed.open(path)
        expected = str(root / "imports" / suggestion) if suggestion else ""
        assert caught.value.problems[0].suggestion == expected


def test_a_folder_swapped_for_a_link_after_the_check_leads_nowhere(allowed: AllowedFiles, root: Path) -> None:
    """What the walk opens is what counts, not what the path said before."""
    (root / "imports" / "inner").rename(root / "imports" / "was")
    (root / "imports" / "inner").symlink_to(root / "secret")
    assert "link" in refusal(allowed, "inner/s.csv")
