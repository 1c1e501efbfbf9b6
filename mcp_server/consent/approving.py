"""Acts that wait for a person: listing them, approving one, declining one. The terminal and the server's page call this."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast, get_args

from mcp_server.consent.invoke import call, find, note_refusal
from mcp_server.consent.redacting import redacted
from mcp_server.errors import ConsentDeclined, NotFound
from mcp_server.operations.asking import Answer, Ask, Consenting, Question
from mcp_server.operations.operation import Deps, Identity, Known, Operation, Result
from mcp_server.store.ledger import Consent, Subject, Way
from mcp_server.text import NOTHING, Language, Text

__all__ = ["Consent", "approve", "decline", "doubt", "pending", "waiting"]

_NOT_PENDING: Final = Text("Nothing waits under the id {id}.", "没有编号为 {id} 的待批准操作。")
_LIST: Final = Text(
    "`fenqun pending` lists what waits. It may have been decided, or be older than 24 hours.",
    "可用 `fenqun pending` 查看待批准的操作。该操作可能已有决定，或已超过 24 小时。",
)
_GONE: Final = Text(
    "Can't be approved any more: the token with which {name} asked has been revoked or has expired.",
    "已无法批准：{name} 发起时所用的令牌已吊销或过期。",
)
_UNTOLD: Final = Text(
    "{name} came through the authorization server; whether that access still stands is known only there.",
    "{name} 经授权服务器认证；其权限目前是否仍然有效，只有该服务器知道。",
)


def doubt(consent: Consent) -> Text:
    """What to know about whoever asked, before deciding; nothing where his access stands."""
    said = {"gone": _GONE, "unknown": _UNTOLD}.get(consent.asker, NOTHING)
    return said.format(name=consent.name)


def pending(deps: Deps) -> Sequence[Consent]:
    """What waits for approval in the projects that the caller may use, oldest first."""
    return tuple(c for c in deps.books().pending() if deps.within().may_use(c.project))


def waiting(consent_id: str, deps: Deps) -> Consent:
    """One of them. NotFound where it was decided, has expired or is out of reach."""
    found = next((c for c in pending(deps) if c.id == consent_id.strip().casefold()), None)
    if found is None:
        raise NotFound(_NOT_PENDING.format(id=consent_id[:40]), next_step=_LIST)
    return found


async def approve(consent_id: str, operations: Sequence[Operation[Any, Any]], deps: Deps, ask: Ask) -> Result:
    """Carry out what waits, once `ask` has got a yes; in the name of whoever called it, approved by the caller of this.

    Files travel as they did for that caller: through `deps.files`, unless he shares this machine's files.
    Before the question and after the answer it is held against the state that was shown: ChangedMeanwhile; and
    ConsentInvalid where whoever called it has lost his access since.
    """
    consent = waiting(consent_id, deps)
    arguments = json.loads(consent.arguments)
    caller = Identity(
        name=consent.name,
        known=cast(Known, consent.known) if consent.known in get_args(Known) else "token",
        projects=frozenset({consent.project}),
    )
    own = replace(
        deps,
        who=caller,
        project_id=consent.project,
        language=cast(Language, consent.language),
        files=None if consent.known == "system" else deps.files,
        ask=_Approver(ask, consent.id, deps.who.name),
        consenting=Consenting(),  # whoever approves is asked, whatever holds for calls of today
    )
    return await call(find(operations, consent.tool), arguments, own)


def decline(consent_id: str, operations: Sequence[Operation[Any, Any]], deps: Deps) -> Consent:
    """What waits will not be done."""
    consent, books = waiting(consent_id, deps), deps.books()
    subject = Subject(
        tool=consent.tool,
        effect=find(operations, consent.tool).effect.value,
        arguments=redacted(json.loads(consent.arguments), books.key("log")),
        digest="",
        name=consent.name,
        known=consent.known,
        client="",
        platform=consent.platform,
        account=consent.account,
        project=consent.project,
    )
    books.close(consent.id, "declined", deps.who.name)
    note_refusal(deps, subject, ConsentDeclined.code, way="approved", by=deps.who.name)
    return consent


@dataclass(frozen=True, slots=True)
class _Approver:
    """Asks somebody else than the caller, about an act that was kept."""

    ask: Ask
    earlier: str
    by: str
    way: Way = "approved"
    possible: bool = True

    async def __call__(self, question: Question, /) -> Answer:
        return await self.ask(question)
