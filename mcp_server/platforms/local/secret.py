"""The one random secret of a workspace, and the keys that are derived from it."""

import hashlib
import hmac
import secrets

from mcp_server.platforms.local.database import Database


def derived_key(database: Database, purpose: str) -> bytes:
    """The key for a purpose, 32 bytes. The first who asks puts the secret into the catalogue."""
    found = database.row("SELECT value FROM secret")
    if found is None:
        with database.write() as db:
            db.execute("INSERT OR IGNORE INTO secret (id, value) VALUES (1, ?)", (secrets.token_hex(32),))
        found = database.row("SELECT value FROM secret")
    return hmac.digest(bytes.fromhex(found["value"]) if found else b"", purpose.encode(), hashlib.sha256)
