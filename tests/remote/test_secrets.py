"""No secret gets out, whatever a platform answers: not in a result, an error, a traceback, a log line or the log of acts.

The host of these tests answers with everything that it was sent.
"""

import io
import json
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote_plus

import anyio
import pytest

from mcp_server import doctor
from mcp_server.errors import FenqunError
from mcp_server.front import results
from mcp_server.front.long_answers import as_answer
from mcp_server.platforms.thinkingdata.api import Api as TaApi
from mcp_server.platforms.transport import Transport
from mcp_server.settings import read_settings
from tests.gateway.kit import KEYS, Station
from tests.operations.desk import Desk
from tests.remote.kit import QUICK, RemoteDesk, remote_desk, variables

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


@contextmanager
def hosted(answer: Answer) -> Iterator[tuple[str, list[str]]]:
    """A host that answers so; its address, and what it was sent."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            own = next(secrets for start, secrets in KNOWN.items() if self.path.startswith(start))
            flat = " ".join((self.path, *self.headers.values(), unquote_plus(body), body, *own)).replace('"', "'")
            seen.append(flat)
            found = answer("".join(c for c in flat if c.isprintable()))
            if found is None:
                return
            status, headers, content = found
            self.send_response_only(status)
            for name, value in {**headers, "Content-Length": str(len(content)), "Connection": "close"}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET = serve  # noqa: N815 - their names are given

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def everything_logged() -> Iterator[Callable[[], str]]:
    """All that any logger says at DEBUG, with tracebacks and the extra fields of records."""
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


CALLS: list[tuple[str, dict[str, Any]]] = [
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
    ("update_call_task", {"task_open_id": "9", "concurrency": 1, "forbid_times": [], **WINDOW}),
]


async def used(desk: RemoteDesk) -> list[str]:
    """What each call says, however it ends."""
    said = []
    for tool, arguments in CALLS:
        try:
            result = await Desk.asked(desk, tool, arguments)
        except FenqunError as error:
            said.append(told(error))
        else:
            said.append(f"{result!r} {results.success(as_answer(result, 'en')).model_dump_json()}")
    await desk.app.deps.disconnect()
    return said


@pytest.mark.parametrize("kind", list(ANSWERS))
def test_whatever_a_platform_answers_the_tools_keep_its_secrets(
    kind: str, tmp_path: Path, everything_logged: Callable[[], str]
) -> None:
    with (
        hosted(ANSWERS[kind]) as (url, seen),
        remote_desk(tmp_path / "w", variables(url, **GIVEN)) as desk,
    ):
        said = anyio.run(used, desk)
        entries = desk.app.deps.books().entries(limit=100)
    assert any(SESSION in one for one in seen)  # it was really sent
    assert entries  # every change has its row
    clean(*said, *entries, everything_logged(), repr(desk.app.deps.crowds), repr(desk.app.settings))
    for file in tmp_path.rglob("*"):
        if file.is_file():
            clean(file.read_bytes().decode("latin-1"))


@pytest.mark.parametrize("kind", list(ANSWERS))
def test_the_calls_of_thinkingdata_keep_the_token(kind: str, everything_logged: Callable[[], str]) -> None:
    async def talk(url: str) -> list[str]:
        transport = Transport(url, QUICK)
        api = TaApi(transport, TOKEN)
        asked = (
            lambda: api.detail("2", cluster_id="1"),
            lambda: api.detail("2", name="x"),
            lambda: api.page("2", "catalog_cluster", (), "", 1),
        )
        said = []
        try:
            for ask in asked:
                try:
                    await ask()
                except FenqunError as error:
                    said.append(told(error))
        finally:
            await transport.close()
        return said

    with hosted(ANSWERS[kind]) as (url, seen):
        said = anyio.run(talk, url)
    assert any(TOKEN in one for one in seen)
    clean(*said, everything_logged())


@pytest.mark.parametrize("kind", list(ANSWERS))
def test_the_doctor_keeps_them_too(kind: str, tmp_path: Path, everything_logged: Callable[[], str]) -> None:
    said: list[str] = []
    with hosted(ANSWERS[kind]) as (url, _):
        settings = read_settings({"FENQUN_WORKSPACE": str(tmp_path), **variables(url, **GIVEN)})
        found = anyio.run(doctor.examine, settings, lambda: None)
        said += [*doctor.as_lines(found, "zh"), json.dumps(doctor.as_data(found, "en"))]
    clean(*said, everything_logged(), repr(settings))


def test_what_is_sent_to_the_gateway_stays_out_of_its_log(
    account: Station, everything_logged: Callable[[], str]
) -> None:
    async def ask(api: TaApi) -> None:
        await api.page("1", "catalog_cluster", ("cluster_by_static_condition",), "", 1)

    account.with_ta(ask)
    assert KEYS.token not in everything_logged()
