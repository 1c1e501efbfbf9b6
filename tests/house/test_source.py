"""Sizes, encodings, prints and languages: what every file keeps to."""

import ast
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator

from mcp_server.calls.problems import CALL_CODES
from mcp_server.language.problems import CODES
from tests.house.source import ROOT, Module, calls, modules

MOST_LINES = 800
MOST_FILES = 20
"""Python files flat in one folder of the package."""
MOST_LINES_OF_A_FUNCTION = 60
MAY_PRINT = re.compile(r"mcp_server/(cli|terminal|demo/\w+)\.py")

GRAMMAR = {"s", "unit"}
"""Places that only one language needs: a plural, a counting word."""
UNLIKE = {
    ("", " 次"): "Chinese counts with a word of its own",
    ("from {days}", "{days}"): "Chinese needs no preposition",
    ("a number of times other than {n}", "不等于 {a}"): "English says the measure, Chinese the number",
}
"""Pairs that may differ, and why."""

_PLACE = re.compile(r"(?<!\{)\{(\w+)[^{}]*\}")
_CHINESE = re.compile("[\u4e00-\u9fff]")


def holding(words: str) -> list[Module]:
    """Files of the product, the tests and the benchmarks with such words in them: a rule about a call has to parse no others."""
    return [m for m in (*modules(), *modules("tests"), *modules("benchmarks")) if re.search(words, m.text)]


def test_files_are_rooms_not_halls() -> None:
    long = {m.path: lines for m in modules() if (lines := m.text.count("\n")) > MOST_LINES}
    assert long == {}, f"files over {MOST_LINES} lines"


def test_a_folder_holds_no_more_files_than_a_reader_can_keep_in_mind() -> None:
    folders = Counter(m.path.rpartition("/")[0] for m in modules())
    assert {folder: n for folder, n in folders.items() if n > MOST_FILES} == {}


def test_a_public_class_has_a_name_of_its_own() -> None:
    classes: dict[str, list[str]] = {}
    for m in modules():
        for node in m.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                classes.setdefault(node.name, []).append(m.path)
    assert {name: paths for name, paths in classes.items() if len(paths) > 1} == {}


def test_nothing_ships_that_only_tests_or_tools_use() -> None:
    """Modules, and public functions and classes, that nothing in the package names."""
    words = Counter(word for m in modules() for word in re.findall(r"\w+", m.text))
    unused = [
        f"{m.path}: {node.name}"
        for m in modules()
        for node in m.tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and words[node.name] == 1
        and not any("operation(" in ast.unparse(d) for d in node.decorator_list)
    ]
    assert unused == []


def test_functions_fit_a_screen() -> None:
    long = {
        f"{m.path}:{node.lineno} {node.name}": lines
        for m in modules()
        for node in ast.walk(m.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > MOST_LINES_OF_A_FUNCTION
    }
    assert long == {}, f"functions over {MOST_LINES_OF_A_FUNCTION} lines"


def test_text_files_are_opened_with_an_encoding() -> None:
    bare = [
        f"{m.path}:{call.lineno}"
        for m in holding(r"\b(open|read_text|write_text)\(")
        for name, call in calls(m)
        if _lacks_encoding(name, call)
    ]
    assert bare == []


def _lacks_encoding(name: str, call: ast.Call) -> bool:
    if name not in ("open", "read_text", "write_text") or any(word.arg in ("encoding", None) for word in call.keywords):
        return False
    if name != "open":
        return isinstance(call.func, ast.Attribute)
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    if owner is not None and not (isinstance(owner, ast.Name) and owner.id == "io") and not _looks_like_a_path(owner):
        return False
    modes = [a.value for a in [*call.args, *(k.value for k in call.keywords)] if isinstance(a, ast.Constant)]
    return not any(isinstance(mode, str) and "b" in mode and set(mode) <= set("rwxab+t") for mode in modes)


def _looks_like_a_path(owner: ast.expr) -> bool:
    """`Workspace.open`, `os.open`, `webbrowser.open` are not about text; `path.open` and `(a / b).open` are."""
    if isinstance(owner, ast.Call):
        return isinstance(owner.func, ast.Name) and owner.func.id == "Path"
    if isinstance(owner, ast.Name):
        return owner.id not in sys.stdlib_module_names and any(word in owner.id for word in ("path", "file"))
    return isinstance(owner, ast.BinOp)


def test_only_commands_print() -> None:
    found = [
        f"{m.path}:{call.lineno}"
        for m in modules()
        if not MAY_PRINT.fullmatch(m.path)
        for name, call in calls(m)
        if name == "print"
    ]
    assert found == [], "stdout belongs to JSON-RPC"


def test_nobody_uses_the_connection_that_a_whole_process_shares() -> None:
    found = [
        f"{m.path}:{call.lineno}"
        for m in holding(r"\bduckdb\.")
        for name, call in calls(m)
        if name != "connect" and _is_of_duckdb(call.func)
    ]
    assert found == [], "an answer left unread there fails whoever comes next; tests ask with tests/asking_duckdb.py"


def _is_of_duckdb(function: ast.expr) -> bool:
    owner = function.value if isinstance(function, ast.Attribute) else None
    return isinstance(owner, ast.Name) and owner.id == "duckdb"


def test_every_sentence_stands_in_both_languages() -> None:
    found = [
        f"{m.path}:{call.lineno}: {why}"
        for m in modules()
        for name, call in calls(m)
        if name == "Text" and (why := _lame(call))
    ]
    assert found == []


def _lame(call: ast.Call) -> str:
    """Why a `Text(en, zh)` is not the same sentence twice; "" where it is, or cannot be told here."""
    if len(call.args) != 2 or call.keywords:
        return ""
    en, zh = (_words(argument) for argument in call.args)
    if en is None or zh is None or en == zh or (en, zh) in UNLIKE:
        return ""
    if not en.strip() or not zh.strip():
        return "" if _is_punctuation(en + zh) else "one language is empty"
    if _places(en) != _places(zh):
        return f"places differ: {_places(en)} {_places(zh)}"
    spoken = re.search("[A-Za-z]{3}", _PLACE.sub("", en))
    return "no Chinese in the Chinese text" if spoken and not _CHINESE.search(zh) else ""


def _is_punctuation(words: str) -> bool:
    return not re.search(r"\w", words)


def _words(node: ast.expr) -> str | None:
    """A literal text; what an f-string fills in counts as a place."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return None


def _places(words: str) -> set[str]:
    return set(_PLACE.findall(words)) - GRAMMAR


LIST_SIGNS = (", ", "; ", "、", "，", "；")
JOINED_AS_DATA = {
    "mcp_server/front/http/access.py": "a header",
    "mcp_server/front/mcp/rendering.py": "fields of a result, which read the same in both languages",
    "mcp_server/gateway/thinkingdata.py": "repairs, for programs",
    "mcp_server/operations/arguments.py": "an outline of JSON",
    "mcp_server/oversight.py": "fields of the log",
    "mcp_server/platforms/thinkingdata/queries.py": "SQL",
    "mcp_server/platforms/fields.py": "a table that stands in both languages",
    "mcp_server/store/records.py": "SQL",
}
"""Where signs of lists stand between what is no sentence. Under engines/ and sources/ they are in SQL, and never in `Text`."""


def test_lists_in_sentences_are_joined_in_one_place() -> None:
    found, used = [], set()
    for module in modules():
        prose = {
            id(node) for name, text in calls(module) if name in ("Text", "same", "finding") for node in ast.walk(text)
        }
        for name, call in calls(module):
            sign = call.func.value if name == "join" and isinstance(call.func, ast.Attribute) else None
            if not isinstance(sign, ast.Constant) or sign.value not in LIST_SIGNS:
                continue
            used.add(module.path)
            data = (
                module.path.startswith(("mcp_server/engines/", "mcp_server/sources/")) or module.path in JOINED_AS_DATA
            )
            if not data or id(call) in prose or not str(sign.value).isascii():
                found.append(f"{module.path}:{call.lineno}")
    assert found == [], "a sign typed here is the sign of one language: text.listed and text.clauses know both"
    assert set(JOINED_AS_DATA) <= used, "exceptions that nothing needs any more"


def test_every_problem_fills_the_same_places_in_both_languages() -> None:
    for code, row in {**CODES, **CALL_CODES}.items():
        assert row.text.en.strip(), code
        assert _CHINESE.search(row.text.zh), code
        assert _places(row.text.en) == _places(row.text.zh), code


_HALF_WIDTH = re.compile(
    r"(?<=[\u4e00-\u9fff]) ?[,;!?](?![A-Za-z])|(?<=[\u4e00-\u9fff]) ?[:()]|[,;:!?()] ?(?=[\u4e00-\u9fff])|(?<=[\u4e00-\u9fff])\.(?!\S)"
)
"""Half-width punctuation beside a Chinese sign; a full stop only at the end of a word."""
FORMS_TO_WRITE = ("下限,上限", "PartDate:名称", "https://主机:端口", "()", "IN (…)", "upload:")
"""What is to be typed as it stands, of which no sign may be full-width."""


def test_chinese_text_has_chinese_punctuation() -> None:
    texts = [
        (f"{m.path}:{call.lineno}", _words(call.args[1]) or "")
        for m in modules()
        for name, call in calls(m)
        if name in ("Text", "problem", "warning") and len(call.args) == 2
    ]
    assert len(texts) > 300
    assert [(where, zh) for where, zh in texts if _half_width(zh)] == []


def test_chinese_in_the_published_schemas_has_chinese_punctuation() -> None:
    paths = [*(ROOT / "tool_schemas").glob("*.json")]
    words = [text for path in paths for text in _values(json.loads(path.read_text(encoding="utf-8")))]
    assert paths
    assert [text for text in words if _half_width(text)] == []


def _values(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _values(child)


def _half_width(zh: str) -> bool:
    for form in FORMS_TO_WRITE:
        zh = zh.replace(form, "")
    return bool(_HALF_WIDTH.search(zh))


def test_nothing_in_the_source_waits_to_be_done() -> None:
    left = [
        f"{m.path}:{n}: {line.strip()}"
        for m in modules()
        for n, line in enumerate(m.text.splitlines(), 1)
        if re.search(r"\b(TODO|FIXME|XXX|NotImplementedError)\b", line)
    ]
    assert left == []


def test_the_rules_themselves_catch_what_they_are_for() -> None:
    def one(text: str) -> ast.Call:
        call = ast.parse(text, mode="eval").body
        assert isinstance(call, ast.Call)
        return call

    assert _lame(one('Text("a {x}", "一 {y}")')).startswith("places")
    assert _lame(one('Text("words", "words too")')) == "no Chinese in the Chinese text"
    assert _lame(one('Text("words", "")')) == "one language is empty"
    assert _lame(one('Text("a {x}", "一 {x}")')) == ""
    assert _lacks_encoding("open", one('open("x")'))
    assert not _lacks_encoding("open", one('open("x", "rb")'))
    assert _lacks_encoding("read_text", one("path.read_text()"))
    assert not _lacks_encoding("read_text", one('path.read_text(encoding="utf-8")'))
    assert _is_of_duckdb(one("duckdb.sql('SELECT 1')").func)
    assert not _is_of_duckdb(one("db.sql('SELECT 1')").func)
    assert (ROOT / "pyproject.toml").is_file()
    for wrong in ("已删除,请重试。", "共 3 个(含今天)", "名称:城市", "已完成.", "(今天)"):
        assert _half_width(wrong), wrong
    for right in ("已删除，请重试。", "用 a.b 或 f(x)，见文档", '形如 "1,2" 的文本', "“下限,上限”"):
        assert not _half_width(right), right
