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
        """Make a token; only this once it is shown. InvalidArguments, NameTaken."""
        if not _NAME.fullmatch(name):
            raise InvalidArguments(_BAD_NAME.format(name=records.shown(name)))
        token, now = PREFIX + secrets.token_urlsafe(32), self._catalog.clock()
        try:
            with self._database.write() as db:
                records.insert(
                    db,
                    "access_token",
                    name=name,
                    digest=_digest(token),
                    scope=scope,
                    projects=json.dumps("all" if projects is None else sorted(set(projects))),
                    created_at=now,
                    expires_at=now + timedelta(days=days) if days else None,
                )
        except sqlite3.IntegrityError as error:
            raise NameTaken(_TAKEN.format(name=name), next_step=_REVOKE_FIRST.format(name=name)) from error
        return token

    def all(self) -> tuple[TokenRecord, ...]:
        """Every token there ever was, oldest first."""
        return self._database.records(_READ, "SELECT * FROM access_token ORDER BY id")

    def revoke(self, name: str) -> None:
        """End a token. NotFound names the nearest."""
        with self._database.write() as db:
            living, now = "name = ? AND revoked_at IS NULL", self._catalog.clock()
            revoked = records.update(db, "access_token", living, (name,), revoked_at=now)
        if not revoked:
            near = nearest(name, [t.name for t in self.all() if t.revoked_at is None])
            hint = _NEAREST.format(name=near) if near else NOTHING
            raise NotFound(_NO_TOKEN.format(name=records.shown(name)), next_step=hint)

    def find(self, token: str) -> TokenRecord | None:
        """The living token; None for an unknown, revoked or expired one. Takes the same time for each."""
        given, token_id = _digest(token), -1
        for row in self._database.rows("SELECT id, digest FROM access_token WHERE revoked_at IS NULL"):
            if hmac.compare_digest(row["digest"], given):
                token_id = row["id"]
        return self.living(token_id)

    def living(self, token_id: int) -> TokenRecord | None:
        """The token of this number, as long as it lives."""
        return self._living("id = ?", token_id)

    def named(self, name: str) -> TokenRecord | None:
        """The living token of this name."""
        return self._living("name = ?", name)

    def _living(self, where: str, value: str | int) -> TokenRecord | None:
        select = f"SELECT * FROM access_token WHERE {where} AND revoked_at IS NULL"
        token = self._database.record(_READ, select, (value,))
        over = token is not None and token.expires_at is not None and token.expires_at <= self._catalog.clock()
        return None if over else token


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _projects(row: sqlite3.Row) -> frozenset[str] | None:
    projects = json.loads(row["projects"])
    return None if projects == "all" else frozenset(projects)


_READ = records.reader(TokenRecord, projects=_projects)
