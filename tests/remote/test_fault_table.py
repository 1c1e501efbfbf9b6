"""Each change on a remote platform × each fault of its answer, and of every answer after it: what the tool reports, and
what state results. And each question × each fault: asked again, then told.

Whatever happens: success means done, an error other than OutcomeUnknown means not done, nothing happens twice, and no
sentence holds a secret.
"""

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

import anyio
import pytest
from anyio.from_thread import BlockingPortal

from mcp_server.errors import FenqunError, OutcomeUnknown
from mcp_server.platforms.thinkingdata import wire
from tests import small
from tests.gateway.faults import Fault
from tests.gateway.kit import Station
from tests.operations.desk import Desk
from tests.remote.faulty import FAULTS, SECRETS, Afar, Choose, Requests, afar

NUMBERS = count(1)
STATIC, TAG = "cluster_by_static_condition", "tag_by_static_condition"
WINDOW = {"start_time": "2030-01-07 09:00:00", "end_time": "2030-01-31 20:00:00"}
START = "2026-07-01 00:00:00"

Arguments = dict[str, Any]


def median(least: int) -> Arguments:
    """Users whose middle price is above this: what the platform's SQL can't count, so no process is started for it."""
    quota = {"analysis": "MEDIAN", "quota": "price"}
    return {"events": [{"eventName": "buy", "comparator": "greater", "num": str(least), "taPropQuota": quota}]}


def middle(days: int) -> Arguments:
    """The same price as a tag."""
    event = {"eventName": "buy", "analysis": "MEDIAN", "quota": "price", "type": "normal", "recentDay": f"1-{days}"}
    return {"userTagConQuotaDef": {"userTagConQuotaEvent": event}}


@dataclass(frozen=True)
class Stock:
    """What the account holds: one thing of each kind, which changes act on again and again. `name` numbers a cell."""

    account: Station
    cluster: str
    crowd_task: str
    call_task: str

    # what exists before a change, and its arguments

    def new(self, name: str) -> Arguments:
        return {"cluster_name": name, "display_name": name, "cluster_type": STATIC, "qp": small.BUYERS}

    def new_tag(self, name: str) -> Arguments:
        return {"cluster_name": name, "display_name": name, "cluster_type": TAG, "tag_qp": middle(3)}

    def other(self, name: str) -> Arguments:
        return {"cluster": "stock", "display_name": name, "qp": median(number(name))}

    def other_tag(self, name: str) -> Arguments:
        return {"cluster": "stock_tag", "display_name": name, "tag_qp": middle(1 + number(name))}

    def doomed(self, name: str) -> Arguments:
        self.account.call("create_cluster", **self.new(name))
        return {"cluster": name}

    def computed(self, _: str) -> Arguments:
        self.account.call("get_refresh_progress", cluster=self.cluster, wait_seconds=20)
        return {"cluster": self.cluster, "wait_seconds": 0}

    def ids(self, name: str) -> Arguments:
        return {"display_name": name, "cluster_name": name, "main_column_name": "city", "ids": ["上海"]}

    def other_ids(self, name: str) -> Arguments:
        return {"cluster": "stock_ids", "display_name": name, "ids": ["a|b"]}

    def crowd(self, name: str) -> Arguments:
        return {"crowd_id": self.cluster, "start_time": START, "end_time": end(name)}

    def doomed_crowd(self, name: str) -> Arguments:
        made = self.account.call("create_crowd_analysis", **self.crowd(name)).result
        return {"task_id": made.task_id, "crowd_id": self.cluster}

    def task(self, _: str) -> Arguments:
        return {"task_id": self.crowd_task, "crowd_id": self.cluster}

    def longer_task(self, name: str) -> Arguments:
        return {**self.task(name), "end_time": end(name)}

    def call(self, name: str) -> Arguments:
        return {"task_open_id": self.call_task, "concurrency": number(name), "forbid_times": ["-"], **WINDOW}

    def tidy_up(self) -> None:
        """Delete what cells have made: long lists take their time."""
        rows = self.account.call("list_clusters", search="x", limit=100).clusters
        for name in (row.cluster_name for row in rows if re.fullmatch(r"n\d+x", row.cluster_name)):
            self.account.call("delete_cluster", cluster=name)

    # how often the change was made, up to a constant

    def named(self, name: str) -> int:
        rows = self.account.call("list_clusters", search=name).clusters
        return sum(name in (row.cluster_name, row.display_name) for row in rows)

    def gone(self, name: str) -> int:
        return -self.named(name)

    def jobs(self, _: str) -> int:
        return self._one("SELECT count(*) AS n FROM job WHERE cluster = ?", self.cluster)

    def ending(self, name: str) -> int:
        return sum(task.end_time == end(name) for task in self.account.call("list_crowd_analyses", limit=100).tasks)

    def not_ending(self, name: str) -> int:
        return -self.ending(name)

    def revision(self, _: str) -> int:
        return self._one("SELECT revision AS n FROM crowd_task WHERE id = ?", self.crowd_task)

    def calling(self, name: str) -> int:
        (task,) = self.account.call("list_call_tasks").tasks
        return int(task.concurrency == number(name))

    def _one(self, statement: str, which: str) -> int:
        return int(Desk(self.account.app).catalog.database.rows(statement, (int(which),))[0]["n"])


def number(name: str) -> int:
    return int(name[1:-1])


def end(name: str) -> str:
    return f"{datetime(2030, 1, 1) + timedelta(days=number(name))}"


class Act(NamedTuple):
    """A change: its arguments, what to count, and how each fault ends."""

    tool: str
    arguments: Callable[[Stock, str], Arguments]
    stands: Callable[[Stock, str], int]
    ends: str
    """Faults of the change itself, in the order of FAULTS. D: done. U: reported as unknown. N: reported as failed, not done."""
    asks: bool = False
    """Whether more is asked after the change; that may fail, and it is done all the same."""
    at: int = 1
    """Which request to CHANGES it is: on two platforms questions go there too."""


ACTS = (
    Act("create_cluster", Stock.new, Stock.named, "DDDDDNDD", asks=True),
    Act("update_cluster", Stock.other, Stock.named, "DDDDDDDD", asks=True),
    Act("create_tag", Stock.new_tag, Stock.named, "DDDDDNDD", asks=True),
    Act("update_tag", Stock.other_tag, Stock.named, "DDDDDDDD", asks=True),
    Act("delete_cluster", Stock.doomed, Stock.gone, "DUDDDNDU"),
    Act("refresh_cluster", Stock.computed, Stock.jobs, "DDDDDDDD", asks=True),
    Act("import_ids", Stock.ids, Stock.named, "DDDDDNDD", asks=True),
    Act("replace_imported_ids", Stock.other_ids, Stock.named, "DDDDDDDD", asks=True),
    Act("create_crowd_analysis", Stock.crowd, Stock.ending, "UUUUUNUU", at=2),
    Act("update_crowd_analysis", Stock.longer_task, Stock.ending, "DDDDDDDD", at=3),
    Act("reload_crowd_analysis", Stock.task, Stock.revision, "DDDDDDDD", at=2),
    Act("delete_crowd_analysis", Stock.doomed_crowd, Stock.not_ending, "UUUUUNUU", at=2),
    Act("update_call_task", Stock.call, Stock.calling, "DDDDDDDD", at=3),
)
STATED_AGAIN = ("refresh_cluster", "reload_crowd_analysis")
"""Of these a repetition can be seen; it changes nothing more."""


@pytest.fixture(scope="module")
def desk(account: Station, portal: BlockingPortal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Afar]:
    with afar(account, portal, tmp_path_factory.mktemp("afar")) as made:
        yield made


@pytest.fixture(scope="module")
def stock(account: Station) -> Stock:
    made = account.call("create_cluster", **{**new("stock"), "qp": small.BUYERS}).cluster
    account.call("create_tag", **new("stock_tag", TAG), tag_qp=middle(3))
    account.call("import_ids", display_name="x", cluster_name="stock_ids", main_column_name="city", ids=["上海"])
    task = account.call("create_crowd_analysis", crowd_id=made.cluster_id, start_time=START, end_time=end("n0x")).result
    called = account.call("create_call_task", task_name="stock", ids=["138000"], concurrency=1, **WINDOW).task
    return Stock(account, made.cluster_id, task.task_id, called.task_open_id)


def new(name: str, kind: str = STATIC) -> Arguments:
    return {"cluster_name": name, "display_name": name, "cluster_type": kind}


class Ended(NamedTuple):
    """How a cell ended."""

    end: str
    seen: Requests
    result: Any


def check(error: FenqunError) -> None:
    """It names a next step and no secret."""
    assert error.next_step.en
    said = " ".join(text for words in (error.message, error.next_step) for text in (words.en, words.zh))
    assert not [key for key in SECRETS if key in said]


def run(desk: Afar, stock: Stock, act: Act, choose: Choose) -> Ended:
    """One cell: the change, and whether the report is true."""
    name = f"n{next(NUMBERS)}x"
    arguments = act.arguments(stock, name)
    before, end, result = act.stands(stock, name), "D", None
    with desk.line.plan(stock.account, choose) as seen:
        try:
            result = desk(act.tool, **arguments)
        except FenqunError as error:
            end = "U" if isinstance(error, OutcomeUnknown) else "N"
            check(error)
    times = act.stands(stock, name) - before
    if act.tool in STATED_AGAIN:
        times = min(times, 1)
    assert times in {"D": (1,), "N": (0,), "U": (0, 1)}[end], (act.tool, end, times, result)
    return Ended(end, seen, result)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """The server complains of its own broken answers."""
    caplog.set_level(logging.CRITICAL, logger="uvicorn.error")


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.tool)
def test_each_fault_of_a_change_is_told_as_it_is(act: Act, stock: Stock, desk: Afar) -> None:
    def at_the_change(fault: Fault) -> Choose:
        return lambda seen: fault if seen.change and seen.changes == act.at else None

    assert "".join(run(desk, stock, act, at_the_change(fault)).end for fault in FAULTS.values()) == act.ends
    stock.tidy_up()


@pytest.mark.parametrize("act", [act for act in ACTS if not act.asks], ids=lambda act: act.tool)
def test_nothing_is_asked_after_these_changes(act: Act, stock: Stock, desk: Afar) -> None:
    seen = run(desk, stock, act, lambda _: None).seen
    assert (seen.changes, seen.change) == (act.at, True)


@pytest.mark.parametrize("act", [act for act in ACTS if act.ends == "DDDDDDDD"], ids=lambda act: act.tool)
def test_a_refusal_of_a_repetition_does_not_deny_what_was_done_before(act: Act, stock: Stock, desk: Afar) -> None:
    def lost_then_refused(seen: Requests) -> Fault | None:
        if not seen.change or seen.changes < act.at:
            return None
        return FAULTS["dropped" if seen.changes == act.at else "throttled"]

    assert run(desk, stock, act, lost_then_refused).end != "N"


@pytest.mark.parametrize("name", ["dropped", "status", "cut", "page", "throttled", "delayed"])
@pytest.mark.parametrize("act", [act for act in ACTS if act.asks], ids=lambda act: act.tool)
def test_what_can_not_be_read_after_a_change_does_not_deny_it(act: Act, name: str, stock: Stock, desk: Afar) -> None:
    def after_it(seen: Requests) -> Fault | None:
        return FAULTS[name] if seen.changes and not seen.change else None

    ended = run(desk.speaking("zh"), stock, act, after_it)
    row = ended.result.cluster
    assert ended.end == "D"
    unread = "" if hasattr(ended.result, "user_num") else "：未能读取其当前状态"  # of ids the change itself reports all
    assert f"id {row.cluster_id}）{unread}" in ended.result.message
    assert ended.result.next == f"操作已完成，请勿重复；可用 get_cluster {row.cluster_id} 查看其当前状态。"
    assert (row.users_num, row.fresh, row.refresh_time) == (None, False, "")
    assert row.note


QUESTIONS: dict[str, Callable[[Stock], Arguments]] = {
    "describe_data": lambda _: {},
    "list_clusters": lambda _: {},
    "get_cluster": lambda stock: {"cluster": stock.cluster},
    "get_refresh_progress": lambda _: {"cluster": "stock_tag"},
    "validate_definition": lambda _: {"qp": small.BUYERS},
    "preview_definition": lambda _: {"qp": small.BUYERS, "sample": 0},
    "export_users": lambda stock: {"cluster": stock.cluster},
    "list_crowd_analyses": lambda stock: {"crowd_id": stock.cluster},
    "get_crowd_analysis": lambda stock: {"task_id": stock.crowd_task, "crowd_id": stock.cluster},
    "list_call_tasks": lambda _: {},
    "get_call_task": lambda stock: {"task_open_id": stock.call_task},
}
TOLD = {
    "dropped": "vendor_unreachable",
    "status": "vendor_unreachable",
    "cut": "vendor_unreadable",
    "page": "vendor_unreadable",
    "throttled": "vendor_busy",
    "delayed": "vendor_unreachable",
}
"""The error of a question whose every answer goes wrong so."""
NO_SQL = replace(FAULTS["page"], acts=False)
"""An account that may not run SQL: everything but values is there, and no process is started for it."""


@pytest.fixture
def forgetful(desk: Afar, monkeypatch: pytest.MonkeyPatch) -> Afar:
    """A process that asks anew whatever it has seen."""
    monkeypatch.setattr("mcp_server.platforms.thinkingdata.listing.SECONDS", -1.0)
    monkeypatch.setattr("mcp_server.platforms.thinkingdata.metadata.MINUTES", -1.0)
    return desk


@pytest.mark.parametrize("faults", [("dropped", "status"), ("throttled", "delayed")], ids=" ".join)
@pytest.mark.parametrize("tool", [tool for tool in QUESTIONS if tool not in ("preview_definition", "export_users")])
def test_a_question_is_asked_again(tool: str, faults: tuple[str, ...], stock: Stock, forgetful: Afar) -> None:
    def first(seen: Requests) -> Fault | None:
        if seen.paths[-1] == wire.SQL:
            return NO_SQL
        return FAULTS[faults[len(seen.paths) - 1]] if len(seen.paths) <= len(faults) else None

    with forgetful.line.plan(stock.account, first) as seen:
        assert forgetful(tool, **QUESTIONS[tool](stock)).message
    assert seen.paths[0] == seen.paths[1] == seen.paths[2]


def answers(desk: Afar, stock: Stock, choose: Choose, *tools: str) -> dict[str, str]:
    """How these questions end that are asked at once."""
    codes = {}

    async def ask(tool: str) -> None:
        try:
            await desk.asked(tool, QUESTIONS[tool](stock))
        except FenqunError as error:
            check(error)
            codes[tool] = error.code

    async def ask_all() -> None:
        async with anyio.create_task_group() as group:
            for tool in tools:
                group.start_soon(ask, tool)

    with desk.line.plan(stock.account, choose):
        desk.loop.call(ask_all)
    return codes


@pytest.mark.parametrize("fault", TOLD)
def test_a_question_that_stays_without_answer_is_told(fault: str, stock: Stock, forgetful: Afar) -> None:
    codes = answers(forgetful, stock, lambda _: FAULTS[fault], *QUESTIONS)
    assert codes == dict.fromkeys(QUESTIONS, TOLD[fault])


@pytest.mark.parametrize("fault", ["dropped", "status", "page", "throttled"])
def test_sql_that_stays_without_answer_is_told(fault: str, stock: Stock, desk: Afar) -> None:
    spoiled = replace(FAULTS[fault], acts=False)
    tools = ("preview_definition", "export_users")
    codes = answers(desk, stock, lambda seen: spoiled if seen.paths[-1] == wire.SQL else None, *tools)
    assert codes == dict.fromkeys(tools, TOLD[fault])


def test_sql_is_run_once_more(stock: Stock, desk: Afar) -> None:
    lost = [replace(FAULTS[name], acts=False) for name in ("dropped", "status")]

    def twice(seen: Requests) -> Fault | None:
        times = seen.paths.count(wire.SQL)
        return lost[times - 1] if seen.paths[-1] == wire.SQL and times <= len(lost) else None

    with desk.line.plan(stock.account, twice):
        assert desk("preview_definition", **QUESTIONS["preview_definition"](stock)).users_num == 2


def test_what_can_not_be_counted_beforehand_can_be_saved_all_the_same(stock: Stock, desk: Afar) -> None:
    with desk.line.plan(stock.account, lambda seen: NO_SQL if seen.paths[-1] == wire.SQL else None):
        created = desk("create_cluster", **stock.new("uncounted"), dry_run=True)
        changed = desk.speaking("zh")("update_cluster", cluster="stock", qp=median(0), dry_run=True)
    assert created.message == 'Would create cluster "uncounted": how many users that is can\'t be counted beforehand.'
    assert changed.message.startswith("将修改分群")
    assert changed.message.endswith("id 1）：人数 未知 → 未知。"), "tests before this one may have renamed it"
    assert (created.users_num_after, changed.users_num_after) == (None, None)
