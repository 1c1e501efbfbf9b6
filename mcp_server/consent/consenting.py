"""Consent: nothing that a person made is overwritten or removed unless a person agrees.

It depends on the operation's effect, not its name: consent is needed to run one that destroys, not to try it with
dry_run. The question shows what the dry run reports; after a yes the dry run is repeated, and if it describes another
state, the yes no longer holds. A value that a model fills in is never consent. Whatever is unclear counts as no.
"""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, assert_never, cast

import anyio

from mcp_server.consent.redacting import cleaned, digest, token_digest
from mcp_server.errors import ApprovalNeeded, ChangedMeanwhile, ConsentDeclined, ConsentInvalid
from mcp_server.operations.operation import Answer, Deps, Operation, P, Question, R, Result
from mcp_server.store.ledger import Consent, ConsentDraft, Subject, Way, check
from mcp_server.text import Text, same

ANSWER_SECONDS: Final = 600.0
"""How long a question waits for its answer, and how long the token of a dry run holds."""
PENDING_SECONDS: Final = 86_400.0
"""How long an act waits for approval."""
COUNTING_SECONDS = 10.0
"""How long counting users may delay a question; after that it is asked without."""
MOST_LINES: Final = 20
"""Changes that a question lists; the others are counted."""
MOST_LINE: Final = 500
"""Characters of one line of a question."""
_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"
"""For ids that a person types: no letters that look like digits; a digit comes first, so that none reads as a word."""

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
    "Tell the user to run in a terminal, within 24 hours: `fenqun approve {id}`. It shows this question again and carries it out.",
    "请告知用户在 24 小时内于终端运行 `fenqun approve {id}`。该命令会再次展示此询问，并执行操作。",
)
_ON_PAGE = Text(
    "Or the user approves it on the page {page}, with an approval token.", "用户也可持审批令牌在页面 {page} 上批准。"
)
_ON_PAGE = Text(
    "Tell the user: within 24 hours, somebody with an approval token can approve {id} on the page {page}.",
    "请告知用户：持有审批令牌的人可在 24 小时内于页面 {page} 批准 {id}。",
)
_APPROVE_ELSEWHERE = Text(
    "Tell the user: the operator of the server can approve {id} within 24 hours.",
    "请告知用户：服务的运行者可在 24 小时内批准 {id}。",
)
_NOT_AGAIN = Text("Do not call the tool again; look at the outcome afterwards.", "请勿再次调用此工具，之后可查看结果。")
_CHANGED = Text(
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
_ACT = Text("({tool}, project {project}, {platform})", "（{tool}，项目 {project}，{platform}）")
_MORE = Text("… and {n} more", "……另有 {n} 项")


@dataclass(frozen=True, slots=True)
class Act(Generic[P, R]):
    """One call that is to change something, as it is bound and logged."""

    operation: Operation[P, R]
    params: P
    arguments: Mapping[str, object]
    """As the caller sent them."""
    deps: Deps
    subject: Subject

    async def dry_run(self, *, counting: bool) -> R:
        """The result of the dry run, with or without counts of users."""
        params = self.params.model_copy(update={"dry_run": True})
        return await self.operation.run(params, self.deps.for_dry_run(counting=counting))

    async def shown_dry_run(self) -> R:
        """The dry run that a person is shown: with counts, unless those take too long."""
        with anyio.move_on_after(COUNTING_SECONDS):
            return await self.dry_run(counting=True)
        return await self.dry_run(counting=False)


@dataclass(frozen=True, slots=True)
class Agreed:
    """Consent that may be used up; None where none is needed."""

    consent: Consent | None = None
    way: str = ""
    by: str = ""
    before: str = ""
    basis: tuple[str, ...] = ()
    """`Result.basis` of the dry run."""


def version(tried: Result) -> str:
    """A digest of the state that a dry run describes."""
    described: object = tried.basis or tried.model_dump(exclude={"next"})
    return digest("", described)


def with_token(act: Act[P, R], tried: R) -> R:
    """The answer of a dry run with a token that is consent for one call (`--consent token`)."""
    token = secrets.token_urlsafe(9)
    _record(act, tried, "token", consent_id=token_digest(token))
    return tried.with_token(token, act.deps.say(_WITH_TOKEN))


async def agreed(act: Act[P, R], token: str) -> Agreed | R:
    """Get consent for an act; return the answer of its dry run instead where there is nothing to do.

    Raises ConsentDeclined, ApprovalNeeded, ConsentInvalid, ChangedMeanwhile; `Suspended` where the answer to
    the question will come with another call.
    """
    deps, mode = act.deps, act.deps.consent.mode_on(act.subject.platform)
    if mode == "never":
        return Agreed(way="never")
    if token and mode == "token":
        consent = _recorded(act, token_digest(token), "token")
    elif deps.ask.earlier_consent:
        consent = _recorded(act, deps.ask.earlier_consent, deps.ask.way)
        if consent.way == "approved":
            await _check_same_state(act, consent)
        await _ask(act, consent)
    else:
        tried = await act.shown_dry_run()
        if tried.unchanged:
            return tried.model_copy(update={"dry_run": False})
        if tried.adds:
            return Agreed(basis=tried.basis)
        if not deps.ask.possible:
            raise _token_missing(act, _TOKEN_FIRST) if mode == "token" else _kept_for_approval(act, tried)
        consent = _record(act, tried, deps.ask.way)
        await _ask(act, consent, tried)
    tried = await _check_same_state(act, consent)
    return Agreed(
        consent, consent.way, deps.ask.answered_by, _one_line(" ".join(_lines(tried, clean=cleaned))), tried.basis
    )


def _recorded(act: Act[P, R], consent_id: str, way: Way) -> Consent:
    """The consent that a call brings along. ConsentInvalid where it can't be used for this call."""
    consent = act.deps.required_ledger().consent(consent_id)
    if consent is not None and consent.way != way:
        consent = None
    if consent is None and way == "token":
        raise _token_missing(act, _NO_SUCH_TOKEN)
    check(consent, act.subject, consent.version if consent else "")
    return cast(Consent, consent)  # `check` raises for None


async def _ask(act: Act[P, R], consent: Consent, tried: R | None = None) -> None:
    """Ask, and return only after a yes."""
    deps = act.deps
    answer = await deps.ask(Question(consent.id, consent.question, ANSWER_SECONDS))
    match answer:
        case Answer.YES:
            return
        case Answer.IMPOSSIBLE:
            raise _kept_for_approval(act, tried or await act.shown_dry_run())
        case Answer.NO:
            message = _DECLINED
        case Answer.CLOSED:
            message = _CLOSED
        case Answer.UNCLEAR:
            message = _UNCLEAR
        case _:
            assert_never(answer)
    deps.required_ledger().close(consent.id, "declined", deps.ask.answered_by or act.subject.name)
    raise ConsentDeclined(message.format(tool=act.subject.tool), next_step=_DONT_INSIST)


async def _check_same_state(act: Act[P, R], consent: Consent) -> R:
    """Repeat the dry run. ChangedMeanwhile where it no longer describes the state that was shown."""
    tried = await act.dry_run(counting=False)
    if version(tried) != consent.version:
        act.deps.required_ledger().close(consent.id, "changed", "")
        tool = act.subject.tool
        raise ChangedMeanwhile(_CHANGED.format(tool=tool), next_step=_LOOK_AGAIN.format(tool=tool))
    return tried


def _record(act: Act[P, R], tried: R, way: Way, *, consent_id: str = "", arguments: str = "") -> Consent:
    draft = ConsentDraft(
        id=consent_id or secrets.token_hex(12),
        way=way,
        subject=act.subject,
        version=version(tried),
        question=_question(act, tried),
        language=act.deps.language,
        seconds=PENDING_SECONDS if way == "approved" else ANSWER_SECONDS,
        arguments=arguments,
    )
    return act.deps.required_ledger().put(draft)


def _kept_for_approval(act: Act[P, R], tried: R) -> ApprovalNeeded:
    """Keep the act until a person approves it, and return the error that says so."""
    consent_id = secrets.choice(_ALPHABET[:8]) + "".join(secrets.choice(_ALPHABET) for _ in range(5))
    consent = _record(act, tried, "approved", consent_id=consent_id, arguments=json.dumps(dict(act.arguments)))
    message = _WAITS.format(tool=act.subject.tool, id=consent.id)
    return ApprovalNeeded(message, next_step=_how_to_approve(consent.id, act.deps).then(_NOT_AGAIN))


def _how_to_approve(consent_id: str, deps: Deps) -> Text:
    """Where a person decides: in a terminal of this machine, on the page, or where the operator chooses."""
    if deps.caller.known == "system":
        return _APPROVE.format(id=consent_id)
    return (_ON_PAGE if deps.page else _APPROVE_ELSEWHERE).format(id=consent_id, page=deps.page)


def _token_missing(act: Act[Any, Any], message: Text) -> ConsentInvalid:
    tool = act.subject.tool
    return ConsentInvalid(message.format(tool=tool), next_step=_GET_TOKEN.format(tool=tool))


# The question


def _question(act: Act[P, R], tried: R) -> str:
    """What would happen, in the words of the dry run, and where."""
    subject, say = act.subject, act.deps.say
    place = Text("on this machine", "本机")
    if subject.platform != "local":
        place = same(f"{subject.platform} {subject.account}".strip())
    about = _ACT.format(tool=act.operation.title, project=subject.project, platform=place)
    return "\n".join([*_lines(tried, say), say(about)])


def _lines(tried: Result, say: Callable[[Text], str] | None = None, clean: Callable[[str], str] = str) -> list[str]:
    """The message, the changes and the warnings of a dry run, one a line; each cleaned before it is cut."""
    changes = [str(change) for change in getattr(tried, "changes", ())]
    warnings = [str(row.message) for row in getattr(tried, "warnings", ()) if hasattr(row, "message")]
    lines = [f"- {one}" for one in (*changes, *warnings)]
    left = len(lines) - MOST_LINES
    if left > 0:
        lines[MOST_LINES:] = [(say(_MORE.format(n=left)) if say else f"+{left}")]
    return [_one_line(clean(words)) for words in (tried.message, *lines)]


def _one_line(words: str) -> str:
    """The words on one line: a name that somebody chose must not draw lines or colours of its own."""
    line = "".join(c if c.isprintable() else " " for c in words[:MOST_LINE])
    return f"{line}…" if len(words) > MOST_LINE else line
