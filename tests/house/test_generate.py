"""A change of a published schema is sorted by what it means for callers."""

import json
from pathlib import Path
from typing import Any

import pytest

from tools.generate import Checkout, documents, settings_table
from tools.packages import LINKED
from tools.schema_changes import schema_changes, tool_changes

BEFORE: dict[str, Any] = {
    "type": "object",
    "required": ["a"],
    "properties": {
        "a": {"type": "string", "description": "x", "maxLength": 10},
        "b": {"type": "string", "enum": ["x", "y"]},
        "c": {"type": "array", "items": {"type": "object", "properties": {"d": {"type": "integer", "minimum": 1}}}},
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The schema with one keyword set, or dropped where the value is None."""
    copy: dict[str, Any] = json.loads(json.dumps(BEFORE))
    *way, last = path.split("/")
    part = copy
    for step in way:
        part = part[step]
    if value is None:
        del part[last]
    else:
        part[last] = value
    return copy


@pytest.mark.parametrize(
    ("path", "value", "for_input", "for_output"),
    [
        ("properties/a/description", "y", "compatible", "compatible"),
        ("properties/a/default", "y", "compatible", "compatible"),
        ("properties/a/type", "integer", "breaking", "breaking"),
        ("properties/a/maxLength", 5, "breaking", "compatible"),
        ("properties/a/maxLength", 50, "compatible", "breaking"),
        ("properties/a/maxLength", None, "compatible", "breaking"),
        ("properties/a/pattern", "^x$", "breaking", "breaking"),
        ("properties/a", None, "breaking", "breaking"),
        ("properties/n", {"type": "string"}, "added", "added"),
        ("required", ["a", "b"], "breaking", "compatible"),
        ("required", [], "compatible", "breaking"),
        ("properties/b/enum", ["x", "y", "z"], "added", "added"),
        ("properties/b/enum", ["x"], "breaking", "compatible"),
        ("properties/b/enum", ["y", "x"], "compatible", "compatible"),
        ("properties/c/items/properties/d/minimum", 0, "compatible", "breaking"),
        ("properties/c/items/properties/d/minimum", 2, "breaking", "compatible"),
        ("properties/c/items/properties/e", {}, "added", "added"),
        ("additionalProperties", False, "breaking", "breaking"),
    ],
)
def test_a_change_means_what_it_means_for_the_side_that_reads_it(
    path: str, value: Any, for_input: str, for_output: str
) -> None:
    after = changed(path, value)
    assert [c.kind for c in schema_changes("t", BEFORE, after, "input")] == [for_input]
    assert [c.kind for c in schema_changes("t", BEFORE, after, "output")] == [for_output]


def test_nothing_changed_is_nothing() -> None:
    assert list(schema_changes("t", BEFORE, json.loads(json.dumps(BEFORE)), "input")) == []


def test_a_changed_effect_breaks_and_a_changed_description_does_not() -> None:
    before = {"name": "t", "description": "a", "annotations": {"readOnlyHint": True}, "inputSchema": BEFORE}
    after = before | {
        "description": "b",
        "annotations": {"readOnlyHint": False},
        "inputSchema": changed("properties/a", None),
    }
    assert [(c.kind, c.where) for c in tool_changes("t", before, after)] == [
        ("breaking", "t/annotations"),
        ("compatible", "t/description"),
        ("breaking", "t/input/a"),
    ]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    (tmp_path / "tool_schemas").mkdir()
    (tmp_path / "docs").mkdir()
    for page in LINKED:
        (tmp_path / page).write_text("<!-- links:start -->\n<!-- links:end -->\n", encoding="utf-8")
    return Checkout(tmp_path)


def test_writing_brings_everything_into_step(checkout: Checkout) -> None:
    assert checkout.check() != []
    assert {name for name in checkout.write() if name.startswith("tool_schemas/")} == {
        f"tool_schemas/{n}" for n in documents()
    }
    assert checkout.check() == []
    assert checkout.write() == []
    for language, page in (("en", "settings.md"), ("zh", "settings.zh.md")):
        assert settings_table(language) in (checkout.root / "docs" / page).read_text(encoding="utf-8")


def test_an_orphan_file_is_found_and_removed(checkout: Checkout) -> None:
    checkout.write()
    orphan = checkout.root / "tool_schemas" / "gone.json"
    orphan.write_text("{}", encoding="utf-8")
    assert [(c.kind, c.where) for c in checkout.check()] == [("breaking", "tool_schemas/gone.json")]
    assert checkout.write() == ["tool_schemas/gone.json"]
    assert not orphan.exists()


def test_a_changed_file_is_reported_by_what_changed(checkout: Checkout) -> None:
    checkout.write()
    file = checkout.root / "tool_schemas" / "list_clusters.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    document["inputSchema"]["properties"]["gone"] = {"type": "string"}
    document["description"] = "other words"
    file.write_text(json.dumps(document), encoding="utf-8")
    assert [(c.kind, c.where) for c in checkout.check()] == [
        ("compatible", "list_clusters/description"),
        ("breaking", "list_clusters/input/gone"),
    ]


def test_a_page_without_markers_is_refused(checkout: Checkout) -> None:
    (checkout.root / "docs" / "install.md").write_text("# nothing", encoding="utf-8")
    with pytest.raises(ValueError, match="markers"):
        checkout.check()


def test_a_committed_file_that_is_no_json_is_out_of_step(checkout: Checkout) -> None:
    checkout.write()
    (checkout.root / "tool_schemas" / "qp.json").write_text("{", encoding="utf-8")
    assert [c.kind for c in checkout.check()] == ["breaking"]
