"""No secret gets out, whatever a platform answers: not in a result, an error, a traceback, a log line or the log of acts.

The host of these tests answers with everything that it was sent.
"""

import io
import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote_plus

import anyio
import pytest

from mcp_server import doctor
from mcp_server.app import build, connect
from mcp_server.credentials import VENDORS, read_credentials
from mcp_server.errors import FenqunError
from mcp_server.front.mcp import handler as results
from mcp_server.front.mcp.rendering import as_answer
from mcp_server.operations.operation import ConsentPolicy
from mcp_server.platforms.thinkingdata import wire
from mcp_server.platforms.thinkingdata.client import ThinkingDataApi as TaApi
from mcp_server.settings import Settings, read_settings
from tests.gateway.kit import KEYS, Station
from tests.operations.desk import Desk
from tests.remote.faulty import CHANGES
from tests.remote.kit import QUICK, RemoteDesk, variables

CANARIES = [f"canary-{name}-5d1c" for name in ("token", "appsecret", "session", "secretkey", "sessiontoken")]
TOKEN, APP_SECRET, SESSION, SECRET_KEY, SESSION_TOKEN = CANARIES
KNOWN = {"/router/rest": (APP_SECRET, SESSION), "/?": (SECRET_KEY, SESSION_TOKEN), "/": (TOKEN,)}
"""Whose secrets a host knows, by the path of the request."""
GIVEN = {
    "TAOBAO_APP_SECRET": APP_SECRET,
    "TAOBAO_SESSION": SESSION,
    "VOLCENGINE_SECRET_KEY": SECRET_KEY,
    "VOLCENGINE_SESSION_TOKEN": SESSION_TOKEN,
}
VALID = {"start_time": "2026-07-01 00:00:00", "end_time": "2030-07-31 23:59:59"}
WINDOW = {"start_time": "2030-01-07 09:00:00", "end_time": "2030-01-31 20:00:00"}

Answer = Callable[[str], "tuple[int, dict[str, str], bytes] | None"]
"""What the host answers to a request of this text; None: it hangs up."""

STATIC, TAG = "cluster_by_static_condition", "tag_by_static_condition"
QP = {"filts": [{"tableType": "user", "columnName": "level", "comparator": "equal", "ftv": ["3"]}]}
TAG_QP = {"userTagValueDefs": [{"tagValue": "three", "userClusterDef": QP}]}


def answered(body: Any, status: int = 200, **headers: str) -> tuple[int, dict[str, str], bytes]:
    return status, headers, body.encode() if isinstance(body, str) else json.dumps(body).encode()


def refusing(seen: str) -> Any:
    """All three vendors' forms of a refusal at once."""
    error = {"code": 11, "msg": seen, "sub_code": seen, "sub_msg": seen, "request_id": seen}
    metadata = {"RequestId": seen, "Error": {"CodeN": 1, "Code": "AccessDenied", "Message": seen}}
    return answered(
        {"error_response": error, "ResponseMetadata": metadata, "return_code": -1008, "return_message": seen}
    )


def telling(seen: str) -> Any:
    """Success, with the secrets in every text."""
    task = {"task_id": "7", "crowd_id": "5", "start_time": seen, "end_time": seen, "crowd_name": seen}
    record = {"TaskOpenId": seen, "Name": seen, "State": seen, "StartTime": seen}
    inner = {"result": task, "success": True, "msg": seen, "code": 0, seen: seen, "list": [[seen]]}
    taobao = {
        f"opencrm_{m}_response": {"result": inner, "request_id": seen}
        for m in ("crowdanalysis_update", "crowdanalysis_query", "crowdanalysis_getreport", "crowds_query")
    }
    return answered(
        {
            **taobao,
            "ResponseMetadata": {"RequestId": seen},
            "Result": {"Records": [record], "Total": 1},
            "return_code": 0,
            "data": {"list": [], "return_message": seen},
        }
    )


def failing(seen: str) -> Any:
    """Taken, and not done."""
    inner = {"result": {}, "success": False, "msg": seen, "code": seen}
    return answered({"opencrm_crowdanalysis_update_response": {"result": inner, "request_id": seen}})


ANSWERS: dict[str, Answer] = {
    "refusing": refusing,
    "telling": telling,
    "failing": failing,
    "page": lambda seen: answered(f"<html>{seen}</html>"),
    "broken": lambda seen: answered(f'{{"a": "{seen}"', 500),
    "busy": lambda seen: answered(seen, 503, **{"Retry-After": "99", "X-Echo": seen[:200]}),
    "elsewhere": lambda seen: answered("", 302, Location=f"http://127.0.0.1:1/?{seen[:200]}"),
    "silent": lambda _: None,
}


def standing(seen: str) -> tuple[dict[str, Any], ...]:
    """What an account on ThinkingData holds, with the secrets in every text that people write."""
    more = {"displayName": seen, "remarks": seen, "progress": 100, "usersNum": 3, "refreshTime": "2026-07-01 08:00:00"}
    return (
        {"id": 7, "clusterName": "stock", "clusterType": STATIC, "userClusterDef": QP, **more},
        {"id": 8, "clusterName": "stock_ids", "clusterType": "cluster_by_import", "mainColumnName": "city", **more},
        {"id": 9, "clusterName": "stock_tag", "clusterType": TAG, "userTagDef": TAG_QP, **more},
    )


def reading(seen: str, path: str) -> Any:
    """The answer to a question on ThinkingData; None where the request asks for something else."""
    rows = standing(seen)
    told: dict[str, object] = {
        wire.EVENTS: [{"eventName": "buy", "eventDesc": seen}],
        wire.PROPERTIES: [{"columnName": "city", "columnType": "string", "columnDesc": seen}, {"columnName": "level", "columnType": "number"}],
        wire.LIST: {"userClusters": [row for row in rows if ("tag" in row["clusterType"]) is ("catalog_tag" in seen)]},
        wire.DETAIL: next((row for row in rows if f"clusterId={row['id']}" in path), None),
        wire.PROGRESS_BY_NAME: {"progress": 100},
    }  # fmt: skip
    place = path.partition("?")[0]
    return answered({"return_code": 0, "data": told[place]}) if place in told else None


@dataclass
class Host:
    """A host whose answers a test sets, and what it was sent."""

    url: str
    answer: Answer = ANSWERS["refusing"]
    reads: bool = False
    """Whether questions on ThinkingData are answered all the same."""
    seen: list[str] = field(default_factory=list)

    def set(self, kind: str, *, reads: bool = False) -> None:
        self.answer, self.reads = ANSWERS[kind], reads
        self.seen.clear()

    def answer_to(self, flat: str, path: str) -> Any:
        self.seen.append(flat)
        seen = "".join(c for c in flat if c.isprintable())
        told = reading(seen, path) if self.reads else None
        return told or self.answer(seen)


class Server(ThreadingHTTPServer):
    """Callers hang up where an answer makes no sense to them; that is no news."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            own = next(secrets for start, secrets in KNOWN.items() if self.path.startswith(start))
            flat = " ".join((self.path, *self.headers.values(), unquote_plus(body), body, *own)).replace('"', "'")
            found = made.answer_to(flat, self.path)
            if found is None:
                self.close_connection = True
                return
            status, headers, content = found
            self.send_response_only(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET = serve  # noqa: N815 - their names are given

    server = Server(("127.0.0.1", 0), Handler)
    made = Host(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def desk(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemoteDesk]:
    """A process whose three systems are the host's. In the end none of its files holds a secret."""
    root = tmp_path_factory.mktemp("kept")
    thinking = {"FENQUN_THINKINGDATA_URL": host.url, "FENQUN_THINKINGDATA_TOKEN": TOKEN}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mcp_server.app.connect", partial(connect, policy=replace(QUICK, attempts=2)))
        given = variables(host.url, **GIVEN) | thinking
        made = build(Settings(workspace=root / "w", threads=1, project_id="2", remote=read_credentials(given)))
        desk = RemoteDesk(made)
        host.set("page", reads=True)
        desk("describe_data")  # its answer is kept for a while
        yield desk
    made.close()
    files = [file for file in root.rglob("*") if file.is_file()]
    assert any("exports" in file.parts for file in files)
    for file in files:
        clean(file.read_bytes().decode("latin-1"))


@pytest.fixture
def everything_logged() -> Iterator[Callable[[], str]]:
    """Everything that any logger writes at DEBUG, with tracebacks and the extra fields of records."""
    kept = io.StringIO()

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.write(f"{logging.Formatter().format(record)} {vars(record)}\n")

    root, handler = logging.getLogger(), Keep(logging.DEBUG)
    names = ("", "httpx", "httpcore", "uvicorn", "uvicorn.access", "uvicorn.error", "stamina", "fenqun")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    root.addHandler(handler)
    try:
        yield kept.getvalue
    finally:
        root.removeHandler(handler)
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def clean(*said: object) -> None:
    text = "\n".join(map(str, said))
    assert [canary for canary in CANARIES if canary in text] == [], text[:2000]


def told(error: BaseException) -> str:
    """An error in every form that it may take."""
    forms = ["".join(traceback.format_exception(error)), repr(error), str(vars(error))]
    if isinstance(error, FenqunError):
        forms += [results.failure(error, language).model_dump_json() for language in ("en", "zh")]
    return "\n".join(forms)


Calls = list[tuple[str, dict[str, Any]]]
NEW = {"cluster_name": "new", "display_name": "new"}
CALLS: Calls = [
    ("create_crowd_analysis", {"crowd_id": "5", **VALID}),
    ("create_crowd_analysis", {"crowd_id": "named", **VALID}),
    ("list_crowd_analyses", {"crowd_id": "5"}),
    ("list_crowd_analyses", {}),
    ("get_crowd_analysis", {"task_id": "7", "crowd_id": "5"}),
    ("update_crowd_analysis", {"task_id": "7", "crowd_id": "5", **VALID}),
    ("reload_crowd_analysis", {"task_id": "7", "crowd_id": "5"}),
    ("delete_crowd_analysis", {"task_id": "7", "crowd_id": "5"}),
    ("list_call_tasks", {}),
    ("get_call_task", {"task_open_id": "9"}),
    ("update_call_task", {"task_open_id": "9", "concurrency": 1, "forbid_times": ["-"], **WINDOW}),
    ("describe_data", {}),
    ("get_cluster", {"cluster": "stock"}),
]
SEGMENT_CALLS: Calls = [
    ("describe_data", {"search": "city"}),
    ("list_clusters", {}),
    ("get_cluster", {"cluster": "7"}),
    ("get_refresh_progress", {"cluster": "stock_tag"}),
    ("preview_definition", {"qp": QP}),
    ("preview_definition", {"tag_qp": TAG_QP}),
    ("export_users", {"cluster": "stock"}),
    ("create_cluster", {**NEW, "cluster_type": STATIC, "qp": QP}),
    ("create_tag", {**NEW, "cluster_type": TAG, "tag_qp": TAG_QP}),
    ("import_ids", {"display_name": "new", "cluster_name": "new", "main_column_name": "city", "ids": ["x"]}),
    ("update_cluster", {"cluster": "stock", "display_name": "other", "qp": {**QP, "relation": "or"}}),
    ("update_tag", {"cluster": "stock_tag", "display_name": "other"}),
    ("replace_imported_ids", {"cluster": "stock_ids", "ids": ["y"]}),
    ("refresh_cluster", {"cluster": "stock", "wait_seconds": 0}),
    ("delete_cluster", {"cluster": "stock"}),
]


async def used(desk: RemoteDesk, calls: Calls) -> list[str]:
    """What each call answers, however it ends."""
    said = []
    for tool, arguments in calls:
        try:
            result = await Desk.asked(desk, tool, arguments)
        except FenqunError as error:
            said.append(told(error))
        else:
            said.append(f"{result!r} {results.success(as_answer(result, 'en')).model_dump_json()}")
    await desk.app.deps.disconnect()
    return said


def keeps(desk: RemoteDesk, calls: Calls, logged: str, said: list[str]) -> None:
    """None of the answers, files and logs holds a secret; every change has its row."""
    entries = desk.app.deps.required_ledger().entries(limit=100)
    assert {e.subject.tool for e in entries} >= {t for t, _ in calls if t.startswith(("create", "update", "delete"))}
    deps = desk.app.deps
    clean(*said, *entries, logged, repr(deps.segments), repr(deps.crowds), repr(deps.calls), repr(desk.app.settings))


@pytest.mark.parametrize("kind", list(ANSWERS))
def test_whatever_a_platform_answers_the_tools_keep_its_secrets(
    kind: str, host: Host, desk: RemoteDesk, everything_logged: Callable[[], str]
) -> None:
    host.set(kind)
    said = anyio.run(used, desk, CALLS)
    for secret in CANARIES:
        assert any(secret in one for one in host.seen)  # it was really sent
    keeps(desk, CALLS, everything_logged(), said)


@pytest.mark.parametrize("kind", ["refusing", "telling", "page", "broken", "busy", "silent"])
def test_whatever_thinkingdata_answers_to_changes_and_sql_the_tools_keep_its_token(
    kind: str, host: Host, desk: RemoteDesk, everything_logged: Callable[[], str]
) -> None:
    host.set(kind, reads=True)
    deps = replace(
        desk.app.deps, consent=ConsentPolicy("never", frozenset({"local", *(vendor.name for vendor in VENDORS)}))
    )
    said = anyio.run(used, replace(desk, app=replace(desk.app, deps=deps)), SEGMENT_CALLS)
    asked = "\n".join(host.seen)
    for path in (*CHANGES - {"/", "/router/rest"}, wire.SQL):
        assert f"{path}?token={TOKEN}" in asked
    keeps(desk, SEGMENT_CALLS, everything_logged(), said)


@pytest.mark.parametrize("kind", list(ANSWERS))
def test_the_doctor_keeps_them_too(kind: str, host: Host, tmp_path: Path, everything_logged: Callable[[], str]) -> None:
    host.set(kind)
    settings = read_settings({"FENQUN_WORKSPACE": str(tmp_path), **variables(host.url, **GIVEN)})
    found = anyio.run(doctor.examine, settings, lambda: None)
    said = [*doctor.as_lines(found, "zh"), json.dumps(doctor.as_data(found, "en"))]
    clean(*said, everything_logged(), repr(settings))


def test_what_is_sent_to_the_gateway_stays_out_of_its_log(
    account: Station, everything_logged: Callable[[], str]
) -> None:
    async def ask(api: TaApi) -> None:
        await api.page("1", "catalog_cluster", ("cluster_by_static_condition",), "", 1)

    account.with_ta(ask)
    assert KEYS.token not in everything_logged()
