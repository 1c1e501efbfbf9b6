"""The page where a person decides what waits: `GET /pending`, and one button per decision.

An assistant that calls over HTTP holds a bearer token, so no bearer token opens the page: a person signs in with
an approval token (`fenqun token add NAME --scope approve`), which no call takes. It is typed into a form and never
stands in an address; what the browser holds after that is a session of its own, that only this site's own forms
can use. Whatever is unclear is refused. No scripts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import anyio
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from mcp_server.errors import FenqunError, InternalError
from mcp_server.front.http import page_html
from mcp_server.front.http.access import IDENTITY, MOST_TOKEN, Approvers, Caller
from mcp_server.front.http.page_html import Html
from mcp_server.front.http.sessions import SECONDS, Session, Sessions
from mcp_server.operations import approving
from mcp_server.operations.asking import Said
from mcp_server.operations.handing import Files
from mcp_server.operations.operation import Deps, Operation
from mcp_server.text import Language, Text
from mcp_server.web.bodies import Stopped, TooLong, whole

PAGE: Final = "/pending"
LEAVE: Final = f"{PAGE}/leave"
MOST_FORM: Final = MOST_TOKEN + 1024
"""Bytes of a form."""
FORM_SECONDS = 10.0
"""Within which a form is here: nobody has proved anything yet, and it takes up a place."""
_FIELDS: Final = 8

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none'; style-src '{page_html.STYLE_HASH}'; form-action 'self'; "
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
    """A form that is not taken."""

    def __init__(self, status: int, words: Text) -> None:
        super().__init__(words.en)
        self.status, self.words = status, words


@dataclass(frozen=True, slots=True)
class _Visit:
    """Somebody who has signed in, at one request."""

    session: Session
    caller: Caller


class Page:
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
        """Where a person finds the page, by the name under which this request called us."""
        base = self._public or f"{request.url.scheme}://{request.headers.get('host', '')}"
        return base + PAGE

    # looking

    async def _list(self, request: Request) -> Response:
        """`GET /pending`: what waits in the projects of whoever has signed in; else the form to sign in."""
        visit = self._visit(request)
        language = self._language(request)
        return self._shown(self._waiting(visit, language) if visit else self._door(language), language)

    def _waiting(self, visit: _Visit, language: Language, said: str = "", *, wrong: bool = False) -> Html:
        found = approving.pending(self._own(visit))
        return page_html.waiting(
            found,
            language,
            action=self._path,
            csrf=visit.session.csrf,
            who=visit.caller.who.name,
            said=said,
            wrong=wrong,
        )

    def _door(self, language: Language, said: Text | None = None) -> Html:
        return page_html.sign_in(language, action=self._path, said=said.say(language) if said else "")

    # deciding

    async def _enter(self, request: Request) -> Response:
        """`POST /pending`: sign in with an approval token."""
        language = self._language(request)
        try:
            form = await self._form(request)
        except _Refused as refused:
            return self._shown(self._door(language, refused.words), language, refused.status)
        token = form.get("token", "").strip()
        caller = self._approvers.holder(token) if token and token.isascii() and len(token) <= MOST_TOKEN else None
        if caller is None:
            return self._shown(self._door(language, _NO_APPROVER), language, 403)
        self._sessions.end(request.cookies.get(self._cookie, ""))
        request.scope[IDENTITY] = caller.who
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
            return self._shown(self._door(language, refused.words), language, refused.status)
        self._sessions.end(request.cookies.get(self._cookie, ""))
        answer = self._shown(self._door(language, _LEFT), language)
        answer.delete_cookie(self._cookie, path=self._path, secure=self._secure, httponly=True, samesite="strict")
        return answer

    async def _decide(self, request: Request) -> Response:
        """`POST /pending/{id}`: approve or decline, and say what came of it."""
        language = self._language(request)
        try:
            visit, form = await self._signed_form(request)
        except _Refused as refused:
            visit_now = self._visit(request)
            said = refused.words.say(language)
            body = (
                self._waiting(visit_now, language, said, wrong=True)
                if visit_now
                else self._door(language, refused.words)
            )
            return self._shown(body, language, refused.status)
        try:
            said, status = await self._decided(request, visit, form.get("decision", "")), 200
        except _Refused as refused:
            said, status = refused.words.say(language), refused.status
        except FenqunError as error:
            said = error.message.say(language)
            status = 500 if isinstance(error, InternalError) else _STATUS.get(error.code, 409)
        return self._shown(self._waiting(visit, language, said, wrong=status != 200), language, status)

    async def _decided(self, request: Request, visit: _Visit, decision: str) -> str:
        deps, consent_id = self._own(visit), request.path_params["id"]
        language = self._language(request)
        if decision == "approve":
            deps = replace(deps, files=self._files_of(request))
            said = Said(by=visit.caller.who.name)
            return (await approving.approve(consent_id, self._operations, deps, said)).message
        if decision == "decline":
            consent = approving.decline(consent_id, self._operations, deps)
            return _DECLINED.format(tool=consent.tool, id=consent.id).say(language)
        raise _Refused(400, _UNREADABLE)

    def _own(self, visit: _Visit) -> Deps:
        return replace(self._deps, who=visit.caller.who)

    # proof

    def _visit(self, request: Request) -> _Visit | None:
        """Who has signed in with this browser, if his token still lives."""
        session = self._sessions.find(request.cookies.get(self._cookie, ""))
        caller = self._approvers.still(session.credential) if session else None
        if session is None or caller is None:
            return None
        request.scope[IDENTITY] = caller.who
        return _Visit(session, caller)

    async def _signed_form(self, request: Request) -> tuple[_Visit, dict[str, str]]:
        """A form of this site, sent by somebody who has signed in and was shown it."""
        form = await self._form(request)
        visit = self._visit(request)
        if visit is None:
            raise _Refused(403, _SIGN_IN_AGAIN)
        if not visit.session.wrote(form.get("csrf", "")):
            raise _Refused(403, _OLD_FORM)
        return visit, form

    async def _form(self, request: Request) -> dict[str, str]:
        """The fields of a form that this site sent. A field that stands twice, or any other kind of body, is refused."""
        if not self._from_here(request):
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

    def _from_here(self, request: Request) -> bool:
        """Whether a browser, as far as it says where a form comes from, says that it was this very site.

        Stricter than the gate, which lets in pages on other ports of this machine.
        """
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return False
        here = {request.headers.get("host", "").lower(), urlsplit(self._public).netloc.lower()}
        return all(urlsplit(said).netloc.lower() in here - {""} for said in request.headers.getlist("origin"))

    # answering

    def _language(self, request: Request) -> Language:
        return page_html.language_of(request.headers.get("accept-language", ""), self._deps.language)

    def _shown(self, body: Html, language: Language, status: int = 200) -> HTMLResponse:
        return HTMLResponse(page_html.document(body, language), status, _HEADERS | {"Content-Language": language})
