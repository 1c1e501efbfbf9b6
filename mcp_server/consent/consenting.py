"""Consent: no act that overwrites or removes what a person made happens without a person who wanted it.

By effect, not by name: an operation that destroys and that is not only tried. What is asked is what the dry run
says, and after a yes the dry run is made again: if it now speaks of another state, the yes no longer holds. A
value that a model fills in is never consent. Whatever is unclear counts as no.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import anyio

from mcp_server.consent.redacting import plain, told
from mcp_server.errors import ApprovalNeeded, ChangedMeanwhile, ConsentDeclined, ConsentInvalid
from mcp_server.operations.asking import Answer, Question
from mcp_server.store.ledger import Consent, ConsentDraft, Subject, Way, check
from mcp_server.text import Text

if TYPE_CHECKING:
    from mcp_server.operations.operation import Deps, Operation, Params, Result


ANSWER_SECONDS: Final = 600.0
"""How long a question may stand open, and how long the token of a dry run holds."""
PENDING_SECONDS: Final = 86_400.0
"""How long an act waits for approval."""
COUNTING_SECONDS = 10.0
"""How long counting users may hold up a question; then it is asked without."""
MOST_LINES: Final = 20
"""Changes that a question lists; the others are counted."""
MOST_LINE: Final = 500
"""Characters of one line of a question."""
_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"
"""For ids that a person types: no letters that look like digits; a digit comes first, so that none reads as a word."""

P = TypeVar("P", bound="Params")
R = TypeVar("R", bound="Result")

_DECLINED = Text("The person declined {tool}; nothing was changed.", "用户拒绝了 {tool}，未做任何更改。")
_CLOSED = Text(
    "The question about {tool} was closed without an answer; nothing was changed.",
    "关于 {tool} 的询问未获答复即被关闭，未做任何更改。",
)
_UNCLEAR = Text(
    "The question about {tool} was sent back without a yes in it; nothing was changed.",
    "关于 {tool} 的询问已返回，但其中没有表示同意，未做任何更改。",
)
_DONT_INSIST = Text("Do not call it again unless the user asks for it.", "除非用户主动要求，请勿再次调用。")
_WAITS = Text(
    "{tool} waits for a person's approval (id {id}); nothing was changed yet.",
    "{tool} 正在等待人工批准（编号 {id}），尚未做任何更改。",
)
_APPROVE = Text(
    "Tell the user to run in a terminal, within 24 hours: {command}. It shows this question again and carries it out.",
    "请告知用户在 24 小时内于终端运行：{command}。该命令会再次展示此询问，并执行操作。",
)
_OR_ON_PAGE = Text(
    "Or the user approves it on the page {page}, with an approval token.", "用户也可持审批令牌在页面 {page} 上批准。"
)
_ON_PAGE = Text(
    "Tell the user: within 24 hours, somebody with an approval token can approve {id} on the page {page}.",
    "请告知用户：持有审批令牌的人可在 24 小时内于页面 {page} 批准 {id}。",
)
_APPROVE_ELSEWHERE = Text(
    "Tell the user: whoever runs the server can approve {id} within 24 hours.",
    "请告知用户：服务的运行者可在 24 小时内批准 {id}。",
)
_NOT_AGAIN = Text("Do not call the tool again; look at the outcome afterwards.", "请勿再次调用此工具，之后可查看结果。")
_MOVED_ON = Text(
    "What {tool} was about to touch has changed since it was shown; nothing was changed.",
    "{tool} 将要改动的内容在展示之后已有变化，未做任何更改。",
)
_LOOK_AGAIN = Text("Look again with dry_run, then call {tool} again.", "请用 dry_run 重新查看，再调用 {tool}。")
_NO_SUCH_TOKEN = Text(
    "This consent_token is not valid here; nothing was changed.", "此 consent_token 在此无效，未做任何更改。"
)
_TOKEN_FIRST = Text("{tool} needs a consent_token; nothing was changed.", "{tool} 需要 consent_token，未做任何更改。")
_GET_TOKEN = Text(
    "Call {tool} with dry_run first: its answer has the consent_token of the next call.",
    "请先带 dry_run 调用 {tool}：其返回中含有下次调用所需的 consent_token。",
)
_WITH_TOKEN = Text(
    "If this is wanted, call again without dry_run and with consent_token.",
    "若确认执行，请去掉 dry_run 并带上 consent_token 再次调用。",
)
_WHERE = Text("({tool}, project {project}, {platform})", "（{tool}，项目 {project}，{platform}）")
_MORE = Text("… and {n} more", "……另有 {n} 项")


@dataclass(frozen=True, slots=True)
class Act(Generic[P, R]):
    """One call that is to change something, as it is bound and logged."""

    operation: "Operation[P, R]"
    params: P
    sent: Mapping[str, object]
    deps: "Deps"
    subject: Subject

    async def tried(self, *, counting: bool) -> R:
        """What the dry run says, with or without counts of users."""
        params = self.params.model_copy(update={"dry_run": True})
        return await self.operation.run(params, self.deps.quiet(counting=counting))

    async def shown(self) -> R:
        """What a person is shown: with counts, unless those take too long."""
        with anyio.move_on_after(COUNTING_SECONDS):
            return await self.tried(counting=True)
        return await self.tried(counting=False)


@dataclass(frozen=True, slots=True)
class Agreed:
    """Consent that may be used up; none where none is needed."""

    consent: Consent | None = None
    way: str = ""
    by: str = ""
    before: str = ""
    basis: tuple[str, ...] = ()
    """What the dry run rested on."""


def digest(tool: str, arguments: object, *bound: str) -> str:
    """One text that stands for a call: other arguments, another person or another project give another one."""
    words = json.dumps([tool, plain(arguments), *bound], sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(words.encode()).hexdigest()


def version(tried: "Result") -> str:
    """One text that stands for the state that a dry run spoke of."""
    what: object = tried.basis or tried.model_dump(exclude={"next"})
    return digest("", what)


def with_token(act: Act[P, R], tried: R) -> R:
    """The answer of a dry run with a token that is consent for one call (`--consent token`)."""
    token = secrets.token_urlsafe(9)
    _put(act, tried, "token", consent_id=_token_id(token))
    return tried.with_token(token, act.deps.say(_WITH_TOKEN))


async def agreed(act: Act[P, R], token: str) -> Agreed | R:
    """The consent for an act; or the answer of its dry run, where there is nothing to do.

    Raises ConsentDeclined, ApprovalNeeded, ConsentInvalid, ChangedMeanwhile; `Suspended` where the answer to
    the question will come with another call.
    """
    deps, mode = act.deps, act.deps.consenting.on(act.subject.platform)
    if mode == "never":
        return Agreed(way="never")
    if token and mode == "token":
        consent = _given(act, _token_id(token), "token")
    elif deps.ask.earlier:
        consent = _given(act, deps.ask.earlier, deps.ask.way)
        if consent.way == "approved":
            await _still(act, consent)
        await _answered(act, consent)
    else:
        tried = await act.shown()
        if tried.idle:
            return tried.as_done()
        if not deps.ask.possible:
            raise _token_first(act) if mode == "token" else _waiting(act, tried)
        consent = _put(act, tried, deps.ask.way)
        await _answered(act, consent, tried)
    tried = await _still(act, consent)
    return Agreed(consent, consent.way, deps.ask.by, _brief(tried), tried.basis)


def _given(act: Act[P, R], consent_id: str, way: Way) -> Consent:
    """The consent that a call brings along. ConsentInvalid where it can't be used for this call."""
    found = act.deps.books().consent(consent_id)
    if found is None or found.way != way:
        raise ConsentInvalid(_NO_SUCH_TOKEN, next_step=_get_token(act)) if way == "token" else _unknown(act)
    check(found, act.subject, found.version)
    return found


def _unknown(act: Act[Any, Any]) -> ConsentInvalid:
    check(None, act.subject, "")
    raise AssertionError


async def _answered(act: Act[P, R], consent: Consent, tried: R | None = None) -> None:
    """Ask, and go on only after a yes."""
    deps = act.deps
    answer = await deps.ask(Question(consent.id, consent.question, ANSWER_SECONDS))
    if answer is Answer.YES:
        return
    if answer is Answer.IMPOSSIBLE:
        raise _waiting(act, tried or await act.shown())
    deps.books().close(consent.id, "declined", deps.ask.by or act.subject.name)
    said = {Answer.NO: _DECLINED, Answer.CLOSED: _CLOSED}.get(answer, _UNCLEAR)
    raise ConsentDeclined(said.format(tool=act.subject.tool), next_step=_DONT_INSIST)


async def _still(act: Act[P, R], consent: Consent) -> R:
    """The dry run, made again. ChangedMeanwhile where it no longer speaks of the state that was shown."""
    tried = await act.tried(counting=False)
    if version(tried) != consent.version:
        act.deps.books().close(consent.id, "changed", "")
        tool = act.subject.tool
        raise ChangedMeanwhile(_MOVED_ON.format(tool=tool), next_step=_LOOK_AGAIN.format(tool=tool))
    return tried


def _put(act: Act[P, R], tried: R, way: Way, *, consent_id: str = "", arguments: str = "") -> Consent:
    draft = ConsentDraft(
        id=consent_id or secrets.token_hex(12),
        way=way,
        subject=act.subject,
        version=version(tried),
        question=question(act, tried),
        language=act.deps.language,
        seconds=PENDING_SECONDS if way == "approved" else ANSWER_SECONDS,
        arguments=arguments,
    )
    return act.deps.books().put(draft)


def _waiting(act: Act[P, R], tried: R) -> ApprovalNeeded:
    """Keep the act until somebody approves it."""
    consent_id = secrets.choice(_ALPHABET[:8]) + "".join(secrets.choice(_ALPHABET) for _ in range(5))
    consent = _put(act, tried, "approved", consent_id=consent_id, arguments=json.dumps(dict(act.sent)))
    said = _WAITS.format(tool=act.subject.tool, id=consent.id)
    return ApprovalNeeded(said, next_step=_how_to_approve(consent.id, act.deps).then(_NOT_AGAIN))


def _how_to_approve(consent_id: str, deps: "Deps") -> Text:
    """Where a person decides: in a terminal of this machine, on the page, or wherever the operator does."""
    if deps.who.known in ("system", "loopback"):
        command = f'fenqun approve {consent_id} --workspace "{deps.books().where}"'
        how = _APPROVE.format(command=command)
        return how.then(_OR_ON_PAGE.format(page=deps.page)) if deps.page else how
    return (_ON_PAGE if deps.page else _APPROVE_ELSEWHERE).format(id=consent_id, page=deps.page)


def _token_first(act: Act[Any, Any]) -> ConsentInvalid:
    return ConsentInvalid(_TOKEN_FIRST.format(tool=act.subject.tool), next_step=_get_token(act))


def _get_token(act: Act[Any, Any]) -> Text:
    return _GET_TOKEN.format(tool=act.subject.tool)


def _token_id(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


# -- what is asked ---------------------------------------------------------------------------------------------


def question(act: Act[P, R], tried: R) -> str:
    """What would happen, in the words of the dry run, and where."""
    subject, say = act.subject, act.deps.say
    title = act.operation.title
    where = _WHERE.format(tool=title, project=subject.project, platform=_place(subject))
    return "\n".join([*_told(tried, say), say(where)])


def _place(subject: Subject) -> Text:
    """The platform, with the account where there is one."""
    if subject.platform == "local":
        return Text("on this machine", "本机")
    account = subject.account and f" {subject.account}"
    return Text(f"{subject.platform}{account}", f"{subject.platform}{account}")


def _told(tried: "Result", say: Any = None, clean: Callable[[str], str] = str) -> list[str]:
    """What a dry run says, on lines: the sentence, the changes, the warnings; each cleaned before it is cut."""
    changes = [str(change) for change in getattr(tried, "changes", ())]
    warnings = [str(row.message) for row in getattr(tried, "warnings", ()) if hasattr(row, "message")]
    lines = [f"- {one}" for one in (*changes, *warnings)]
    left = len(lines) - MOST_LINES
    if left > 0:
        lines[MOST_LINES:] = [(say(_MORE.format(n=left)) if say else f"+{left}")]
    return [_line(clean(words)) for words in (tried.message, *lines)]


def _line(words: str) -> str:
    """One line: a name that somebody chose must not draw lines or colours of its own."""
    line = "".join(c if c.isprintable() else " " for c in words[:MOST_LINE])
    return f"{line}…" if len(words) > MOST_LINE else line


def _brief(tried: "Result") -> str:
    """The same for the log."""
    return _line(" ".join(_told(tried, clean=told)))
