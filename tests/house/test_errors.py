"""Every error and every problem has one stable code, and a row in the documentation."""

import ast
import re

from mcp_server import errors
from mcp_server.calls.problems import CALL_CODES
from mcp_server.errors import FenqunError
from mcp_server.language.problems import CODES
from tests.house.source import ROOT, modules
from tools.generate import error_classes, errors_page, problems_page

GROUPS = {"FenqunError", "InputError", "RefusedError", "VendorError", "EngineError"}


def test_codes_are_unique_words() -> None:
    codes = [kind.code for kind in error_classes()]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", code) for code in codes)


def test_every_class_but_the_groups_has_a_code_of_its_own() -> None:
    classes = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, FenqunError) and kind.__module__ == errors.__name__
    }
    assert {name for name, kind in classes.items() if "code" not in vars(kind) or not kind.code} == GROUPS
    assert {kind.__name__ for kind in error_classes()} == set(classes) - GROUPS


def test_groups_are_never_raised() -> None:
    raised = [
        f"{m.path}:{node.lineno}"
        for m in modules()
        for node in ast.walk(m.tree)
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
        and node.exc.func.id in GROUPS
    ]
    assert raised == []


def test_no_error_is_defined_elsewhere() -> None:
    elsewhere = [
        f"{m.path}:{node.lineno} {node.name}"
        for m in modules()
        if m.name != "errors"
        for node in ast.walk(m.tree)
        if isinstance(node, ast.ClassDef) and {b.id for b in node.bases if isinstance(b, ast.Name)} & set(vars(errors))
        & {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, FenqunError)}
    ]  # fmt: skip
    assert elsewhere == []


def test_the_documentation_has_a_row_for_each() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert page == errors_page()
    for kind in error_classes():
        assert f"| `{kind.code}` |" in page
        assert kind.__doc__


def test_the_documentation_has_a_row_for_each_problem_and_an_example_where_a_definition_draws_it() -> None:
    page = (ROOT / "docs" / "problems.md").read_text(encoding="utf-8")
    assert page == problems_page(ROOT)
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    assert set(rows) == {*CODES, *CALL_CODES}
    elsewhere = ("sql_", "crowd_", "ids_", "main_column_", "used_by_")  # drawn by what no definition says
    of_definitions = [code for code in CODES if not code.startswith(elsewhere)]
    assert sum("definition.json" in rows[code] for code in of_definitions) >= 0.8 * len(of_definitions)
    links = re.findall(r"\]\(\.\./([^)]+)\)", page)
    assert all((ROOT / link).is_file() for link in links)
