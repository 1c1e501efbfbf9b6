"""The page where a person decides what waits: who gets in, what he sees, and what a form may do."""

import html
import io
import re
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count

import httpx
import pytest

from mcp_server.consent.approving import approve
from mcp_server.consent.consenting import PENDING_SECONDS
from mcp_server.consent.invoke import find, invoke
from mcp_server.errors import ApprovalNeeded, ConsentInvalid
from mcp_server.front.http import page
from mcp_server.front.http.page import _HEADERS, MOST_FORM, SECONDS, Html, Sessions, language_of
from mcp_server.front.http.page import html as markup
from mcp_server.operations.operation import Answer, Identity, KnownAnswer
from mcp_server.operations.registry import OPERATIONS
from mcp_server.oversight import _approved, pending_lines
from mcp_server.settings import OAuthSettings
from tests import small
from tests.http.http_kit import House, Web
from tests.operations.desk import Watch, check_chinese

PAGE = "/pending"
NUMBERS = count()


@dataclass
class Person:
    """Somebody at a browser, with its own cookies."""

    base: str
    browser: httpx.Client

    def see(self, **headers: str) -> httpx.Response:
        return self.browser.get(self.base + PAGE, headers=headers)

    def send(self, path: str = PAGE, /, headers: dict[str, str] | None = None, **form: str) -> httpx.Response:
        return self.browser.post(self.base + path, data=form, headers=headers)

    def enter(self, token: str) -> "Person":
        answer = self.send(token=token)
        assert answer.status_code == 303, answer.text
        assert answer.headers["location"] == PAGE
        return self

    @property
    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([\w-]{40,})"', self.see().text)
        assert found
        return found[1]

    def decide(self, consent: str, decision: str) -> httpx.Response:
        return self.send(f"{PAGE}/{consent}", csrf=self.csrf, decision=decision)


@pytest.fixture(scope="session")
def approvals(house: House) -> dict[str, str]:
    """Approval tokens by name."""
    add = house.app.tokens.add
    return {"ann": add("ann", "approve", None), "bob": add("bob", "approve", ["7"])}


@pytest.fixture
def nobody(guarded: Web) -> Iterator[Person]:
    with httpx.Client(timeout=20) as browser:
        yield Person(guarded.url, browser)


@pytest.fixture
def ann(nobody: Person, approvals: dict[str, str]) -> Person:
    return nobody.enter(approvals["ann"])


def created(web: Web, project: str = "1", **more: str) -> str:
    """A cluster of its own; its name."""
    name = f"page_{next(NUMBERS)}"
    kind = "cluster_by_static_condition"
    wish = {"cluster_name": name, "display_name": name, "cluster_type": kind, "qp": small.BUYERS}
    web.call("create_cluster", **wish, project_id=project, **more)
    return name


def parked(web: Web, project: str = "1") -> tuple[str, str]:
    """The name of a cluster whose deletion waits, and the id of that."""
    name = created(web, project)
    return name, waiting(web.call("delete_cluster", cluster=name, project_id=project))


def waiting(answer: dict[str, object]) -> str:
    assert answer["status"] == "waiting_for_approval", answer
    return str(answer["message"]).partition("id ")[2][:6]


def there(web: Web, name: str, project: str = "1") -> bool:
    return web.call("get_cluster", cluster=name, project_id=project).get("code") != "not_found"


def test_what_waits_is_shown_approved_once_and_logged_with_both_names(guarded: Web, house: House, ann: Person) -> None:
    name = created(guarded)
    answer = guarded.call("delete_cluster", cluster=name)
    assert f"{guarded.url}/pending" in str(answer["next"])
    assert "fenqun approve" not in str(answer["next"]), "a caller from elsewhere has no terminal here"
    consent = waiting(answer)
    shown = ann.see().text
    assert f"Would delete cluster &quot;{name}&quot;" in shown
    assert consent in shown
    done = ann.decide(consent, "approve")
    assert done.status_code == 200
    assert f"Deleted cluster &quot;{name}&quot;" in done.text
    assert not there(guarded, name)
    entry = house.app.deps.required_ledger().entries(limit=1)[0]
    assert (entry.subject.name, entry.way, entry.outcome) == ("writer", "approved ann", "done")
    for _ in range(3):
        again = ann.decide(consent, "approve")
        assert again.status_code == 404
    assert house.app.deps.required_ledger().entries(limit=1)[0] == entry


def test_declining_changes_nothing_for_good_and_is_logged(guarded: Web, house: House, ann: Person) -> None:
    name, consent = parked(guarded)
    answer = ann.decide(consent, "decline")
    assert "Declined: delete_cluster" in answer.text
    entry = house.app.deps.required_ledger().entries(limit=1)[0]
    assert (entry.subject.name, entry.way, entry.outcome) == ("writer", "approved ann", "refused")
    assert (entry.subject.effect, entry.subject.arguments) == ("delete", f'{{"cluster":"{name}","project_id":"1"}}')
    assert ann.decide(consent, "approve").status_code == 404
    assert there(guarded, name)


def test_what_changed_since_it_was_asked_is_refused(guarded: Web, house: House, ann: Person) -> None:
    name, consent = parked(guarded)
    csrf = ann.csrf
    with house.app.tokens._database.write() as db:
        db.execute("UPDATE cluster SET revision = revision + 1, remarks = 'x' WHERE name = ?", (name,))
    answer = ann.send(f"{PAGE}/{consent}", csrf=csrf, decision="approve")
    assert (answer.status_code, there(guarded, name)) == (409, True)
    assert "has changed since it was shown" in answer.text


def test_after_a_day_it_waits_no_longer(guarded: Web, house: House, ann: Person) -> None:
    name, consent = parked(guarded)
    catalog = house.app.tokens._catalog
    clock, asked = catalog.clock, house.app.deps.required_ledger().pending()[-1].created_at
    watch = Watch(asked + timedelta(seconds=PENDING_SECONDS, microseconds=-1))
    catalog.clock = watch
    try:
        assert consent in ann.see().text
        watch.moment += timedelta(microseconds=1)
        assert consent not in ann.see().text
        assert ann.decide(consent, "approve").status_code == 404
    finally:
        catalog.clock = clock
    assert there(guarded, name)


@pytest.mark.parametrize("where", ["page", "terminal"])
def test_an_uploaded_list_is_at_hand_when_it_is_approved(
    where: str, guarded: Web, house: House, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def uploaded(ids: bytes) -> str:
        return str(guarded.post("/imports?name=ids.csv&project_id=1", ids).json()["path"])

    name = f"list_on_{where}"
    wish = {"cluster_name": name, "display_name": name, "main_column_name": "level"}
    made = guarded.call("import_ids", path=uploaded(b"1\n"), **wish)
    assert "code" not in made, made
    consent = waiting(guarded.call("replace_imported_ids", cluster=name, path=uploaded(b"1\n2\n")))
    if where == "page":
        assert ann.decide(consent, "approve").status_code == 200
    else:
        monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))
        house.portal.call(_approved, house.app, consent)
    entry = house.app.deps.required_ledger().entries(limit=1)[0]
    assert (entry.subject.tool, entry.outcome) == ("replace_imported_ids", "done")


def test_an_act_that_was_asked_for_on_this_machine_may_name_its_files(house: House, guarded: Web, ann: Person) -> None:
    path = house.app.settings.workspace / "imports" / "page_own.csv"
    path.write_text("1\n", encoding="utf-8")
    wish = {"path": str(path), "cluster_name": "page_own", "display_name": "page_own", "main_column_name": "level"}
    run = house.portal.call
    run(invoke, find(OPERATIONS, "import_ids"), wish, house.app.deps)
    path.write_text("2\n", encoding="utf-8")
    with pytest.raises(ApprovalNeeded):
        run(
            invoke, find(OPERATIONS, "replace_imported_ids"), {"cluster": "page_own", "path": str(path)}, house.app.deps
        )
    answer = ann.decide(house.app.deps.required_ledger().pending()[-1].id, "approve")
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("how", ["revoked", "made anew", "expired"])
def test_what_was_asked_with_a_token_that_is_over_is_shown_as_such_and_refused(
    how: str, guarded: Web, house: House, ann: Person
) -> None:
    tokens, who = house.app.tokens, f"leaver_{next(NUMBERS)}"
    clock = tokens._catalog.clock
    name, consent = parked(guarded.as_(tokens.add(who, "write", ["1"], days=1)))
    assert "revoked or has expired" not in ann.see().text
    if how == "expired":
        expiry = next(t.expires_at for t in tokens.all() if t.name == who)
        assert expiry
        tokens._catalog.clock = Watch(expiry)
    else:
        tokens.revoke(who)
    if how == "made anew":
        tokens.add(who, "write", ["1"])
    try:
        listed = "\n".join(pending_lines(house.app))
        shown = article(ann.see(), consent)
        shown_zh = article(ann.see(**{"Accept-Language": "zh"}), consent)
        answer = ann.decide(consent, "approve")
        with pytest.raises(ConsentInvalid) as caught:
            house.portal.call(_approved, house.app, consent)
    finally:
        tokens._catalog.clock = clock
    assert f"Can't be approved any more: the token with which {who} asked" in listed
    assert "Can&#x27;t be approved any more" in shown
    assert 'value="approve"' not in shown
    assert f"已无法批准：{who} 发起时所用的令牌已吊销或过期。" in shown_zh
    assert (answer.status_code, there(guarded, name)) == (409, True)
    assert f"{who} asked for this with a token that has been revoked" in answer.text
    assert caught.value.next_step.en
    assert ann.decide(consent, "decline").status_code == 200


def article(shown: httpx.Response, consent: str) -> str:
    """What the page says of one act."""
    return next(part for part in shown.text.split("<article>") if f"/{consent}" in part)


def test_a_token_revoked_while_the_approver_reads_is_refused_in_the_transaction_of_the_act(
    guarded: Web, house: House
) -> None:
    tokens, who = house.app.tokens, f"leaver_{next(NUMBERS)}"
    name, consent = parked(guarded.as_(tokens.add(who, "write", ["1"])))

    @dataclass(frozen=True)
    class Slow(KnownAnswer):
        async def __call__(self, _: object) -> Answer:
            tokens.revoke(who)
            return Answer.YES

    with pytest.raises(ConsentInvalid):
        house.portal.call(approve, consent, OPERATIONS, house.app.deps, Slow())
    assert there(guarded, name)


def test_of_an_access_that_only_the_authorization_server_knows_the_approver_is_told(
    guarded: Web, house: House, ann: Person
) -> None:
    name, known = created(guarded), Identity("kim@example.com", "oauth", projects=frozenset({"1"}))
    with pytest.raises(ApprovalNeeded):
        house.portal.call(
            invoke, find(OPERATIONS, "delete_cluster"), {"cluster": name}, house.app.deps.for_caller(known)
        )
    consent = house.app.deps.required_ledger().pending()[-1].id
    assert "known only there" in article(ann.see(), consent)
    assert ann.decide(consent, "approve").status_code == 200
    assert not there(guarded, name)


def test_a_read_only_server_carries_nothing_out(house: House, guarded: Web, approvals: dict[str, str]) -> None:
    name, consent = parked(guarded)
    reading = House(replace(house.app, deps=replace(house.app.deps, read_only=True)), house.portal)
    with reading.serving(auth="token") as web, httpx.Client() as browser:
        answer = Person(web.url, browser).enter(approvals["ann"]).decide(consent, "approve")
    assert (answer.status_code, there(guarded, name)) == (403, True)
    assert "read-only" in answer.text


def test_with_oauth_people_sign_in_with_an_approval_token_too(
    house: House, guarded: Web, approvals: dict[str, str]
) -> None:
    _, consent = parked(guarded)
    oauth = OAuthSettings("https://login.example.com", "http://127.0.0.1:9/jwks", "https://fenqun.example.com/mcp")
    with house.serving(auth="oauth", oauth=oauth, public_url="http://127.0.0.1") as web, httpx.Client() as browser:
        assert consent in Person(web.url, browser).enter(approvals["ann"]).see().text


def test_a_token_of_a_program_does_not_open_the_page_and_an_approval_token_nothing_else(
    guarded: Web, nobody: Person, approvals: dict[str, str], tokens: dict[str, str]
) -> None:
    _, consent = parked(guarded)
    for token in (tokens["writer"], approvals["ann"]):
        bearer = {"Authorization": f"Bearer {token}"}
        assert consent not in nobody.see(**bearer).text
        assert nobody.send(f"{PAGE}/{consent}", bearer, decision="approve").status_code == 403
    for wrong in (tokens["writer"], tokens["reader"], "", "x" * 9000, "é", approvals["ann"][:-1]):
        refused = nobody.send(token=wrong)
        assert (refused.status_code, refused.headers.get("set-cookie")) == (403, None)
        assert "Would delete" not in refused.text
    person = guarded.as_(approvals["ann"])
    for answer in (person.asked("tools/list"), person.post("/imports", b"1"), person.get("/exports/x")):
        assert answer.status_code == 403
        assert "insufficient_scope" in answer.headers["www-authenticate"]


def test_projects_bound_what_is_seen_and_decided(guarded: Web, nobody: Person, approvals: dict[str, str]) -> None:
    bob = nobody.enter(approvals["bob"])
    (name, one), (_, seven) = parked(guarded), parked(guarded, "7")
    shown = bob.see().text
    assert (seven in shown, one in shown, name in shown) == (True, False, False)
    for decision in ("approve", "decline"):
        assert bob.decide(one, decision).status_code == 404
    assert there(guarded, name)
    assert bob.decide(seven, "approve").status_code == 200


def test_without_auth_the_page_asks_for_the_token_too(opened: Web, approvals: dict[str, str]) -> None:
    name = created(opened)
    answer = opened.call("delete_cluster", cluster=name)
    assert f"{opened.url}/pending" in str(answer["next"])
    assert "fenqun approve" not in str(answer["next"]), "no path of the server over HTTP: the page is named"
    consent = waiting(answer)
    with httpx.Client() as browser:
        person = Person(opened.url, browser)
        assert "Would delete" not in person.see().text
        assert person.send(f"{PAGE}/{consent}", decision="approve").status_code == 403
        assert there(opened, name)
        assert person.enter(approvals["ann"]).decide(consent, "approve").status_code == 200
    assert not there(opened, name)


def test_a_form_counts_only_from_this_site_and_this_visit(guarded: Web, ann: Person, approvals: dict[str, str]) -> None:
    name, consent = parked(guarded)
    path, csrf = f"{PAGE}/{consent}", ann.csrf
    for head in (
        {"Origin": "https://evil.example.com"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ):
        assert ann.send(path, head, csrf=csrf, decision="approve").status_code == 403
        assert ann.send(PAGE, head, token=approvals["ann"]).status_code == 403
    with httpx.Client() as browser:
        other = Person(ann.base, browser).enter(approvals["ann"]).csrf
    for wrong in ({}, {"csrf": ""}, {"csrf": csrf[:-1]}, {"csrf": other}, {"csrf": "é"}):
        assert ann.send(path, **wrong, decision="approve").status_code == 403
    assert ann.browser.get(f"{ann.base}{path}?csrf={csrf}&decision=approve").status_code == 405
    for body, kind, status in (
        (f"csrf={csrf}&decision=approve&decision=decline", "application/x-www-form-urlencoded", 400),
        (f"csrf={csrf}&decision=Approve", "application/x-www-form-urlencoded", 400),
        (f"csrf={csrf}&decision=%ff", "application/x-www-form-urlencoded", 400),
        (f"csrf={csrf}&decision=approve", "text/plain", 415),
        ("x=" + "1" * (MOST_FORM - 2), "application/x-www-form-urlencoded", 403),
        ("x=" + "1" * (MOST_FORM - 1), "application/x-www-form-urlencoded", 413),
    ):
        answer = ann.browser.post(ann.base + path, content=body, headers={"Content-Type": kind})
        assert answer.status_code == status, body[:80]
    assert there(guarded, name)
    own = {"Origin": guarded.url, "Sec-Fetch-Site": "same-origin"}
    assert ann.send(path, own, csrf=csrf, decision="approve").status_code == 200


def test_a_form_that_does_not_arrive_gives_its_place_back(nobody: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "FORM_SECONDS", 0.1)
    host, port = nobody.base.removeprefix("http://").split(":")
    head = f"POST {PAGE} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    with socket.create_connection((host, int(port)), timeout=20) as stalled:
        stalled.sendall(f"{head}Content-Length: 100\r\n\r\ntoken=".encode())
        assert stalled.recv(100).startswith(b"HTTP/1.1 408 ")


def test_signing_out_and_revoking_end_a_visit_at_once(guarded: Web, house: House, nobody: Person) -> None:
    token = house.app.tokens.add("eve", "approve", ["1"])
    _, consent = parked(guarded)
    eve = nobody.enter(token)
    csrf, cookies = eve.csrf, dict(eve.browser.cookies)
    assert eve.send(f"{PAGE}/leave", csrf="x").status_code == 403
    assert "signed out" in eve.send(f"{PAGE}/leave", csrf=csrf).text
    assert not eve.browser.cookies
    eve.browser.cookies.update(cookies)
    assert consent not in eve.see().text, "the cookie of a visit that is over opens nothing"
    eve.browser.cookies.clear()
    eve.enter(token)
    assert consent in eve.see().text
    csrf = eve.csrf
    house.app.tokens.revoke("eve")
    assert consent not in eve.see().text
    assert eve.send(f"{PAGE}/{consent}", csrf=csrf, decision="approve").status_code == 403


def test_every_answer_forbids_framing_caching_and_scripts(guarded: Web, ann: Person) -> None:
    _, consent = parked(guarded)
    answers = [ann.see(), ann.decide(consent, "decline"), ann.decide("nope", "approve"), ann.send(token="x")]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "frame-ancestors 'none'" in policy
        assert {name: answer.headers[name] for name in _HEADERS} == _HEADERS
        assert "<script" not in answer.text


def test_the_cookie_is_for_this_page_alone_and_over_tls_only_where_there_is_tls(
    house: House, approvals: dict[str, str]
) -> None:
    with house.serving(auth="token", public_url="https://fenqun.example.com/team") as web:
        answer = httpx.post(web.url + PAGE, data={"token": approvals["ann"]}, headers={"Host": "fenqun.example.com"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/team/pending")
        cookie = answer.headers["set-cookie"].lower()
        assert cookie.startswith("__secure-fenqun-approver=")
        for part in ("httponly", "secure", "samesite=strict", "path=/team/pending", "max-age=1800"):
            assert f"; {part}" in cookie
        head = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
        assert 'action="/team/pending/leave"' in web.get(PAGE, **head).text
        assert web.get(PAGE, Host="evil.example.com").status_code == 421


def test_names_that_somebody_chose_stay_text(guarded: Web, ann: Person) -> None:
    name = created(guarded)
    evil = '"><script>alert(1)</script><!--'
    consent = waiting(guarded.call("update_cluster", cluster=name, display_name=evil))
    shown = ann.see().text
    assert html.escape(evil) in shown
    assert evil not in shown
    assert evil not in ann.decide(consent, "approve").text
    assert markup('<a title="{x}">{y}</a>', x="\"'<", y=Html("<b>")) == '<a title="&quot;&#x27;&lt;"><b></a>'


def test_the_page_speaks_the_language_of_its_reader(guarded: Web, ann: Person) -> None:
    _, consent = parked(guarded)
    shown = ann.see(**{"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"})
    assert shown.headers["content-language"] == "zh"
    assert '<html lang="zh">' in shown.text
    visible = re.sub(r"(?s)<(style|pre).*?</\1>", "", shown.text)
    for words in re.findall(r">([^<>]*[a-z\u4e00-\u9fff][^<>]*)<", visible):
        check_chinese(words)
    answer = ann.send(f"{PAGE}/{consent}", {"Accept-Language": "zh"}, csrf=ann.csrf, decision="decline")
    assert f"已拒绝 delete_cluster（{consent}），未做任何更改。" in answer.text


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("", "zh"), ("en", "en"), ("de, en;q=0.5", "en"), ("en;q=0.3, zh-Hans-CN;q=0.7", "zh"), ("en;q=0", "zh"), ("xx;;=,\x00", "zh"), ("EN-us", "en")],
)  # fmt: skip
def test_the_language_is_what_the_browser_prefers_else_the_servers(accepted: str, language: str) -> None:
    assert language_of(accepted, "zh") == language


def test_a_visit_ends_after_its_time_and_the_oldest_gives_way() -> None:
    now = 0.0
    sessions = Sessions(clock=lambda: now, most=2)
    first, second = sessions.begin("token:1"), sessions.begin("token:2")
    now = SECONDS - 0.001
    assert sessions.find(first)
    third = sessions.begin("token:3")
    assert [bool(sessions.find(name)) for name in (first, second, third)] == [False, True, True]
    now = SECONDS
    assert sessions.find(second) is None
    assert sessions.find(third)
