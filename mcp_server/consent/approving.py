"""Acts that wait for a person: list them, approve or decline one. The terminal and the server's page use this."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast, get_args

from mcp_server.consent.invoke import find, invoke, log_refusal
from mcp_server.consent.redacting import redacted
from mcp_server.errors import ConsentDeclined, NotFound
from mcp_server.operations.operation import (
    Answer,
    Ask,
    ConsentPolicy,
    Deps,
    Identity,
    Known,
    Operation,
    Question,
    Result,
)
from mcp_server.store.ledger import Consent, Subject, Way
from mcp_server.text import NOTHING, Language, Text

_NOT_PENDING: Final = Text("Nothing waits under the id {id}.", "没有编号为 {id} 的待批准操作。")
_LIST: Final = Text(
    "`fenqun pending` lists what waits. It may have been decided, or be older than 24 hours.",
    "可用 `fenqun pending` 查看待批准的操作。该操作可能已有决定，或已超过 24 小时。",
)
_GONE: Final = Text(
    "Can't be approved any more: the token with which {name} asked has been revoked or has expired.",
    "已无法批准：{name} 发起时所用的令牌已吊销或过期。",
)
_UNKNOWN: Final = Text(
    "{name} came through the authorization server; whether that access still holds is known only there.",
    "{name} 经授权服务器认证；其权限目前是否仍然有效，只有该服务器知道。",
)


def doubt(consent: Consent) -> Text:
    """What to know about the caller before deciding; NOTHING where the caller's access still holds."""
    match consent.asker:
        case "valid":
            return NOTHING
        case "gone":
            return _GONE.format(name=consent.name)
        case "unknown":
            return _UNKNOWN.format(name=consent.name)


def pending(deps: Deps) -> Sequence[Consent]:
    """What waits for approval in the projects that the caller may use, oldest first."""
    return tuple(c for c in deps.required_ledger().pending() if deps.pinned_caller().may_use(c.project))


def waiting(consent_id: str, deps: Deps) -> Consent:
    """One of them. NotFound where it was decided, has expired or is out of reach."""
    match = next((c for c in pending(deps) if c.id == consent_id.strip().casefold()), None)
    if match is None:
        raise NotFound(_NOT_PENDING.format(id=consent_id[:40]), next_step=_LIST)
    return match


async def approve(consent_id: str, operations: Sequence[Operation[Any, Any]], deps: Deps, ask: Ask) -> Result:
    """Carry out what waits, after a yes to `ask`, in the name of its caller; approved by the caller in `deps`.

    Files travel as they did for the original caller: through `deps.files`, unless that caller shares this machine's
    files. Before the question and after the answer the state is compared with the one that was shown:
    ChangedMeanwhile; and ConsentInvalid where the original caller has lost access since.
    """
    consent = waiting(consent_id, deps)
    caller = Identity(
        name=consent.name,
        known=cast(Known, consent.known) if consent.known in get_args(Known) else "token",
        projects=frozenset({consent.project}),
    )
    own = replace(
        deps,
        caller=caller,
        project_id=consent.project,
        language=cast(Language, consent.language),
        files=None if consent.known == "system" else deps.files,
        ask=_Approver(ask, consent.id, deps.caller.name),
        consent=ConsentPolicy(),  # the approver is asked, whatever the policy for calls is today
    )
    return await invoke(find(operations, consent.tool), json.loads(consent.arguments), own)


def decline(consent_id: str, operations: Sequence[Operation[Any, Any]], deps: Deps) -> Consent:
    """Close what waits without doing it."""
    consent, ledger = waiting(consent_id, deps), deps.required_ledger()
    subject = Subject(
        tool=consent.tool,
        effect=find(operations, consent.tool).effect.value,
        arguments=redacted(json.loads(consent.arguments), ledger.key("log")),
        digest="",
        name=consent.name,
        known=consent.known,
        client="",
        platform=consent.platform,
        account=consent.account,
        project=consent.project,
    )
    ledger.close(consent.id, "declined", deps.caller.name)
    log_refusal(deps, subject, ConsentDeclined.code, way="approved", by=deps.caller.name)
    return consent


@dataclass(frozen=True, slots=True)
class _Approver:
    """Asks the approver, who is not the caller, about an act that was kept."""

    ask: Ask
    earlier_consent: str
    answered_by: str
    way: Way = "approved"
    possible: bool = True

    async def __call__(self, question: Question, /) -> Answer:
        return await self.ask(question)
