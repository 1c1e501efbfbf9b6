"""Consents and the log of acts in the catalogue of the workspace (`platforms.ledger_port.Ledger`)."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from mcp_server.platforms.ledger_port import Consent, ConsentDraft, Entry, Outcome, Standing, State, Subject, check
from mcp_server.platforms.local.catalog import Catalog
from mcp_server.platforms.local.database import Value
from mcp_server.platforms.local.rows import read_time, write_time
from mcp_server.platforms.local.secret import derived_key
from mcp_server.platforms.local.tokens import Tokens

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
