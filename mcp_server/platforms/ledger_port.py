"""What is kept of people's decisions and of what was done: consents, and the log of acts.

One row per consent, however it was given; one row per act, written before the act begins. A consent is used up
in the transaction that writes the act's row: no row, no act, and no consent serves twice. Times are aware, in UTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol

from mcp_server.errors import ConsentInvalid
from mcp_server.text import Text

Way = Literal["asked", "approved", "token"]
"""How consent is given: `asked` in the client while the call waits, `approved` in a terminal or on a page later,
`token` by the single-use token of a dry run (which proves a preview and not a person)."""
State = Literal["open", "used", "declined", "changed"]
"""`open` until somebody decides or the time is over. `changed`: what was shown is no longer so."""
Outcome = Literal["done", "failed", "cancelled", "unknown", "refused"]
Standing = Literal["stands", "gone", "untold"]
"""Whether whoever asked still has the access that he asked with. `untold`: only his authorization server knows."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Who does what to which account: what a consent is bound to, and what the log names."""

    tool: str
    effect: str
    arguments: str
    """As the log keeps them: without secrets, ids and phones as count and hash. JSON text."""
    digest: str
    """Stands for tool, full arguments, identity, platform, account and project together."""
    name: str
    known: str
    """With `name`, the identity: see `operations/identity.py`."""
    client: str
    platform: str
    account: str
    project: str


@dataclass(frozen=True, slots=True)
class ConsentDraft:
    """A question, as it is about to be put."""

    id: str
    way: Way
    subject: Subject
    version: str
    """Stands for the state that the question speaks of."""
    question: str
    language: str
    seconds: float
    """How long it holds."""
    arguments: str = ""
    """The full arguments, as JSON: only of a pending act, which another process will carry out."""


@dataclass(frozen=True, slots=True)
class Consent:
    """A question that was put, and what became of it."""

    id: str
    way: Way
    state: State
    tool: str
    digest: str
    version: str
    name: str
    known: str
    platform: str
    account: str
    project: str
    language: str
    question: str
    arguments: str
    created_at: datetime
    expires_at: datetime
    expired: bool
    asker: Standing
    """As of the moment of reading."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One act in the log."""

    id: int
    began_at: datetime
    ended_at: datetime | None
    subject: Subject
    way: str
    """How consent was given, and by whom where that is somebody else; empty where none was needed."""
    before: str
    after: str
    outcome: str
    """`done`, `failed`, `cancelled` (it may have happened); `running`; `unknown` where its process died, or where the
    platform's answer was lost and no read could settle what happened."""


class Ledger(Protocol):
    """Consents and the log of one workspace."""

    @property
    def where(self) -> str:
        """The folder of the workspace, for whoever has to type a command."""
        ...

    def key(self, purpose: str) -> bytes:
        """A secret of 32 bytes that stays the same in this workspace, another one for each purpose."""
        ...

    def put(self, draft: ConsentDraft) -> Consent:
        """Keep a question. A pending act that is kept already, unchanged, is that one again."""
        ...

    def consent(self, consent_id: str) -> Consent | None: ...

    def pending(self) -> Sequence[Consent]:
        """The acts that wait for somebody to approve them, oldest first."""
        ...

    def close(self, consent_id: str, state: State, by: str) -> None:
        """An open question will not be answered with yes."""
        ...

    def begin(self, subject: Subject, *, before: str, consent: Consent | None, way: str, by: str) -> int:
        """Write the act's row and use up the consent, in one transaction; the number of the row.

        Raises ConsentInvalid where the consent is not open any more, has expired, is for something else, or where
        whoever asked has lost the access that he asked with.
        """
        ...

    def end(self, entry: int, outcome: Outcome, after: str) -> None: ...

    def entries(
        self, *, limit: int, tool: str = "", since: datetime | None = None, project: str = ""
    ) -> Sequence[Entry]:
        """The newest acts, newest first; of one tool or project where it is named."""
        ...


_AGAIN = Text("Call it again to be asked anew.", "请重新调用，将再次询问。")
_UNKNOWN = Text("There is no such consent here; nothing was changed.", "没有这条同意记录，未做任何更改。")
_USED = Text(
    "This consent was used already, and each serves one call; nothing was changed.",
    "这条同意已经使用过；每条同意只对一次调用有效。未做任何更改。",
)
_DECLINED = Text("A person declined this; nothing was changed.", "已有人拒绝此操作，未做任何更改。")
_CHANGED = Text(
    "What was shown has changed since, so the consent no longer holds; nothing was changed.",
    "所展示的内容此后已有变化，同意不再有效；未做任何更改。",
)
_EXPIRED = Text("The time to answer is over; nothing was changed.", "已超过答复时限，未做任何更改。")
_GONE = Text(
    "{name} asked for this with a token that has been revoked or has expired since; nothing was changed.",
    "{name} 发起此操作所用的令牌已吊销或过期，未做任何更改。",
)
_ASK_ANEW = Text(
    "Whoever still wants it calls again, with a token that is valid.", "如仍需执行，请用有效的令牌重新调用。"
)
_OTHER = Text("This consent was given for another call; nothing was changed.", "这条同意属于另一次调用，未做任何更改。")
_CLOSED: Final = {"used": _USED, "declined": _DECLINED, "changed": _CHANGED}


def check(found: Consent | None, subject: Subject, version: str) -> None:
    """ConsentInvalid unless the consent may still be given or used for this act in this state."""
    if found is None:
        raise ConsentInvalid(_UNKNOWN, next_step=_AGAIN)
    if found.digest != subject.digest:
        raise ConsentInvalid(_OTHER, next_step=_AGAIN)
    if found.state != "open":
        raise ConsentInvalid(_CLOSED[found.state], next_step=_AGAIN)
    if found.expired:
        raise ConsentInvalid(_EXPIRED, next_step=_AGAIN)
    if found.asker == "gone":
        raise ConsentInvalid(_GONE.format(name=found.name), next_step=_ASK_ANEW)
    if found.version != version:
        raise ConsentInvalid(_CHANGED, next_step=_AGAIN)
