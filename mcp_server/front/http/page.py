"""The page on which a person decides what waits: `GET /pending`, one button per decision, no scripts."""

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from html import escape
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import anyio
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from mcp_server.consent import approving
from mcp_server.consent.approving import doubt
from mcp_server.errors import FenqunError, InternalError
from mcp_server.front.http.access import IDENTITY, MOST_TOKEN, Approvers, Caller
from mcp_server.operations.operation import Deps, Files, KnownAnswer, Operation
from mcp_server.store.ledger import Consent
from mcp_server.text import NOTHING, Language, Text
from mcp_server.web import Stopped, TooLong, whole

# Sessions of people who have shown an approval token: kept in this process, short, and bound to one browser's cookie


SECONDS: Final = 1800.0
"""How long a session lasts."""
MOST: Final = 1000
"""Sessions at once; the oldest is ended for a new one."""


@dataclass(frozen=True, slots=True)
class Session:
    """One session."""

    credential: str
    """Of the token that was shown; checked again at each request."""
    ends: float
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    """In every form that this session is shown, and in no cookie."""

    def wrote(self, csrf: str) -> bool:
        """Whether a form was shown to this session."""
        return hmac.compare_digest(self.csrf.encode(), csrf.encode("utf-8", "surrogatepass"))


class Sessions:
    """The sessions of one server."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._open: dict[str, Session] = {}

    def begin(self, credential: str) -> str:
        """Begin a session; the value of its cookie."""
        now = self._clock()
        self._open = {name: session for name, session in self._open.items() if session.ends > now}
        while len(self._open) >= self._most:
            del self._open[next(iter(self._open))]
        name = secrets.token_urlsafe(32)
        self._open[name] = Session(credential, now + SECONDS)
        return name

    def find(self, name: str) -> Session | None:
        """The session of a cookie; None where it is over or never was. (256 random bits: nothing to time.)"""
        session = self._open.get(name)
        return session if session is not None and session.ends > self._clock() else None

    def end(self, name: str) -> None:
        self._open.pop(name, None)


# The look of the page: HTML in which every value is escaped, in both languages, with no scripts


STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}"
    "h1{font-size:1.4rem}article{border:1px solid #bbb;border-radius:6px;padding:.8rem 1rem;margin:1rem 0}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f4f4f4;padding:.6rem;font:inherit;margin:.6rem 0}"
    ".head{color:#444;margin:0;overflow-wrap:anywhere}.said{border-left:4px solid #176f2c;padding:.4rem .8rem;white-space:pre-wrap}"
    ".wrong{border-color:#b00020}.doubt{color:#b00020}form{display:inline}button{font:inherit;padding:.3rem .9rem;margin-right:.6rem}"
    "input{font:inherit;width:100%;box-sizing:border-box;margin:.4rem 0}"
)
STYLE_HASH: Final = f"sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}"
"""What the content security policy lets through: these styles and no others."""

_WORD = re.compile(r"\s*([A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9-]{1,40})?\s*(?:;\s*q=([01](?:\.[0-9]{1,3})?)\s*)?")

_TITLE = Text("Acts that wait for approval", "待批准的操作")
_NONE = Text("Nothing waits for approval.", "没有待批准的操作。")
_WHO = Text(
    "{id}: {tool}, project {project}, asked for by {name} ({known}) at {at}, until {until}",
    "{id}：{tool}，项目 {project}，由 {name}（{known}）于 {at} 发起，{until} 前有效",
)
_SIGNED_IN = Text("Signed in as {who}.", "已登录：{who}。")
_APPROVE = Text("Approve and carry out", "批准并执行")
_DECLINE = Text("Decline", "拒绝")
_OUT = Text("Sign out", "退出登录")
_IN = Text("Sign in", "登录")
_TOKEN = Text("Approval token", "审批令牌")
_WHERE_FROM = Text(
    "The operator of the server makes one with: fenqun token add NAME --scope approve --project N. Keep it from assistants "
    "and other programs.",
    "由服务的运行者通过命令创建：fenqun token add NAME --scope approve --project N。请勿将其交给助手或其他程序。",
)


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def html(template: str, **values: str) -> Html:
    """A piece of markup. Values are escaped, for text and for attributes in quotes, unless they are markup themselves."""
    return Html(template.format(**{n: v if isinstance(v, Html) else escape(v, quote=True) for n, v in values.items()}))


def language_of(accepted: str, default: Language) -> Language:
    """The language that the browser prefers (RFC 9110 section 12.5.4), else that of the server."""
    best: tuple[float, Language] = (0.0, default)
    for part in accepted[:200].split(","):
        match = _WORD.fullmatch(part)
        weight = float(match[2] or 1) if match else 0.0
        word = match[1].lower() if match else ""
        language: Language | None = "zh" if word == "zh" else "en" if word == "en" else None
        if language and weight > best[0]:
            best = (weight, language)
    return best[1]


def document(body: Html, language: Language) -> str:
    """A whole page."""
    return html(
        '<!doctype html>\n<html lang="{lang}"><head><meta charset="utf-8"><title>fenqun · {title}</title>'
        '<meta name="viewport" content="width=device-width"><style>{style}</style></head>'
        "<body><h1>{title}</h1>\n{body}\n</body></html>\n",
        lang=language,
        title=_TITLE.say(language),
        style=Html(STYLE),
        body=body,
    )


def sign_in(language: Language, *, action: str, notice: str) -> Html:
    """The form that asks for the token."""
    return html(
        '{notice}<form method="post" action="{action}"><label>{label}'
        '<input type="password" name="token" autocomplete="off" required></label><button>{button}</button></form><p>{hint}</p>',
        notice=_notice(notice, wrong=False),
        action=action,
        label=_TOKEN.say(language),
        button=_IN.say(language),
        hint=_WHERE_FROM.say(language),
    )


def waiting(
    consents: Sequence[Consent],
    language: Language,
    *,
    local: Callable[[datetime, str], str],
    action: str,
    csrf: str,
    who: str,
    notice: str,
    wrong: bool,
) -> Html:
    """What waits, each with its question and two buttons; above it the outcome of the last decision.

    `local` renders a moment in a project's zone.
    """
    acts = [_act(consent, language, local, action=action, csrf=csrf) for consent in consents]
    none = html("<p>{none}</p>", none=_NONE.say(language))
    return html(
        '{notice}{acts}<div>{who} <form method="post" action="{action}/leave">{csrf}<button>{out}</button></form></div>',
        notice=_notice(notice, wrong=wrong),
        acts=Html("\n".join(acts)) if acts else none,
        who=_SIGNED_IN.format(who=who).say(language),
        action=action,
        csrf=_hidden(csrf),
        out=_OUT.say(language),
    )


def _act(
    consent: Consent, language: Language, local: Callable[[datetime, str], str], *, action: str, csrf: str
) -> Html:
    head = _WHO.format(
        id=consent.id,
        tool=consent.tool,
        project=consent.project,
        name=consent.name,
        known=consent.known,
        at=local(consent.created_at, consent.project),
        until=local(consent.expires_at, consent.project),
    )
    known = doubt(consent).say(language)
    yes = html('<button name="decision" value="approve">{approve}</button>', approve=_APPROVE.say(language))
    return html(
        '<article><p class="head">{head}</p>{known}<pre lang="{lang}">{question}</pre>'
        '<form method="post" action="{action}/{id}">{csrf}<button name="decision" value="decline">{decline}</button>'
        "{yes}</form></article>",
        head=head.say(language),
        known=html('<p class="head doubt">{known}</p>', known=known) if known else Html(""),
        lang=consent.language,
        question=consent.question,
        action=action,
        id=consent.id,
        csrf=_hidden(csrf),
        decline=_DECLINE.say(language),
        yes=Html("") if consent.asker == "gone" else yes,
    )


def _hidden(csrf: str) -> Html:
    return html('<input type="hidden" name="csrf" value="{csrf}">', csrf=csrf)


def _notice(words: str, *, wrong: bool) -> Html:
    kind = "said wrong" if wrong else "said"
    return html('<p class="{kind}" role="status">{words}</p>', kind=kind, words=words) if words else Html("")


# The routes
#
# An assistant that calls over HTTP holds a bearer token, so no bearer token opens the page: a person signs in with an
# approval token (`fenqun token add NAME --scope approve`), which no call takes. It is typed into a form and never part
# of an address; after that the browser holds a session, which only this site's own forms can use. Whatever is unclear
# is refused.


PAGE: Final = "/pending"
LEAVE: Final = f"{PAGE}/leave"
MOST_FORM: Final = MOST_TOKEN + 1024
"""Bytes of a form."""
FORM_SECONDS = 10.0
"""Time for a form to arrive: nobody has proved anything yet, and it takes up a place."""
_FIELDS: Final = 8

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none'; style-src '{STYLE_HASH}'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Not `no-referrer`: with it browsers name no origin in a form, and the gate refuses such a form.
    "Referrer-Policy": "same-origin",
    "Vary": "Accept-Language, Cookie",
}
_STATUS: Final = {"not_found": 404, "not_allowed": 403, "read_only": 403}

_ELSEWHERE = Text("This form was sent from another site; nothing was changed.", "该表单来自其他网站，未做任何更改。")
_UNREADABLE = Text("This form can't be read; nothing was changed.", "无法读取该表单，未做任何更改。")
_OLD_FORM = Text(
    "This form is of an earlier visit; nothing was changed. Please decide again.",
    "该表单已过期，未做任何更改。请重新决定。",
)
_SIGN_IN_AGAIN = Text("Please sign in; nothing was changed.", "请先登录，未做任何更改。")
_NO_APPROVER = Text("This token does not open this page.", "该令牌无法用于此页面。")
_LEFT = Text("You have signed out.", "已退出登录。")
_DECLINED = Text("Declined: {tool} ({id}). Nothing was changed.", "已拒绝 {tool}（{id}），未做任何更改。")


class _Refused(Exception):
    """A form that is not accepted."""

    def __init__(self, status: int, words: Text) -> None:
        super().__init__(words.en)
        self.status, self.words = status, words


@dataclass(frozen=True, slots=True)
class _Visit:
    """A request of somebody who has signed in."""

    session: Session
    caller: Caller


class ApprovalPage:
    """The routes of the page."""

    def __init__(
        self,
        operations: Sequence[Operation[Any, Any]],
        deps: Deps,
        approvers: Approvers,
        files_of: Callable[[Request], Files],
        *,
        public_url: str,
        sessions: Sessions | None = None,
    ) -> None:
        self._operations = tuple(operations)
        self._deps = deps
        self._approvers = approvers
        self._files_of = files_of
        self._public = public_url
        self._sessions = sessions or Sessions()
        public = urlsplit(public_url)
        self._path = f"{public.path}{PAGE}"
        self._secure = public.scheme == "https"
        self._cookie = "__Secure-fenqun-approver" if self._secure else "fenqun-approver"

    def routes(self) -> list[Route]:
        return [
            Route(PAGE, self._list, methods=["GET"]),
            Route(PAGE, self._enter, methods=["POST"]),
            Route(LEAVE, self._leave, methods=["POST"]),
            Route(f"{PAGE}/{{id}}", self._decide, methods=["POST"]),
        ]

    def address(self, request: Request) -> str:
        """The address of the page, with the host name of this request."""
        base = self._public or f"{request.url.scheme}://{request.headers.get('host', '')}"
        return base + PAGE

    async def _list(self, request: Request) -> Response:
        """`GET /pending`: what waits in the projects of the person who has signed in; else the form to sign in."""
        visit, language = self._visit(request), self._language(request)
        return self._waiting(visit, language) if visit else self._sign_in(language)

    async def _enter(self, request: Request) -> Response:
        """`POST /pending`: sign in with an approval token."""
        language = self._language(request)
        try:
            form = await self._form(request)
        except _Refused as refused:
            return self._sign_in(language, refused.words, refused.status)
        token = form.get("token", "").strip()
        caller = self._approvers.by_token(token) if token and token.isascii() and len(token) <= MOST_TOKEN else None
        if caller is None:
            return self._sign_in(language, _NO_APPROVER, 403)
        self._sessions.end(request.cookies.get(self._cookie, ""))
        request.scope[IDENTITY] = caller.identity
        answer = RedirectResponse(self._path, 303, _HEADERS)
        answer.set_cookie(
            self._cookie,
            self._sessions.begin(caller.credential),
            max_age=int(SECONDS),
            path=self._path,
            secure=self._secure,
            httponly=True,
            samesite="strict",
        )
        return answer

    async def _leave(self, request: Request) -> Response:
        """`POST /pending/leave`: sign out."""
        language = self._language(request)
        try:
            await self._signed_form(request)
        except _Refused as refused:
            return self._sign_in(language, refused.words, refused.status)
        self._sessions.end(request.cookies.get(self._cookie, ""))
        answer = self._sign_in(language, _LEFT)
        answer.delete_cookie(self._cookie, path=self._path, secure=self._secure, httponly=True, samesite="strict")
        return answer

    async def _decide(self, request: Request) -> Response:
        """`POST /pending/{id}`: approve or decline, and show the outcome."""
        language = self._language(request)
        try:
            visit, form = await self._signed_form(request)
        except _Refused as refused:
            signed_in = self._visit(request)
            if signed_in is None:
                return self._sign_in(language, refused.words, refused.status)
            return self._waiting(signed_in, language, refused.words.say(language), refused.status)
        try:
            notice, status = await self._decided(request, visit, form.get("decision", "")), 200
        except _Refused as refused:
            notice, status = refused.words.say(language), refused.status
        except FenqunError as error:
            notice = error.message.say(language)
            status = 500 if isinstance(error, InternalError) else _STATUS.get(error.code, 409)
        return self._waiting(visit, language, notice, status)

    async def _decided(self, request: Request, visit: _Visit, decision: str) -> str:
        deps, consent_id = self._deps_of(visit), request.path_params["id"]
        if decision == "approve":
            deps = replace(deps, files=self._files_of(request))
            yes = KnownAnswer(answered_by=visit.caller.identity.name)
            return (await approving.approve(consent_id, self._operations, deps, yes)).message
        if decision == "decline":
            consent = approving.decline(consent_id, self._operations, deps)
            return _DECLINED.format(tool=consent.tool, id=consent.id).say(self._language(request))
        raise _Refused(400, _UNREADABLE)

    # proof

    def _visit(self, request: Request) -> _Visit | None:
        """The person who has signed in with this browser, if the token still holds."""
        session = self._sessions.find(request.cookies.get(self._cookie, ""))
        caller = self._approvers.by_credential(session.credential) if session else None
        if session is None or caller is None:
            return None
        request.scope[IDENTITY] = caller.identity
        return _Visit(session, caller)

    async def _signed_form(self, request: Request) -> tuple[_Visit, dict[str, str]]:
        """A form of this site, sent by a person who has signed in and was shown it."""
        form = await self._form(request)
        visit = self._visit(request)
        if visit is None:
            raise _Refused(403, _SIGN_IN_AGAIN)
        if not visit.session.wrote(form.get("csrf", "")):
            raise _Refused(403, _OLD_FORM)
        return visit, form

    async def _form(self, request: Request) -> dict[str, str]:
        """The fields of a form that this site sent. A repeated field, or any other kind of body, is refused."""
        if not self._same_site(request):
            raise _Refused(403, _ELSEWHERE)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            raise _Refused(415, _UNREADABLE)
        try:
            with anyio.fail_after(FORM_SECONDS):
                body = (await whole(request, MOST_FORM)).decode("ascii")
            fields = parse_qs(body, errors="strict", max_num_fields=_FIELDS)
        except TooLong:
            raise _Refused(413, _UNREADABLE) from None
        except (Stopped, TimeoutError):
            raise _Refused(408, _UNREADABLE) from None
        except ValueError:
            raise _Refused(400, _UNREADABLE) from None
        if any(len(values) != 1 for values in fields.values()):
            raise _Refused(400, _UNREADABLE)
        return {name: values[0] for name, values in fields.items()}

    def _same_site(self, request: Request) -> bool:
        """Whether the form comes from this very site, as far as the browser names its origin.

        Stricter than the gate, which lets in pages on other ports of this machine.
        """
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return False
        own = {request.headers.get("host", "").lower(), urlsplit(self._public).netloc.lower()} - {""}
        return all(urlsplit(origin).netloc.lower() in own for origin in request.headers.getlist("origin"))

    # answers

    def _deps_of(self, visit: _Visit) -> Deps:
        return replace(self._deps, caller=visit.caller.identity)

    def _language(self, request: Request) -> Language:
        return language_of(request.headers.get("accept-language", ""), self._deps.language)

    def _waiting(self, visit: _Visit, language: Language, notice: str = "", status: int = 200) -> HTMLResponse:
        body = waiting(
            approving.pending(self._deps_of(visit)),
            language,
            local=self._deps.required_ledger().local,
            action=self._path,
            csrf=visit.session.csrf,
            who=visit.caller.identity.name,
            notice=notice,
            wrong=status != 200,
        )
        return self._shown(body, language, status)

    def _sign_in(self, language: Language, notice: Text = NOTHING, status: int = 200) -> HTMLResponse:
        return self._shown(sign_in(language, action=self._path, notice=notice.say(language)), language, status)

    def _shown(self, body: Html, language: Language, status: int) -> HTMLResponse:
        return HTMLResponse(document(body, language), status, _HEADERS | {"Content-Language": language})
