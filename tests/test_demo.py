"""What a newcomer sees first: the demo runs from the bundled data to an exported list, twice, in both languages."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import unicodedata
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from mcp_server import demo
from mcp_server.cli import main
from mcp_server.demo import script
from mcp_server.platforms.local.loading import load
from mcp_server.terminal import WIDTH, Screen, blocks, cells, cut, wrap
from mcp_server.text import Text, same
from tests.asking_duckdb import rows_of

ROOT = Path(__file__).resolve().parents[1]
TODAY = date(1998, 7, 1)
SIZE = {
    "en": re.compile(r'([0-9,]+) customers are in the cluster "'),
    "zh": re.compile(r"（lapsed_regulars，id \d+）中现有 ([0-9,]+) 名客户"),
}


class Told(NamedTuple):
    status: int
    out: str
    err: str


def run(folder: Path, language: str) -> Told:
    """`fenqun demo` in a process of its own that sees no setting of ours and stands in another folder."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("FENQUN_") and k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-m", "mcp_server", "demo", "--workspace", str(folder), "--language", language],
        capture_output=True,
        encoding="utf-8",
        env=clean | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "FORCE_COLOR": "1"},
        cwd=folder.parent,
        timeout=120,
    )
    return Told(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("newcomer") / "workspace"


@pytest.fixture(scope="module")
def english(home: Path) -> Told:
    return run(home, "en")


@pytest.fixture(scope="module")
def chinese(home: Path, english: Told) -> Told:
    """The second run in the same place, where somebody has made a cluster in the meantime."""
    assert english.status == 0
    mine = {
        "cluster_name": "mine",
        "display_name": "Mine",
        "cluster_type": "cluster_by_static_condition",
        "qp": {"filts": [{"tableType": "user", "columnName": "purchases", "comparator": "equal", "ftv": ["1"]}]},
    }
    assert main(["call", "create_cluster", json.dumps(mine), "--workspace", str(home / "demo")]) == 0
    return run(home, "zh")


@pytest.fixture(params=["en", "zh"])
def told(request: pytest.FixtureRequest) -> Told:
    found: Told = request.getfixturevalue({"en": "english", "zh": "chinese"}[request.param])
    return found


@cache
def counted(days: int) -> tuple[list[int], set[int]]:
    """The story's sentence in plain Python: how many are left after each condition, and who at the end."""
    file = str(ROOT / "mcp_server" / "demo" / "events.parquet")
    rows = rows_of('SELECT "#user_id", "#event_time"::DATE, amount FROM read_parquet(?)', [file])
    times: dict[int, int] = defaultdict(int)
    spent: dict[int, Decimal] = defaultdict(Decimal)
    recent: set[int] = set()
    for user, day, amount in rows:
        if day.year == 1997:
            times[user] += 1
            spent[user] += Decimal(str(amount))
        if TODAY - timedelta(days=days) <= day < TODAY:
            recent.add(user)
    often = {user for user, n in times.items() if n >= 5}
    good = {user for user in often if spent[user] > 300}
    return [len({user for user, _, _ in rows}), len(often), len(good), len(good - recent)], good - recent


@cache
def totals() -> dict[int, Decimal]:
    """What each customer spent in all, in plain Python."""
    file = str(ROOT / "mcp_server" / "demo" / "events.parquet")
    spent: dict[int, Decimal] = defaultdict(Decimal)
    for user, amount in rows_of('SELECT "#user_id", amount FROM read_parquet(?)', [file]):
        spent[user] += Decimal(str(amount))
    return spent


def purchases_of(users: set[int], start: date) -> tuple[int, int]:
    """How many purchases these customers made from a day on, and how many of them made any; in plain Python."""
    file = str(ROOT / "mcp_server" / "demo" / "events.parquet")
    rows = rows_of('SELECT "#user_id", "#event_time"::DATE FROM read_parquet(?)', [file])
    buyers = [user for user, day in rows if user in users and day >= start]
    return len(buyers), len(set(buyers))


def test_the_demo_ends_well_and_says_nothing_else(told: Told) -> None:
    assert told.status == 0, told.err
    assert told.err == ""
    assert "Traceback" not in told.out


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_size_is_what_plain_counting_gives(language: str, request: pytest.FixtureRequest) -> None:
    told: Told = request.getfixturevalue({"en": "english", "zh": "chinese"}[language])
    found = SIZE[language].search(told.out)
    assert found, told.out
    assert int(found[1].replace(",", "")) == len(counted(90)[1]) > 0


def test_the_funnel_and_the_tried_change_are_what_plain_counting_gives(told: Told) -> None:
    funnel = told.out[: told.out.index("→ create_cluster")]
    left = re.findall(r" ([0-9,]+)  [█▏▎▍▌▋▊▉]+$", funnel, re.MULTILINE)
    assert [int(n.replace(",", "")) for n in left] == counted(90)[0]
    assert f"{len(counted(90)[1])} → {len(counted(180)[1])}" in told.out


def test_the_tag_and_its_use_as_a_condition_are_what_plain_counting_gives(told: Told) -> None:
    gold, silver = (
        sum(low < amount <= high for amount in totals().values()) for low, high in ((500, 10**9), (100, 500))
    )
    shown = told.out[told.out.index('{"tag_qp":{…}}') : told.out.index("→ update_cluster")]
    counted_users = [int(n.replace(",", "")) for n in re.findall(r" ([0-9,]+)  [█▏▎▍▌▋▊▉]+$", shown, re.MULTILINE)]
    assert counted_users == sorted((gold, silver, len(totals()) - gold - silver), reverse=True)
    best = sum(totals()[user] > 500 for user in counted(90)[1])
    last = shown[shown.index('→ preview_definition {"qp"') :]
    assert re.search(rf"\b{best}\b", last)


def test_the_exported_list_holds_exactly_these_customers(told: Told) -> None:
    path = re.search(r"^  (\S.*\.csv)$", told.out, re.MULTILINE)
    assert path
    with Path(path[1]).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {int(row["#user_id"]) for row in rows} == counted(90)[1]
    assert len(rows) == len(counted(90)[1])


def test_every_part_of_the_job_is_a_call_in_sight(told: Told) -> None:
    called = re.findall(r"^  → (\S+)", told.out, re.MULTILINE)
    assert [tool for tool in called if not tool.startswith("delete_")] == [
        "tools/list", "describe_data", "describe_data", "validate_definition", "validate_definition",
        "preview_definition", "create_cluster", "create_cluster", "refresh_cluster",
        "preview_definition", "create_tag", "preview_definition", "update_cluster",
        "list_clusters", "export_users", "import_ids", "create_cluster",
        "create_crowd_analysis", "get_crowd_analysis", "create_call_task", "update_call_task", "update_call_task",
        "get_cluster",
    ]  # fmt: skip


def test_those_who_did_not_answer_are_called_when_the_person_said(told: Told, home: Path) -> None:
    everybody = len(counted(90)[1])
    silent = everybody - script.ANSWERS_SHOWN
    after = told.out[told.out.index("→ import_ids") :]
    assert f"{script.ANSWERS_SHOWN + 1} " in after
    assert script.MISTYPED in after
    assert re.search(rf"still_silent.*\b{silent}\b", after)
    assert re.search(rf"\b{2 * silent}\b", after)  # one redial each at worst
    week = re.findall(r"^  (?:  |)(Mon|Tue|Wed|Thu|Fri|Sat|Sun|周.) ([█▒·]{24})$", after, re.MULTILINE)
    assert [line for _, line in week] == [*["·" * 10 + "██" + "·" * 12] * 6, "·" * 24]


def test_the_crowd_is_what_plain_counting_gives(told: Told) -> None:
    after = told.out[told.out.index("→ get_crowd_analysis") :]
    first = after[: after.index("12  ")]
    events, users = purchases_of(counted(90)[1], date(1998, 1, 1))
    assert re.search(rf"\b{users}\b.*\b{events}\b", first.replace("\n", " "))


def test_every_scene_of_the_story_is_a_step() -> None:
    scenes = [value for value in vars(script).values() if isinstance(value, script.Scene)]
    assert sorted(step.scene.heading.en for step in script.STEPS) == sorted(scene.heading.en for scene in scenes)


def test_a_file_gets_plain_text_of_80_columns(told: Told, home: Path) -> None:
    assert all(c.isprintable() or c == "\n" for c in told.out)
    wide = [line for line in told.out.splitlines() if columns(line) > WIDTH]
    to_be_copied = (str(home), sys.executable)
    assert [line for line in wide if not any(path in line for path in to_be_copied)] == []


def columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def test_the_story_is_told_in_the_chosen_language(english: Told, chinese: Told) -> None:
    def chinese_lines(said: str) -> int:
        return sum(bool(re.search("[\u4e00-\u9fff]", line)) for line in said.splitlines())

    assert "You: “" in english.out
    assert "你：“" in chinese.out
    assert chinese_lines(english.out) < 15  # the Chinese explanation, and the Chinese words that are searched for
    assert chinese_lines(chinese.out) > 60


def test_progress_comes_from_the_server(told: Told) -> None:
    bars = re.findall(r"^  [█▏▎▍▌▋▊▉░]{24} +(\d+)%", told.out, re.MULTILINE)
    loaded, *refreshed = map(int, bars)
    assert loaded == 100
    assert len(refreshed) >= 2
    assert refreshed == sorted(set(refreshed))
    assert refreshed[-1] == 100


def test_a_second_run_makes_only_its_own_anew(chinese: Told, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert chinese.out.count("→ delete_cluster") == len(script.MADE)
    assert chinese.out.count("→ delete_crowd_analysis") == 1
    assert '"task_name":"win_back_2"' in chinese.out
    assert chinese.out.count(script.AGAIN.zh) == 1
    assert main(["call", "list_clusters", "--json", "--workspace", str(home / "demo")]) == 0
    found = json.loads(capsys.readouterr().out)["clusters"]
    assert sorted(cluster["cluster_name"] for cluster in found) == sorted([*script.MADE, "mine"])
    assert sorted(path.name for path in home.iterdir()) == ["demo"]


def test_the_lines_for_the_desktop_client_start_this_server(english: Told, home: Path) -> None:
    lines = english.out[english.out.index('{ "mcpServers"') :]
    entry = json.loads(lines[: lines.index("} } }") + 5])["mcpServers"]["fenqun"]
    assert Path(entry["command"]).is_absolute()
    assert Path(entry["command"]).is_file()
    assert entry["args"][-3:] == ["serve", "--workspace", str(home / "demo")]


DEFINITIONS = [
    block
    for page in ("language.md", "language.zh.md")
    for block in re.findall("```json\n(.*?)```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL)
]


def test_the_definitions_in_the_pages_are_valid_over_this_data(
    english: Told, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert english.status == 0
    assert len(DEFINITIONS) == 6
    for block in DEFINITIONS:
        arguments = {"tag_qp" if "userTag" in block else "qp": json.loads(block)}
        call = ["call", "validate_definition", json.dumps(arguments), "--json", "--workspace", str(home / "demo")]
        assert main(call) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["valid"], found
        assert "repairs" not in found
        assert {warning["code"] for warning in found.get("warnings", ())} <= {"sql_local_only"}


@pytest.mark.parametrize("content", ["file", "folder"])
def test_what_is_not_the_demos_own_stays_untouched(content: str, tmp_path: Path) -> None:
    if content == "file":
        (tmp_path / "demo").write_text("mine", encoding="utf-8")
    else:
        (tmp_path / "demo").mkdir()
        (tmp_path / "demo" / "thesis.txt").write_text("mine", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    assert demo._home(tmp_path) == tmp_path / "demo_2"
    assert demo._home(tmp_path) == tmp_path / "demo_2", "the second time it is known again"
    assert [path for path in sorted(tmp_path.rglob("*")) if "demo_2" not in path.parts] == before


def test_a_tool_that_refuses_ends_the_story_with_its_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FENQUN_CLUSTER_NAME_LIMIT", "5")
    monkeypatch.setenv("FENQUN_LANGUAGE", "zh")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert main(["demo", "--workspace", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "create_cluster 调用失败：" in said.err
    assert "/cluster_name" in said.err
    assert "refresh_cluster {" not in said.out


def test_a_server_that_does_not_start_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = shutil.which("false")
    assert nothing
    monkeypatch.setattr(sys, "executable", nothing)
    assert main(["demo", "--workspace", str(tmp_path)]) == 1
    assert "The server did not answer" in capsys.readouterr().err


def test_loading_tells_percent_up_to_the_end(tmp_path: Path) -> None:
    told: list[float] = []
    events = str(demo.DATA / "events.parquet")
    load(tmp_path, "1", events=events, columns={}, on_progress=lambda percent, _: told.append(percent))
    assert told == sorted(told)
    assert told[0] < 50
    assert told[-1] == 100


# --- the look ---


def test_chinese_breaks_anywhere_but_never_before_its_punctuation() -> None:
    words = "过去 90 天没有购买的客户，（共）两名：甲、乙。" * 4
    for width in range(10, 60):
        lines = wrap(words, width)
        assert "".join(lines).replace(" ", "") == words.replace(" ", "")
        assert all(cells(line) <= width for line in lines)
        assert not any(line[0] in "，。、：）" or line[-1] == "（" for line in lines)


def test_a_word_that_is_longer_than_a_line_stays_whole() -> None:
    assert wrap("see /a/very/long/path/of/a/file here", 10) == ["see", "/a/very/long/path/of/a/file", "here"]


def test_a_line_is_cut_by_columns() -> None:
    assert cut("分群分群分群", 8) == "分群分…"
    assert cut("short", 8) == "short"


@pytest.mark.parametrize(
    ("share", "drawn"), [(0, ""), (1e-9, "▏"), (0.5, "█" * 12), (0.51, "█" * 12 + "▎"), (1, "█" * 24), (7, "█" * 24)]
)
def test_something_is_never_drawn_as_nothing(share: float, drawn: str) -> None:
    assert blocks(share) == drawn.ljust(24)


def test_columns_of_a_table_stand_under_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen("zh")
    screen.table([Text("name", "名称"), Text("users", "人数")], [["甲乙丙", "1,000"], ["ab " * 40, "7"]])
    lines = capsys.readouterr().out.splitlines()
    ends = {columns(line) for line in lines[:3]}
    assert len(ends) == 1
    assert ends == {WIDTH}
    assert lines[3].startswith("  ab")


def test_an_output_without_chinese_gets_ascii_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="backslashreplace")
    monkeypatch.setattr(sys, "stdout", stream)
    Screen("en").bar(50, same("half"))
    stream.flush()
    assert raw.getvalue().decode() == f"  {'#' * 12}{'.' * 12}  50%  half\n"


def test_suggestions_are_put_where_their_paths_point() -> None:
    arguments = {"qp": {"a/b": [{"x": "1"}, {"x": "2"}]}}
    problems = [{"path": "/qp/a~1b/1/x", "suggestion": "3"}, {"path": "/qp/a~1b/0/x"}]
    assert script.fixed(arguments, problems) == {"qp": {"a/b": [{"x": "1"}, {"x": "3"}]}}
    assert arguments["qp"]["a/b"][1] == {"x": "2"}
