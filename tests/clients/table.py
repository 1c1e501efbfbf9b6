"""Print the table of the last run's results, or write it into the documents: python -m tests.clients.table [--write]"""

import json
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

from tests.clients.running import RESULTS, ROOT, SCENARIO, Client, clients

Data = dict[str, Any]
MOST = 4
"""Steps and places that a cell names."""
_CHINESE_STEPS = {step["step"]: step["zh"] for script in SCENARIO["scripts"].values() for step in script}
START, END = "<!-- clients:start -->", "<!-- clients:end -->"


class Words(NamedTuple):
    """What the table says, in one language."""

    page: Path
    chinese: bool
    head: tuple[str, ...]
    all_steps: str
    some_steps: str
    join: str
    nothing: str
    yes: str
    read: str
    unread: str
    more: str

    def names(self, steps: list[str]) -> str:
        """Steps of the scenario by their names, the first few of them."""
        said = [_CHINESE_STEPS[step] if self.chinese else step for step in steps[:MOST]]
        return self.join.join(said) + (self.more.format(n=len(steps) - MOST) if len(steps) > MOST else "")


ENGLISH = Words(
    page=ROOT / "docs" / "clients.md",
    chinese=False,
    head=(
        "Client",
        "Version",
        "Tools",
        "stdio",
        "HTTP",
        "Lost on the way",
        "Sends nulls",
        "Errors and waiting approvals",
    ),
    all_steps="all {n} steps",
    some_steps="{works} of {n}; not: {steps}",
    join=", ",
    nothing="nothing",
    yes="yes",
    read="read",
    unread="not read: {steps}",
    more=" and {n} more",
)
CHINESE = Words(
    page=ROOT / "docs" / "clients.zh.md",
    chinese=True,
    head=("客户端", "版本", "工具", "stdio", "HTTP", "途中丢失", "发送 null", "错误与待批准"),
    all_steps="{n} 步全部通过",
    some_steps="{n} 步中 {works} 步通过；未通过：{steps}",
    join="、",
    nothing="无",
    yes="是",
    read="可读到",
    unread="读不到：{steps}",
    more="，另有 {n} 步",
)


def main() -> int:
    for words in (ENGLISH, CHINESE):
        table = "\n".join(lines(words))
        if "--write" in sys.argv[1:]:
            page = words.page.read_text(encoding="utf-8")
            before, _, rest = page.partition(START)
            _, _, after = rest.partition(END)
            words.page.write_text(f"{before}{START}\n{table}\n{END}{after}", encoding="utf-8")
        else:
            print(table, end="\n\n")
    return 0


def lines(words: Words) -> list[str]:
    """The table, for the clients of which there are results."""
    rows = [
        row(client, words)
        for client in clients()
        if result(client, "stdio", "whole") or result(client, "http", "whole")
    ]
    return [_line(words.head), _line(["---"] * len(words.head)), *map(_line, rows)]


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def result(client: Client, transport: str, script: str) -> Data | None:
    path = RESULTS / f"{client.name}.{transport}.{script}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def row(client: Client, words: Words) -> list[str]:
    runs = {transport: result(client, transport, "whole") for transport in ("stdio", "http")}
    there = [run for run in runs.values() if run]
    lost = {_part(place) for run in there for step in run["steps"] for place in step["lost"]}
    waiting = [run for transport in ("stdio", "http") if (run := result(client, transport, "waiting"))]
    unread = list(dict.fromkeys(step["step"] for run in waiting for step in run["steps"] if step["problems"]))
    return [
        (words.chinese and client.title_zh) or client.title,
        there[0]["version"],
        str(min(run["tools"] for run in there)),
        *(_steps(run, words) for run in runs.values()),
        words.join.join(f"`{part}`" for part in sorted(lost)) or words.nothing,
        words.yes if any(run["nulls"] for run in there) else "",
        words.unread.format(steps=words.names(unread)) if unread else words.read,
    ]


def _steps(run: Data | None, words: Words) -> str:
    if run is None:
        return "–"
    fails = [step["step"] for step in run["steps"] if step["problems"]]
    n = len(run["steps"])
    if not fails:
        return words.all_steps.format(n=n)
    return words.some_steps.format(works=n - len(fails), n=n, steps=words.names(fails))


def _part(place: str) -> str:
    """The first two names of a place, without the numbers in lists: `qp/events`."""
    return "/".join(re.sub(r"/\d+", "", place).split("/")[1:3])


if __name__ == "__main__":
    sys.exit(main())
