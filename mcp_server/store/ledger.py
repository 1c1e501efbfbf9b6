"""The ledger: people's consents and the log of acts, kept in the catalogue of the workspace.

One row per consent, however it was given; one row per act, written before the act begins. A consent is used up in
the transaction that writes the act's row: no row, no act, and no consent serves twice. Times are aware, in UTC.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from mcp_server.errors import ConsentInvalid
from mcp_server.store.catalog import Catalog
from mcp_server.store.database import derived_key
from mcp_server.store.records import insert, reader, update, write_time
from mcp_server.store.tokens import Tokens
from mcp_server.text import Text

LOG_DAYS: Final = 180
"""Days that the log and the consents are kept, unless a setting says otherwise."""
TIDY_EVERY: Final = 100
"""Acts after which a process that runs for long tidies up."""

Way = Literal["asked", "approved", "token"]
"""How consent is given: `asked` in the client while the call waits, `approved` in a terminal or on a page later,
`token` by the single-use token of a dry run (which proves a preview and not a person)."""
State = Literal["open", "used", "declined", "changed"]
"""`open` until somebody decides or the time is over. `changed`: what was shown is no longer the case."""
Outcome = Literal["done", "failed", "cancelled", "unknown", "refused"]
Access = Literal["valid", "gone", "unknown"]
"""Whether the caller who asked still has the access of that moment. `unknown`: only the authorization server knows."""


@dataclass(frozen=True, slots=True)
class Subject:
    """An act: who does what to which account. A consent is bound to it, the log names it."""

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
    """A question that is about to be asked."""

    id: str
    way: Way
    subject: Subject
    version: str
    """Stands for the state that the question is about."""
    question: str
    language: str
    seconds: float
    """How long it is valid."""
    arguments: str = ""
    """The full arguments as JSON, of a pending act only: another process will carry it out."""


@dataclass(frozen=True, slots=True)
class Consent:
    """A question that was asked, and what became of it."""

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
    asker: Access
    """This and `expired`: as of the moment of reading."""


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
    "If it is still wanted, call again with a token that is valid.", "如仍需执行，请用有效的令牌重新调用。"
)
_OTHER = Text("This consent was given for another call; nothing was changed.", "这条同意属于另一次调用，未做任何更改。")
_CLOSED: Final[Mapping[Literal["used", "declined", "changed"], Text]] = {
    "used": _USED,
    "declined": _DECLINED,
    "changed": _CHANGED,
}


def check(consent: Consent | None, subject: Subject, version: str) -> None:
    """Raise ConsentInvalid unless the consent may still be given or used for this act in this state."""
    if consent is None:
        raise ConsentInvalid(_UNKNOWN, next_step=_AGAIN)
    if consent.digest != subject.digest:
        raise ConsentInvalid(_OTHER, next_step=_AGAIN)
    if consent.state != "open":
        raise ConsentInvalid(_CLOSED[consent.state], next_step=_AGAIN)
    if consent.expired:
        raise ConsentInvalid(_EXPIRED, next_step=_AGAIN)
    if consent.asker == "gone":
        raise ConsentInvalid(_GONE.format(name=consent.name), next_step=_ASK_ANEW)
    if consent.version != version:
        raise ConsentInvalid(_CHANGED, next_step=_AGAIN)


class Ledger:
    """Consents and the log of one workspace. One per process; every call is short and synchronous."""

    def __init__(self, catalog: Catalog, *, log_days: int = LOG_DAYS) -> None:
        self._catalog = catalog
        self._database = catalog.database
        self._tokens = Tokens(catalog)
        self._kept = timedelta(days=log_days)
        self._acts = 0
        self._read_consent = reader(Consent, expired=self._expired, asker=self._access)
        subject = reader(Subject, digest=lambda _: "")
        self._read_entry = reader(Entry, subject=subject, way=_way, outcome=self._outcome)

    def key(self, purpose: str) -> bytes:
        """A secret of 32 bytes that stays the same in this workspace, another one for each purpose."""
        return derived_key(self._database, purpose)

    # -- consents --------------------------------------------------------------------------------------------

    def put(self, draft: ConsentDraft) -> Consent:
        """Keep a question. Of a pending act that is kept already, unchanged, return that one."""
        subject = draft.subject
        with self._database.write() as db:
            if draft.way == "approved" and (known := self._same_pending(db, draft)):
                return known
            now = self._catalog.clock()
            insert(
                db,
                "consent",
                id=draft.id,
                way=draft.way,
                state="open",
                tool=subject.tool,
                digest=subject.digest,
                version=draft.version,
                name=subject.name,
                known=subject.known,
                platform=subject.platform,
                account=subject.account,
                project=subject.project,
                language=draft.language,
                question=draft.question,
                arguments=draft.arguments,
                created_at=now,
                expires_at=now + timedelta(seconds=draft.seconds),
            )
            (made,) = self._consents("id = ?", draft.id)
            return made

    def _same_pending(self, db: sqlite3.Connection, draft: ConsentDraft) -> Consent | None:
        """The same act, waiting already. One that was asked for in another state is over."""
        for consent in self._consents("way = 'approved' AND state = 'open' AND digest = ?", draft.subject.digest):
            if consent.version == draft.version and not consent.expired:
                return consent
            if not consent.expired:
                self._close(db, consent.id, "changed", "")
        return None

    def _consents(self, where: str, value: str) -> tuple[Consent, ...]:
        return self._database.records(self._read_consent, f"SELECT * FROM consent WHERE {where}", (value,))

    def consent(self, consent_id: str) -> Consent | None:
        """The consent with this id."""
        return next(iter(self._consents("id = ?", consent_id)), None)

    def pending(self) -> Sequence[Consent]:
        """The acts that wait for somebody to approve them, oldest first."""
        where = "way = 'approved' AND state = 'open' AND expires_at > ? ORDER BY created_at"
        return self._consents(where, self._catalog.moment())

    def close(self, consent_id: str, state: State, by: str) -> None:
        """Record that an open question will not be answered with yes."""
        with self._database.write() as db:
            self._close(db, consent_id, state, by)

    def _close(self, db: sqlite3.Connection, consent_id: str, state: State, by: str) -> None:
        decided = {"state": state, "decided_at": self._catalog.moment(), "decided_by": by}
        update(db, "consent", "id = ? AND state = 'open'", (consent_id,), **decided, arguments="", question="")

    def _expired(self, row: sqlite3.Row) -> bool:
        return datetime.fromisoformat(row["expires_at"]) <= self._catalog.clock()

    def _access(self, row: sqlite3.Row) -> Access:
        """Whether the access with which this was asked for is still valid; one that is not known to be is gone."""
        if row["known"] in ("system", "loopback", "gateway"):
            return "valid"  # a person on this machine, or a key that the operator keeps in a file
        if row["known"] == "oauth":
            return "unknown"
        token = self._tokens.named(row["name"])
        # A later token of the same name is another one, even of the same person.
        same = token is not None and token.created_at <= datetime.fromisoformat(row["created_at"])
        return "valid" if token and same and token.scope == "write" and token.reaches(row["project"]) else "gone"

    # -- acts ------------------------------------------------------------------------------------------------

    def begin(self, subject: Subject, *, before: str, consent: Consent | None, way: str, by: str) -> int:
        """Write the act's row and use up the consent, in one transaction; the number of the row.

        Raises ConsentInvalid where the consent is not open any more, has expired, is for something else, or where
        the access with which it was asked for is gone.
        """
        self._acts += 1
        if self._acts % TIDY_EVERY == 0:
            self.tidy()
        with self._database.write() as db:
            if consent is not None:
                check(self.consent(consent.id), subject, consent.version)
                self._close(db, consent.id, "used", by or subject.name)
            columns = {name: value for name, value in asdict(subject).items() if name != "digest"}
            return insert(
                db,
                "act",
                began_at=self._catalog.moment(),
                owner=self._catalog.workspace.owner,
                consent=consent.id if consent else "",
                way=way,
                approved_by=by,
                before=before,
                **columns,
            )

    def end(self, entry: int, outcome: Outcome, after: str) -> None:
        """Write how an act ended."""
        with self._database.write() as db:
            update(db, "act", "id = ?", (entry,), ended_at=self._catalog.moment(), outcome=outcome, after=after)

    def entries(
        self, *, limit: int, tool: str = "", since: datetime | None = None, project: str = ""
    ) -> Sequence[Entry]:
        """The newest acts, newest first; of one tool or project where it is named."""
        return self._database.records(
            self._read_entry,
            "SELECT * FROM act WHERE (? = '' OR tool = ?) AND (? = '' OR project = ?) AND began_at >= ?"
            " ORDER BY id DESC LIMIT ?",
            (tool, tool, project, project, write_time(since) if since else "", limit),
        )

    def _outcome(self, row: sqlite3.Row) -> str:
        alive = self._catalog.workspace.owner_alive(row["owner"])
        return str(row["outcome"] or ("running" if alive else "unknown"))

    # -- housekeeping ----------------------------------------------------------------------------------------

    def local(self, moment: datetime, project: str = "") -> str:
        """Return a moment as people read it: in the zone of the project, or of this machine where it has no data."""
        return moment.astimezone(self.zone(project)).isoformat(" ", "seconds")

    def zone(self, project: str) -> ZoneInfo | None:
        """Return the zone of a project; None where it has no data."""
        record = self._catalog.find_project(project)
        return ZoneInfo(record.zone) if record else None

    def tidy(self) -> None:
        """Remove what is older than is kept, and the texts of questions that nobody answered in time."""
        now = self._catalog.clock()
        oldest = write_time(now - self._kept)
        with self._database.write() as db:
            db.execute("DELETE FROM act WHERE began_at < ?", (oldest,))
            db.execute("DELETE FROM consent WHERE created_at < ?", (oldest,))
            over = "state = 'open' AND question <> '' AND expires_at <= ?"
            update(db, "consent", over, (write_time(now),), arguments="", question="")


def _way(row: sqlite3.Row) -> str:
    return f"{row['way']} {row['approved_by']}".strip()
