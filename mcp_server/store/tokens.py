"""Access tokens of a small team: who may use this workspace over HTTP, and how far.

A token is shown once, when it is made; kept is only its SHA-256. (A token holds 256 random bits, so there is
nothing to guess that a slow or salted hash would protect.) Names are for people: one name has one living token.
"""

import hashlib
import hmac
import json
import re
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from mcp_server.errors import InvalidArguments, NameTaken, NotFound
from mcp_server.language.suggest import nearest
from mcp_server.store import records
from mcp_server.store.catalog import Catalog
from mcp_server.text import NOTHING, Text

Scope = Literal["read", "write", "approve"]
"""`approve` opens the page where people decide what waits, and nothing else: no call may use it."""

PREFIX: Final = "fenqun_"
"""Tokens begin with it, so that scanners for leaked secrets can know them."""

_NAME = re.compile(r"[\w.@-]{1,64}")
_BAD_NAME = Text(
    '"{name}" is no name for a token: up to 64 letters, digits and . _ @ - are.',
    "“{name}”不能用作令牌名称：最多 64 个字符，可用字母、数字和 . _ @ -。",
)
_TAKEN = Text("There is a token named {name} already.", "已有名为 {name} 的令牌。")
_REVOKE_FIRST = Text(
    "Revoke it first (fenqun token revoke {name}), or choose another name.",
    "请先吊销它（fenqun token revoke {name}），或换一个名称。",
)
_NO_TOKEN = Text("There is no living token named {name}.", "没有名为 {name} 的有效令牌。")
_NEAREST = Text("The nearest name is {name}.", "最接近的名称是 {name}。")


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """One token, without itself."""

    id: int
    name: str
    scope: Scope
    projects: frozenset[str] | None
    """None for all."""
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def reaches(self, project: str) -> bool:
        """Whether it may be used for this project."""
        return self.projects is None or project in self.projects


class Tokens:
    """The tokens of a workspace. Every look goes to the catalogue, so that revoking works at once everywhere."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._database = catalog.database

    def add(self, name: str, scope: Scope, projects: Sequence[str] | None, *, days: int | None = None) -> str:
        """Make a token; this is the only time that it is told. InvalidArguments, NameTaken."""
        if not _NAME.fullmatch(name):
            raise InvalidArguments(_BAD_NAME.format(name=records.shown(name)))
        token = PREFIX + secrets.token_urlsafe(32)
        now = self._catalog.clock()
        end = records.write_time(now + timedelta(days=days)) if days else None
        written = json.dumps(sorted(set(projects)) if projects is not None else "all")
        try:
            with self._database.write() as db:
                db.execute(
                    "INSERT INTO access_token (name, digest, scope, projects, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
                    (name, _digest(token), scope, written, records.write_time(now), end),
                )
        except sqlite3.IntegrityError as error:
            raise NameTaken(_TAKEN.format(name=name), next_step=_REVOKE_FIRST.format(name=name)) from error
        return token

    def all(self) -> tuple[TokenRecord, ...]:
        """Every token there ever was, oldest first."""
        return tuple(map(_record, self._database.rows("SELECT * FROM access_token ORDER BY id")))

    def revoke(self, name: str) -> None:
        """End a token. NotFound names the nearest."""
        with self._database.write() as db:
            done = db.execute(
                "UPDATE access_token SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL",
                (records.write_time(self._catalog.clock()), name),
            )
        if not done.rowcount:
            close = nearest(name, [t.name for t in self.all() if t.revoked_at is None])
            hint = _NEAREST.format(name=close) if close else NOTHING
            raise NotFound(_NO_TOKEN.format(name=records.shown(name)), next_step=hint)

    def find(self, token: str) -> TokenRecord | None:
        """The living token; None for an unknown, revoked or expired one. Takes the same time for each."""
        given, found = _digest(token), None
        for row in self._database.rows("SELECT * FROM access_token WHERE revoked_at IS NULL"):
            if hmac.compare_digest(row["digest"], given):
                found = _record(row)
        return self._living(found)

    def living(self, token_id: int) -> TokenRecord | None:
        """The token of this number, as long as it lives."""
        row = self._database.row("SELECT * FROM access_token WHERE id = ? AND revoked_at IS NULL", (token_id,))
        return self._living(_record(row) if row else None)

    def named(self, name: str) -> TokenRecord | None:
        """The living token of this name."""
        row = self._database.row("SELECT * FROM access_token WHERE name = ? AND revoked_at IS NULL", (name,))
        return self._living(_record(row) if row else None)

    def _living(self, found: TokenRecord | None) -> TokenRecord | None:
        over = found is not None and found.expires_at is not None and found.expires_at <= self._catalog.clock()
        return None if over else found


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _record(row: sqlite3.Row) -> TokenRecord:
    projects = json.loads(row["projects"])
    return TokenRecord(
        id=row["id"],
        name=row["name"],
        scope=row["scope"],
        projects=None if projects == "all" else frozenset(projects),
        created_at=records.read_time(row["created_at"]),
        expires_at=records.read_time(row["expires_at"]) if row["expires_at"] else None,
        revoked_at=records.read_time(row["revoked_at"]) if row["revoked_at"] else None,
    )
