"""The ledger: consents and the log of acts, kept in the catalogue of the workspace."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol

from mcp_server.errors import ConsentInvalid
from mcp_server.store.catalog import Catalog
from mcp_server.store.database import Value, derived_key
from mcp_server.store.records import read_time, write_time
from mcp_server.store.tokens import Tokens
from mcp_server.text import Text

# What is kept of people's decisions and of what was done: consents, and the log of acts.
#
# One row per consent, however it was given; one row per act, written before the act begins. A consent is used up in
# the transaction that writes the act's row: no row, no act, and no consent serves twice. Times are aware, in UTC.


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
    """With `name`, the identity: see `operations/operation.py`."""
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


# Consents and the log of acts in the catalogue of the workspace (`platforms.ledger_port.Ledger`).


LOG_DAYS: Final = 180
"""Days that the log and the consents are kept, unless a setting says otherwise."""

TIDY_EVERY: Final = 100
"""Acts after which a process that runs for long tidies up."""

_ACT_COLUMNS: Final = (
    "began_at", "owner", "tool", "effect", "arguments", "name", "known", "client", "platform", "account", "project",
    "consent", "way", "approved_by", "before",
)  # fmt: skip


class LocalLedger:
    """One per process. Every call is short and synchronous, like those of the catalogue."""

    def __init__(self, catalog: Catalog, *, log_days: int = LOG_DAYS) -> None:
        self._catalog = catalog
        self._database = catalog.database
        self._tokens = Tokens(catalog)
        self._kept = timedelta(days=log_days)
        self._acts = 0

    @property
    def where(self) -> str:
        return str(self._catalog.workspace.root)

    def key(self, purpose: str) -> bytes:
        return derived_key(self._database, purpose)

    # -- consents --------------------------------------------------------------------------------------------

    def put(self, draft: ConsentDraft) -> Consent:
        with self._database.write() as db:
            if draft.way == "approved" and (known := self._same_pending(db, draft)):
                return known
            now = self._catalog.clock()
            columns: dict[str, Value] = {
                "id": draft.id,
                "way": draft.way,
                "state": "open",
                "tool": draft.subject.tool,
                "digest": draft.subject.digest,
                "version": draft.version,
                "name": draft.subject.name,
                "known": draft.subject.known,
                "platform": draft.subject.platform,
                "account": draft.subject.account,
                "project": draft.subject.project,
                "language": draft.language,
                "question": draft.question,
                "arguments": draft.arguments,
                "created_at": write_time(now),
                "expires_at": write_time(now + timedelta(seconds=draft.seconds)),
            }
            db.execute(
                f"INSERT INTO consent ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
                tuple(columns.values()),
            )
            return self._consent(db.execute("SELECT * FROM consent WHERE id = ?", (draft.id,)).fetchone())

    def _same_pending(self, db: sqlite3.Connection, draft: ConsentDraft) -> Consent | None:
        """The same act, waiting already. One that was asked for in another state is over."""
        found = db.execute(
            "SELECT * FROM consent WHERE way = 'approved' AND state = 'open' AND digest = ?", (draft.subject.digest,)
        ).fetchall()
        for consent in map(self._consent, found):
            if consent.version == draft.version and not consent.expired:
                return consent
            self._close(db, consent.id, "changed", "")
        return None

    def consent(self, consent_id: str) -> Consent | None:
        found = self._database.row("SELECT * FROM consent WHERE id = ?", (consent_id,))
        return self._consent(found) if found else None

    def pending(self) -> Sequence[Consent]:
        found = self._database.rows(
            "SELECT * FROM consent WHERE way = 'approved' AND state = 'open' AND expires_at > ? ORDER BY created_at",
            (self._catalog.moment(),),
        )
        return tuple(map(self._consent, found))

    def close(self, consent_id: str, state: State, by: str) -> None:
        with self._database.write() as db:
            self._close(db, consent_id, state, by)

    def _close(self, db: sqlite3.Connection, consent_id: str, state: State, by: str) -> bool:
        closed = db.execute(
            "UPDATE consent SET state = ?, arguments = '', question = '', decided_at = ?, decided_by = ? WHERE id = ? AND state = 'open'",
            (state, self._catalog.moment(), by, consent_id),
        )
        return closed.rowcount == 1

    def _consent(self, row: sqlite3.Row) -> Consent:
        expires_at = read_time(row["expires_at"])
        return Consent(
            id=row["id"],
            way=row["way"],
            state=row["state"],
            tool=row["tool"],
            digest=row["digest"],
            version=row["version"],
            name=row["name"],
            known=row["known"],
            platform=row["platform"],
            account=row["account"],
            project=row["project"],
            language=row["language"],
            question=row["question"],
            arguments=row["arguments"],
            created_at=read_time(row["created_at"]),
            expires_at=expires_at,
            expired=expires_at <= self._catalog.clock(),
            asker=self._standing(row),
        )

    def _standing(self, row: sqlite3.Row) -> Standing:
        """Whether the access still stands with which this was asked; what is not known to stand does not."""
        if row["known"] in ("system", "loopback", "gateway"):
            return "stands"  # whoever works on this machine, or with a key that its operator keeps in a file
        if row["known"] == "oauth":
            return "untold"
        token = self._tokens.named(row["name"])
        # A later token of the same name is another one, whoever holds it.
        asked = token is not None and token.created_at <= read_time(row["created_at"])
        return "stands" if token and asked and token.scope == "write" and token.reaches(row["project"]) else "gone"

    # -- acts ------------------------------------------------------------------------------------------------

    def begin(self, subject: Subject, *, before: str, consent: Consent | None, way: str, by: str) -> int:
        self._acts += 1
        if self._acts % TIDY_EVERY == 0:
            self.tidy()
        with self._database.write() as db:
            if consent is not None:
                self._use_up(db, subject, consent, by or subject.name)
            values: tuple[Value, ...] = (
                self._catalog.moment(), self._catalog.workspace.owner, subject.tool, subject.effect, subject.arguments,
                subject.name, subject.known, subject.client, subject.platform, subject.account, subject.project,
                consent.id if consent else "", way, by, before,
            )  # fmt: skip
            made = db.execute(
                f"INSERT INTO act ({', '.join(_ACT_COLUMNS)}) VALUES ({', '.join('?' * len(values))})", values
            )
            return int(made.lastrowid or 0)

    def _use_up(self, db: sqlite3.Connection, subject: Subject, consent: Consent, by: str) -> None:
        row = db.execute("SELECT * FROM consent WHERE id = ?", (consent.id,)).fetchone()
        check(self._consent(row) if row else None, subject, consent.version)
        self._close(db, consent.id, "used", by)

    def end(self, entry: int, outcome: Outcome, after: str) -> None:
        with self._database.write() as db:
            db.execute(
                "UPDATE act SET ended_at = ?, outcome = ?, after = ? WHERE id = ?",
                (self._catalog.moment(), outcome, after, entry),
            )

    def entries(
        self, *, limit: int, tool: str = "", since: datetime | None = None, project: str = ""
    ) -> Sequence[Entry]:
        found = self._database.rows(
            "SELECT * FROM act WHERE (? = '' OR tool = ?) AND (? = '' OR project = ?) AND began_at >= ?"
            " ORDER BY id DESC LIMIT ?",
            (tool, tool, project, project, write_time(since) if since else "", limit),
        )
        return tuple(map(self._entry, found))

    def _entry(self, row: sqlite3.Row) -> Entry:
        alive = self._catalog.workspace.owner_alive(row["owner"])
        return Entry(
            id=row["id"],
            began_at=read_time(row["began_at"]),
            ended_at=read_time(row["ended_at"]) if row["ended_at"] else None,
            subject=Subject(
                tool=row["tool"],
                effect=row["effect"],
                arguments=row["arguments"],
                digest="",
                name=row["name"],
                known=row["known"],
                client=row["client"],
                platform=row["platform"],
                account=row["account"],
                project=row["project"],
            ),
            way=f"{row['way']} {row['approved_by']}".strip(),
            before=row["before"],
            after=row["after"],
            outcome=row["outcome"] or ("running" if alive else "unknown"),
        )

    # -- housekeeping ----------------------------------------------------------------------------------------

    def tidy(self) -> None:
        """Remove what is older than is kept, and the words of questions that nobody answered in time."""
        now = self._catalog.clock()
        oldest = write_time(now - self._kept)
        with self._database.write() as db:
            db.execute("DELETE FROM act WHERE began_at < ?", (oldest,))
            db.execute("DELETE FROM consent WHERE created_at < ?", (oldest,))
            db.execute(
                "UPDATE consent SET arguments = '', question = '' WHERE state = 'open' AND question <> '' AND expires_at <= ?",
                (write_time(now),),
            )
