"""Tokens of an authorization server: signed, meant for us, not over, with scopes that reach something."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import anyio
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from mcp_server.front.http.access import Caller, Refused
from mcp_server.front.http.oauth import ALGORITHMS, FETCH_PAUSE, KEYS_AGE, LEEWAY, JwtVerifier, KeySet
from mcp_server.settings import OAuthSettings
from tests import small
from tests.http.http_kit import House, Web

ISSUER = "https://login.example.com/tenant/"
PUBLIC = "https://fenqun.example.com"
AUDIENCE = f"{PUBLIC}/mcp"
EVERYTHING = "fenqun:write fenqun:project:all"


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass
class Authority:
    """An authorization server, as far as we see it: its keys at an address, and its signature."""

    keys: dict[str, ec.EllipticCurvePrivateKey] = field(default_factory=lambda: {"first": new_key()})
    url: str = ""
    asked: int = 0
    broken: bool = False

    def document(self) -> bytes:
        if self.broken:
            return b"<html>maintenance</html>"
        keys = [
            json.loads(ECAlgorithm.to_jwk(key.public_key())) | {"kid": name, "alg": "ES256", "use": "sig"}
            for name, key in self.keys.items()
        ]
        return json.dumps({"keys": keys}).encode()

    def token(self, scope: object = EVERYTHING, *, kid: str = "first", key: Any = None, **changes: Any) -> str:
        claims = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": "kim", "client_id": "desk", "exp": int(time.time()) + 300, "scope": scope,
        } | changes  # fmt: skip
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, key or self.keys[kid], "ES256", {"kid": kid})


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    made = Authority()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked += 1
            self.send_response(200)
            self.end_headers()
            self.wfile.write(made.document())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}/keys"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def web(house: House, authority: Authority) -> Iterator[Web]:
    oauth = OAuthSettings(ISSUER, authority.url, AUDIENCE)
    with house.serving(auth="oauth", oauth=oauth, public_url=PUBLIC) as opened:
        yield opened


def test_a_good_token_opens_what_its_scopes_say(web: Web, authority: Authority) -> None:
    everything = web.as_(authority.token())
    assert everything.call("describe_data")["project_id"] == "1"
    assert everything.call("describe_data", project_id="7")["project_id"] == "7"
    one = web.as_(authority.token("openid fenqun:read fenqun:project:7"))
    assert one.call("describe_data")["project_id"] == "7"
    assert one.call("describe_data", project_id="1")["code"] == "not_allowed"
    assert one.call("refresh_cluster", cluster="x")["code"] == "not_allowed"
    none = web.as_(authority.token("fenqun:write"))
    assert none.call("describe_data")["code"] == "not_allowed", "no project is never all projects"
    assert none.post("/imports", b"x").status_code == 403


@pytest.mark.parametrize(
    ("scopes", "projects"),
    [
        ({"scope": "fenqun:read fenqun:project:1 fenqun:project:12"}, {"1", "12"}),
        ({"scope": None, "scp": ["fenqun:read", "fenqun:project:3", 7]}, {"3"}),
        ({"scope": None, "scp": "fenqun:read fenqun:project:3"}, {"3"}),
        ({"scope": "fenqun:read fenqun:project:all"}, None),
        ({"scope": "fenqun:read fenqun:project:* fenqun:project:01 fenqun:project: fenqun:project:1x"}, set()),
    ],
)
def test_scopes_are_read_to_the_letter(authority: Authority, scopes: dict[str, Any], projects: set[str] | None) -> None:
    caller = verified(authority, authority.token(**scopes))
    assert caller is not None
    assert caller.identity.projects == (None if projects is None else frozenset(projects))
    assert (caller.identity.name, caller.identity.known, caller.identity.may_write) == ("kim", "oauth", False)


def verified(authority: Authority, token: str) -> Caller | None:
    async def ask() -> Caller | None:
        return await JwtVerifier(issuer=ISSUER, audience=AUDIENCE, keys=KeySet(authority.url))(token)

    return anyio.run(ask)


def bad_tokens(authority: Authority) -> dict[str, str]:
    now = int(time.time())
    good = authority.token()
    head, body, signature = good.split(".")
    pem = authority.keys["first"].public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )  # fmt: skip
    secret = jwt.utils.base64url_encode(pem).decode()
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "kim", "exp": now + 300, "scope": EVERYTHING}
    return {
        "expired": authority.token(exp=now - LEEWAY - 1),
        "not yet": authority.token(nbf=now + LEEWAY + 60),
        "other audience": authority.token(aud="https://other.example.com/mcp"),
        "audience with a slash": authority.token(aud=AUDIENCE + "/"),
        "no audience": authority.token(aud=None),
        "other issuer": authority.token(iss=ISSUER.rstrip("/")),
        "no end": authority.token(exp=None),
        "nobody": authority.token(sub=None),
        "other key": authority.token(key=new_key()),
        "unknown key": authority.token(kid="first", key=new_key()).replace(head, _head("nope")),
        "no signature": f"{head}.{body}.",
        "alg none": jwt.encode(claims, None, "none", {"kid": "first"}),
        "public key as secret": jwt.encode(claims, secret.ljust(64, "x"), "HS256", {"kid": "first"}),
        "no token": "nonsense",
        "broken": f"{head}.{body[:-3]}.{signature}",
    }


def _head(kid: str) -> str:
    return jwt.utils.base64url_encode(json.dumps({"alg": "ES256", "kid": kid}).encode()).decode()


@pytest.mark.parametrize(
    "subjects", [("x" * 200 + "1", "x" * 200 + "2"), ("a\n", "a\r"), ("x" * 200 + "1", "x" * 200 + "…")]
)
def test_two_subjects_never_share_a_name(authority: Authority, subjects: tuple[str, str]) -> None:
    verifier = JwtVerifier(issuer=ISSUER, audience=AUDIENCE, keys=KeySet(authority.url))

    async def names() -> set[str]:
        callers = [await verifier(authority.token(sub=one)) for one in subjects]
        return {caller.identity.name for caller in callers if caller}

    found = anyio.run(names)
    assert len(found) == 2
    assert all(name.isprintable() for name in found)


def test_a_token_that_does_not_count_is_refused(web: Web, authority: Authority) -> None:
    assert not any(name.startswith("HS") or name == "none" for name in ALGORITHMS)
    told = set()
    for what, token in bad_tokens(authority).items():
        answer = web.as_(token).asked("tools/list")
        assert answer.status_code == 401, what
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        told.add(answer.text)
    assert len(told) == 1, "a refusal does not tell which of the reasons it was"
    assert web.as_(authority.token(exp=int(time.time()) - LEEWAY + 5)).asked("tools/list").status_code == 200


def test_a_token_without_any_scope_of_ours_is_told_which_to_ask_for(web: Web, authority: Authority) -> None:
    answer = web.as_(authority.token("openid fenqun:project:1")).asked("tools/list")
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert 'scope="fenqun:read"' in answer.headers["www-authenticate"]


def test_who_comes_without_a_token_learns_where_to_get_one(web: Web) -> None:
    answer = web.asked("tools/list")
    assert answer.status_code == 401
    where = f"{PUBLIC}/.well-known/oauth-protected-resource/mcp"
    assert answer.headers["www-authenticate"] == f'Bearer resource_metadata="{where}"'
    facts = web.get(where.removeprefix(PUBLIC))
    assert facts.status_code == 200
    assert facts.json()["resource"] == AUDIENCE
    assert facts.json()["authorization_servers"] == [ISSUER]
    assert facts.json()["scopes_supported"] == ["fenqun:read", "fenqun:write"]


def test_static_tokens_do_not_open_an_oauth_server(web: Web, tokens: dict[str, str]) -> None:
    assert web.as_(tokens["writer"]).asked("tools/list").status_code == 401


@pytest.mark.parametrize("scope", ["fenqun:approve fenqun:project:all", f"fenqun:approve {EVERYTHING}"])
def test_no_token_of_the_authorization_server_opens_the_page_for_people(
    web: Web, authority: Authority, scope: str
) -> None:
    token = authority.token(scope)
    answer = web.post("/pending", f"token={token}", **{"Content-Type": "application/x-www-form-urlencoded"})
    assert (answer.status_code, answer.headers.get("set-cookie")) == (403, None)
    assert "does not open this page" in answer.text


def test_calls_work_after_the_token_was_renewed(web: Web, authority: Authority) -> None:
    first, second = authority.token(), authority.token(exp=int(time.time()) + 600)
    assert first != second
    for token in (first, second):
        assert web.as_(token).call("preview_definition", qp=small.BUYERS)["users_num"] == 2


# keys


def test_keys_are_fetched_when_needed_and_no_oftener(authority: Authority) -> None:
    now = 1000.0
    before = authority.asked

    async def script() -> None:
        nonlocal now
        keys = KeySet(authority.url, clock=lambda: now)
        assert await keys.key("first") is not None
        assert await keys.key("nope") is None
        assert authority.asked - before == 1, "an unknown id does not make us ask again and again"
        authority.keys["second"] = new_key()
        now += FETCH_PAUSE
        assert await keys.key("second") is None
        now += 0.1
        assert await keys.key("second") is not None
        assert authority.asked - before == 2
        del authority.keys["second"]
        now += KEYS_AGE + 0.1
        assert await keys.key("second") is None, "a key that is withdrawn ends"
        assert authority.asked - before == 3

    anyio.run(script)


def test_keys_that_cannot_be_fetched_are_not_the_callers_fault(authority: Authority) -> None:
    now = 1000.0

    async def script() -> None:
        nonlocal now
        keys = KeySet(authority.url, clock=lambda: now)
        authority.broken = True
        with pytest.raises(Refused) as caught:
            await keys.key("first")
        assert caught.value.status == 503
        authority.broken = False
        now += FETCH_PAUSE + 1
        assert await keys.key("first") is not None
        authority.broken = True
        now += KEYS_AGE + 1
        assert await keys.key("first") is not None, "known keys serve on while the authority is away"
        authority.broken = False

    anyio.run(script)
